import { KlpflowError } from '../../diagnostics';
import { EM_X86_64 } from '../../elf/constants';
import { ElfObject } from '../../elf/object';
import { DEBIAN_6_12_GCC } from './debian-6.12-gcc';
import { LINUX_7_2_THINLTO } from './linux-7.2-thinlto';
import { measureShape } from './measure';
import type { Shape } from './types';

/** The shapes that klpflow brings along, by the name of what was measured. */
export const SHAPES: Readonly<Record<string, Shape>> = {
  'linux-7.2-thinlto': LINUX_7_2_THINLTO,
  'debian-6.12-gcc': DEBIAN_6_12_GCC,
};

/** Measures the x86-64 object at `path`. @throws KlpflowError as `ElfObject.open`; `unsupported-object` for other processors, and where there is no function */
export function measureObject(path: string): Shape {
  const object = ElfObject.open(path);
  if (object.machine !== EM_X86_64)
    throw new KlpflowError(
      'unsupported-object',
      `${path} is for machine ${object.machine}; shapes are those of x86-64 (${EM_X86_64})`,
      { object: path },
    );
  const shape = measureShape(object);
  if (shape.counts.functions === 0)
    throw new KlpflowError('unsupported-object', `${path} has no functions to measure`, { object: path });
  return shape;
}

/** Whether a value has all that a shape has: nothing is known of it that comes from a file. */
export function isShape(value: unknown): value is Shape {
  const { debug, ...rest } = LINUX_7_2_THINLTO;
  return alike(rest, value);
}

function alike(model: unknown, value: unknown): boolean {
  if (typeof model === 'number')
    return typeof value === 'number' && Number.isFinite(value) && Math.abs(value) < 2 ** 32;
  if (typeof model === 'string') return model === value;
  if (Array.isArray(model))
    return Array.isArray(value) && model.length === value.length && model.every((item, i) => alike(item, value[i]));
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(model as object).every(([key, item]) => alike(item, (value as Record<string, unknown>)[key]));
}
