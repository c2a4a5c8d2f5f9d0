import { SHN_LIVEPATCH } from '../../elf';
import type { Module, ModuleRela, ModuleSection } from '../module';
import { wordAt } from './words';

/** `adrp x16, .`, then `ldr x16, [x16]` or `add x16, x16, #0`, then `br x16` or `ret x16`: the fields' own bits do not matter. */
const PAGE = 0x90000010;
const LOAD = 0xf9400210;
const ADD = 0x91000210;
const LEAVES = [0xd61f0200, 0xd65f0200];
const VENEER = 12;
const POINTER = 257;

/**
 * The relocation that says where code of the module leads that only goes on somewhere else: a branch to a function that the livepatch core finds may not
 * be relocated itself. Undefined for all other code.
 */
export function behindVeneer(module: Module, section: ModuleSection, at: number): ModuleRela | undefined {
  const [page, low, leave] = [0, 4, 8].map((more) => wordAt(section, at + more)) as [number, number, number];
  if ((page & 0x9f00001f) >>> 0 !== PAGE || !LEAVES.includes(leave)) return undefined;
  const [first, second] = [module.relaAt(section, at), module.relaAt(section, at + 4)];
  if (first === undefined || second === undefined || first.symbol !== second.symbol || first.addend !== second.addend)
    return undefined;
  if ((low & 0xffc003ff) >>> 0 === ADD) return first.symbol.section === SHN_LIVEPATCH ? first : undefined;
  if ((low & 0xffc003ff) >>> 0 !== LOAD) return undefined;
  const data = module.sectionOf(first.symbol);
  const slot = data && module.relaAt(data, first.symbol.value + first.addend);
  return slot?.type === POINTER && slot.symbol.section === SHN_LIVEPATCH ? slot : undefined;
}

/** Whether a function of the module is one of these and nothing else. */
export function isVeneer(
  module: Module,
  section: ModuleSection,
  { value, size }: { value: number; size: number },
): boolean {
  return size === VENEER && behindVeneer(module, section, value) !== undefined;
}
