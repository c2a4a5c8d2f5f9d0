import { KlpflowError } from '../../diagnostics';
import { machineName } from '../../elf/machines';
import { ElfObject } from '../../elf/object';
import { DEBIAN_6_12_GCC } from './debian-6.12-gcc';
import { LINUX_7_2_THINLTO } from './linux-7.2-thinlto';
import { LINUX_7_3_ARM64 } from './linux-7.3-arm64';
import { measureShape } from './measure';
import { SHAPE_RULES } from './rules';
import { PROCESSORS } from '../processors';
import type { Shape } from './types';

/** The shapes that klpflow brings along, by the name of what was measured. */
export const SHAPES: Readonly<Record<string, Shape>> = {
  'linux-7.2-thinlto': LINUX_7_2_THINLTO,
  'debian-6.12-gcc': DEBIAN_6_12_GCC,
  'linux-7.3-arm64': LINUX_7_3_ARM64,
};

/** Measures the object at `path`. @throws KlpflowError as `ElfObject.open`; `unsupported-object` for processors without a row in SHAPE_RULES, and where there is no function */
export function measureObject(path: string): Shape {
  const object = ElfObject.open(path);
  if (SHAPE_RULES[object.machine] === undefined)
    throw new KlpflowError(
      'unsupported-object',
      `${path} is for ${machineName(object.machine)}; there are shapes of ${Object.keys(SHAPE_RULES)
        .map((machine) => machineName(Number(machine)))
        .join(' and ')}`,
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
  if (!alike(rest, value)) return false;
  const { processor, typeHashes } = value as Shape;
  return (
    (processor === undefined || Object.hasOwn(PROCESSORS, processor)) &&
    (typeHashes === undefined || alike(0, typeHashes))
  );
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
