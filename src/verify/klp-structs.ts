import type { Context } from './context';
import { isExecutable, isFunction, type ModuleSection } from './module';
import { nameOf, targetInData, type Target } from './references';
import type { Spot } from './module';

/** The pointer at a place, or null where no relocation fills it. */
export function pointerAt({ module }: Pick<Context, 'module'>, { section, offset }: Spot): Target | null {
  const rela = module.relaAt(section, offset);
  return rela === undefined || rela.type !== module.machine.pointer ? null : targetInData(module, rela);
}

/** Whether `size` bytes are there and neither hold anything nor are filled in. */
export function isBlank({ module }: Pick<Context, 'module'>, { section, offset }: Spot, size: number): boolean {
  if (module.relasIn(section, offset, offset + size).length > 0) return false;
  return section.bytes.subarray(offset, offset + size).every((byte) => byte === 0);
}

/** The string that a pointer refers to; undefined where it is none. */
export function stringAt({ in: where, ...target }: Target): string | undefined {
  if (where !== 'module' || !('section' in target)) return undefined;
  const { bytes } = target.section;
  const end = target.offset < 0 ? -1 : bytes.indexOf(0, target.offset);
  return end < 0 ? undefined : Buffer.from(bytes.subarray(target.offset, end)).toString('utf8');
}

/** The sized function that starts where a pointer leads. */
export function functionAt(
  { module }: Pick<Context, 'module'>,
  target: Target | null,
): { name: string; section: ModuleSection; value: number; size: number } | undefined {
  if (target?.in !== 'module' || !isExecutable(target.section)) return undefined;
  const { section } = target;
  const symbol = module
    .functionsIn(section)
    .find((candidate) => isFunction(candidate) && candidate.value === target.offset && candidate.size > 0);
  return symbol && { name: nameOf(module, target) ?? symbol.name, section, value: symbol.value, size: symbol.size };
}

const SMALLEST = 32;

/** The public members of the livepatch structures: bytes from each one's start, and sizes. */
export interface KlpLayout {
  klp_patch: Struct<'mod' | 'objs' | 'states' | 'replace'>;
  klp_object: Struct<'name' | 'funcs' | 'callbacks'>;
  klp_func: Struct<'old_name' | 'new_func' | 'old_sympos'>;
}

interface Struct<Member extends string> {
  size: number;
  at: Record<Member, number>;
}

/** As they are in every release so far; only the sizes depend on the configuration. */
const USUAL: KlpLayout = {
  klp_patch: { size: 200, at: { mod: 0, objs: 8, states: 16, replace: 24 } },
  klp_object: { size: 168, at: { name: 0, funcs: 8, callbacks: 16 } },
  klp_func: { size: 152, at: { old_name: 0, new_func: 8, old_sympos: 16 } },
};

/** The layout that BTF says, where it is given. */
export function layoutOf({ types }: Pick<Context, 'types'>): KlpLayout {
  const read = <Member extends string>(name: keyof KlpLayout, usual: Struct<Member>): Struct<Member> => {
    const layout = types?.get(name);
    const at = Object.fromEntries(
      Object.entries<number>(usual.at).map(([member, offset]) => [member, layout?.members.get(member) ?? offset]),
    ) as Record<Member, number>;
    return { size: layout?.size ?? usual.size, at };
  };
  return {
    klp_patch: read('klp_patch', USUAL.klp_patch),
    klp_object: read('klp_object', USUAL.klp_object),
    klp_func: read('klp_func', USUAL.klp_func),
  };
}

/** Whether nothing of a structure is set but these members, each given by offset and width. */
export function isBlankBut(
  context: Pick<Context, 'module'>,
  { section, offset }: Spot,
  size: number,
  members: ReadonlyArray<readonly [at: number, width: number]>,
): boolean {
  let end = 0;
  for (const [at, width] of [...members, [size, 0] as const].sort(([a], [b]) => a - b)) {
    if (at > end && !isBlank(context, { section, offset: offset + end }, at - end)) return false;
    end = Math.max(end, at + width);
  }
  return true;
}

/**
 * Bytes of an element of the array at `array`, whose elements have a pointer at `pointer`: by BTF, else by the distance
 * of the first two, else by the size of the array's own symbol, which counts the terminator. Null where nothing tells.
 */
export function strideOf(
  { module, types }: Pick<Context, 'module' | 'types'>,
  struct: keyof KlpLayout,
  array: Spot,
  pointer: number,
): number | null {
  const known = types?.get(struct)?.size;
  if (known !== undefined) return known;
  const { section, offset } = array;
  const symbol = module.symbolsIn(section).find(({ value, size }) => value === offset && size > 0);
  const end = symbol === undefined ? section.size : Math.min(section.size, offset + symbol.size);
  for (let size = SMALLEST; offset + size < end; size += 8) {
    if (pointerAt({ module }, { section, offset: offset + size + pointer }) !== null)
      return looksRepeated(size) ? size : null;
  }
  return symbol !== undefined && symbol.size % 16 === 0 && symbol.size >= 2 * SMALLEST ? symbol.size / 2 : null;

  /** A pointer of the first element itself (a callback, an internal member) is no second element. */
  function looksRepeated(size: number): boolean {
    return symbol === undefined || symbol.size % size === 0;
  }
}
