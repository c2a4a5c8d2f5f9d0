import { SHN_LIVEPATCH, SHN_UNDEF, STT_FUNC } from '../elf';
import { behindVeneer } from './aarch64/veneers';
import type { Instruction, OperandField } from './code';
import { parseKlpSymbol, type KlpName } from './klp-name';
import { isFunction, type Module, type ModuleRela, type ModuleSection, type ModuleSymbol } from './module';

/** What a relocation makes its field refer to. `offset` is in bytes from the symbol, or from the section's start. */
export type Target =
  | { in: 'module'; section: ModuleSection; offset: number }
  | { in: 'klp'; name: KlpName; offset: number }
  | { in: 'import'; name: string; offset: number }
  | { in: 'nowhere'; name: string; offset: number };

/** The target of a field of an instruction: a relative one counts from the instruction's end. */
export function targetInCode(module: Module, rela: ModuleRela, instruction: Instruction): Target {
  return targetOf(
    module,
    rela,
    module.machine.relative.has(rela.type)
      ? rela.addend + instruction.offset + instruction.length - rela.offset
      : rela.addend,
  );
}

/** The target of a field of data: a relative one counts from the field itself. */
export function targetInData(module: Module, rela: ModuleRela): Target {
  return targetOf(module, rela, rela.addend);
}

function targetOf(module: Module, { symbol }: ModuleRela, offset: number): Target {
  const section = module.sectionOf(symbol);
  if (section !== undefined) {
    const veneer = module.machine.veneers ? behindVeneer(module, section, symbol.value + offset) : undefined;
    return veneer === undefined
      ? { in: 'module', section, offset: symbol.value + offset }
      : targetOf(module, veneer, veneer.addend);
  }
  if (symbol.section === SHN_LIVEPATCH) {
    const name = parseKlpSymbol(symbol.name);
    return name === undefined ? { in: 'nowhere', name: symbol.name, offset } : { in: 'klp', name, offset };
  }
  return symbol.section === SHN_UNDEF && symbol.index !== 0
    ? { in: 'import', name: symbol.name, offset }
    : { in: 'nowhere', name: symbol.name || 'no symbol', offset };
}

/** The name of what is referred to, of a function's start or an object at its start too; undefined inside of anything or without name. */
export function nameOf(module: Module, target: Target): string | undefined {
  if (target.in === 'klp') return target.offset === 0 ? target.name.name : undefined;
  if (target.in !== 'module') return target.offset === 0 ? target.name : undefined;
  return module.symbolsAt(target.section, target.offset)[0]?.name;
}

export function describe(module: Module, target: Target): string {
  const plus = target.offset === 0 ? '' : `${target.offset < 0 ? '-' : '+'}0x${Math.abs(target.offset).toString(16)}`;
  if (target.in === 'klp') return `${target.name.name}${plus} of ${target.name.object}`;
  if (target.in !== 'module') return `${target.name}${plus}`;
  const symbol = covering(module, target.section, target.offset);
  if (symbol === undefined) return `${target.section.name}${plus}`;
  const inside = target.offset - symbol.value;
  return inside === 0 ? symbol.name : `${symbol.name}+0x${inside.toString(16)}`;
}

/** The sized symbol, prefixes aside, that an offset lies in: the smallest. */
export function covering(module: Module, section: ModuleSection, offset: number): ModuleSymbol | undefined {
  let best: ModuleSymbol | undefined;
  for (const symbol of module.covering(section, offset)) {
    if (symbol.type === STT_FUNC && !isFunction(symbol)) continue;
    if (best === undefined || symbol.size < best.size) best = symbol;
  }
  return best;
}

export function fieldOf(instruction: Instruction, { offset }: ModuleRela): OperandField | undefined {
  return instruction.fields.find(({ at }) => instruction.offset + at === offset);
}

/** A function and its cold part count as one. */
export function sameFunction(a: string, b: string): boolean {
  return a === b || a.replace(COLD, '') === b.replace(COLD, '');
}

const COLD = /\.cold(\.\d+)?$/;
