import { x86_64 } from '../../../arch/x86-64';
import type { Instruction } from '../../../arch';
import { STT_FUNC } from '../../../elf';
import { AlternativeKind, type Alternative, type Alternatives, type Replacement } from './alternatives';
import type { Chunks } from './chunks';
import type { Code, Site } from './code';
import { jumpTables } from './jump-tables';
import type { References } from './reference';
import type { Relocation, Relocations } from './relocations';
import type { ChecksumSymbols } from './symbols';

export interface FunctionContext {
  symbols: ChecksumSymbols;
  relocations: Relocations;
  references: References;
  code: Code;
  alternatives: Alternatives;
  /** Whether a section may hold jump tables. */
  isTableSection: (section: number) => boolean;
}

const NONE: readonly Alternative[] = [];

/** `__pa_symbol()` and its like add or take -__START_KERNEL_map, 0xffffffff80000000. */
const HALF = 0x80000000;

/** Adds a function's identity: its instructions, what they refer to, and what may run in their place. */
export function addFunction(chunks: Chunks, func: number, context: FunctionContext, enter: (site: Site) => void): void {
  const content = new FunctionContent(chunks, context, enter);
  const sites = [...context.code.of(func)];
  const tables = jumpTables(func, sites, context);
  for (const site of sites) content.add(site, tables.get(site));
}

class FunctionContent {
  private within = false;
  private replacement: Replacement | undefined;

  constructor(
    private readonly chunks: Chunks,
    private readonly context: FunctionContext,
    private readonly enter: (site: Site) => void,
  ) {}

  add(site: Site, targets: readonly Alternative[] = NONE): void {
    const { code, index } = site;
    const instruction = code.instructions[index]!;
    this.enter(site);
    const relocation = this.context.relocations.first(
      code.section,
      instruction.offset,
      instruction.offset + instruction.length,
    );
    if (relocation !== undefined || !this.addDirectBranch(site, instruction)) {
      this.chunks.bytes(code.bytes, instruction.offset, instruction.offset + instruction.length);
      if (relocation !== undefined) this.addReference(instruction, relocation);
    }
    // Alternatives of what runs as an alternative do not count (exception tables of code that fixes up).
    if (this.within) return;
    this.within = true;
    for (const alternative of targets) this.addAlternative(alternative, site);
    for (const alternative of this.context.alternatives.of(code.section, instruction.offset))
      this.addAlternative(alternative, site);
    this.within = false;
  }

  /** A call or jump to a place of this object, without its distance. @returns false for anything else */
  private addDirectBranch({ code, index }: Site, instruction: Instruction): boolean {
    if (instruction.target === undefined) return false;
    const { chunks, context } = this;
    const { symbols } = context;
    const branch = resolveBranch(context, { code, index }, instruction, this.replacement);
    if (branch === undefined) return false;
    chunks.bytes(code.bytes, instruction.offset, instruction.offset + instruction.opcodeLength);
    if (branch.symbol === 0) return true;
    chunks.bytes(symbols.demangled(branch.symbol));
    if (branch.offset !== undefined) chunks.u64(branch.offset);
    return true;
  }

  private addReference(instruction: Instruction, { offset: field, type, symbol, addend }: Relocation): void {
    const {
      chunks,
      context: { references, symbols },
    } = this;
    let offset = addend + (x86_64.isPcRelative(type) ? instruction.offset + instruction.length - field : 0);
    if (offset > 0) offset %= HALF;
    if (references.isString(symbol)) return references.string(chunks, symbol, offset);
    if (references.isConstant(symbol)) return references.constant(chunks, symbol, offset);
    const named = references.named(symbol, offset);
    if (named === undefined) return;
    chunks.bytes(symbols.demangled(named.symbol));
    chunks.u64(named.offset);
  }

  private addAlternative({ kind, section, offset, group: own }: Alternative, instead: Site): void {
    const { code, alternatives } = this.context;
    this.enter(instead);
    this.chunks.u32(kind);
    // A jump label that is a jump at first may become a NOP: what else may run is the code behind it.
    let site = kind === AlternativeKind.JUMP_LABEL && isJump(instead) ? behind(instead) : code.at(section, offset);
    const group = own ?? alternatives.replacementAt(section, offset);
    if (group === undefined) {
      if (site !== undefined) this.add(site);
      return;
    }
    this.chunks.u32(group.feature);
    this.replacement = group;
    while (site !== undefined && site.code.instructions[site.index]!.offset < group.end) {
      this.add(site);
      site = behind(site);
    }
    this.replacement = undefined;
  }
}

/**
 * Where a direct branch without a relocation goes: a function that is called, or a place in a symbol; symbol 0 where it is in
 * none. undefined where the target is no instruction, or a thunk, which stands for what its register holds.
 */
function resolveBranch(
  { symbols, code }: FunctionContext,
  site: Site,
  instruction: Instruction,
  replacement: Replacement | undefined,
): { symbol: number; offset?: number } | undefined {
  const { section, bytes } = site.code;
  let [target, targetSection] = [instruction.target!, section];
  if (bytes[instruction.offset + instruction.opcodeLength - 1] === CALL) {
    const called = symbols.calledAt(section, target);
    if (called !== 0) return { symbol: called };
  } else if (replacement !== undefined && target === replacement.end) {
    // Behind the replacement goes on what it replaced.
    [target, targetSection] = [replacement.replaced.end, replacement.replaced.section];
  }
  const destination = code.at(targetSection, target);
  if (destination === undefined) return undefined;
  const owner = destination.code.owner[destination.index]!;
  if (owner === 0) return { symbol: 0 };
  const atStart = symbols.value(owner) === target;
  if (atStart && !symbols.isLocal(owner) && THUNK.test(symbols.name(owner))) return undefined;
  const own = site.code.owner[site.index]!;
  if (atStart && own !== 0 && symbols.whole(own) !== symbols.whole(owner) && symbols.type(owner) === STT_FUNC)
    return { symbol: owner };
  return { symbol: owner, offset: target - symbols.value(owner) };
}

const CALL = 0xe8;
const THUNK = /^(__pi_)?__x86_(indirect_|return_thunk$)/;

/** `jmp rel8` or `jmp rel32`. */
function isJump({ code, index }: Site): boolean {
  const opcode = code.bytes[code.instructions[index]!.offset];
  return opcode === 0xeb || opcode === 0xe9;
}

function behind({ code, index }: Site): Site | undefined {
  return index + 1 < code.instructions.length ? { code, index: index + 1 } : undefined;
}
