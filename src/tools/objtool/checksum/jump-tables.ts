import { R_X86_64_32, R_X86_64_32S, R_X86_64_PC32, R_X86_64_PLT32, STT_SECTION } from '../../../elf';
import { AlternativeKind, type Alternative } from './alternatives';
import type { Code, Site } from './code';
import type { Relocation, Relocations } from './relocations';
import type { ChecksumSymbols } from './symbols';

interface Context {
  symbols: ChecksumSymbols;
  relocations: Relocations;
  code: Code;
  isTableSection: (section: number) => boolean;
}

/** Section of tables that C code makes itself (`__annotate_jump_table`); they have names. */
export const C_JUMP_TABLES = '.data.rel.ro.c_jump_table';

interface Table {
  section: number;
  first: Relocation;
}

/**
 * Targets of a function's switches, by the indirect jump, last one first: the table that an instruction before the jump
 * refers to, as long as its entries name instructions of this function. Kernels with retpolines or IBT have none.
 */
export function jumpTables(func: number, sites: readonly Site[], context: Context): Map<Site, Alternative[]> {
  const found = new Map<Site, Alternative[]>();
  const jumps = sites.filter(isIndirectJump);
  if (jumps.length === 0) return found;
  const forward = new ForwardJumps(sites);
  const tables = new Map<Site, Table>();
  for (const jump of jumps) {
    const table = tableOf(func, sites, sites.indexOf(jump), forward, context);
    if (table !== undefined) tables.set(jump, table);
  }
  const heads = new Set([...tables.values()].map(({ section, first }) => `${section}:${first.offset}`));
  for (const [jump, table] of tables) found.set(jump, targetsOf(func, table, heads, context));
  return found;
}

/** Where the code before a place was jumped from: a switch's bounds check stands there, other code in between does not matter. */
class ForwardJumps {
  /** Number of the first instruction that jumps forward to another, by that one's number. */
  readonly sourceOf = new Map<number, number>();
  readonly destinationOf = new Map<number, number>();

  constructor(sites: readonly Site[]) {
    const numbers = new Map(
      sites.map(({ code, index }, number) => [`${code.section}:${code.instructions[index]!.offset}`, number]),
    );
    sites.forEach(({ code, index }, number) => {
      const { target } = code.instructions[index]!;
      const destination = target === undefined ? undefined : numbers.get(`${code.section}:${target}`);
      if (destination === undefined) return;
      this.destinationOf.set(number, destination);
      if (destination > number && !this.sourceOf.has(destination)) this.sourceOf.set(destination, number);
    });
  }
}

function tableOf(
  func: number,
  sites: readonly Site[],
  jump: number,
  forward: ForwardJumps,
  context: Context,
): Table | undefined {
  for (let at = jump; at >= 0; at = forward.sourceOf.get(at) ?? at - 1) {
    const site = sites[at]!;
    if (at !== jump && isIndirectJump(site)) return undefined;
    const destination = forward.destinationOf.get(at);
    if (isDirectJump(site) && destination !== undefined && (destination <= at || destination > jump)) return undefined;
    const table = tableAt(site, context);
    if (table !== undefined && entryTarget(func, table.first, table.first, context) !== undefined) return table;
  }
  return undefined;
}

/** The table of code addresses that an instruction refers to. */
function tableAt({ code, index }: Site, { symbols, relocations, isTableSection }: Context): Table | undefined {
  const { offset, length } = code.instructions[index]!;
  const reference = relocations.first(code.section, offset, offset + length);
  if (reference === undefined || symbols.type(reference.symbol) !== STT_SECTION) return undefined;
  const section = symbols.section[reference.symbol]!;
  if (!isTableSection(section)) return undefined;
  const start = reference.addend + (reference.type === R_X86_64_PC32 ? 4 : 0);
  // A table of the compiler's has no name.
  if (symbols.covering(section, start) !== 0 && symbols.name(reference.symbol) !== C_JUMP_TABLES) return undefined;
  const first = relocations.first(section, start, start + 1);
  return first === undefined ? undefined : { section, first };
}

function targetsOf(
  func: number,
  { section, first }: Table,
  heads: ReadonlySet<string>,
  context: Context,
): Alternative[] {
  const targets: Alternative[] = [];
  const size = entrySize(first.type);
  for (let at = first.offset; ; at += size) {
    const entry = context.relocations.first(section, at, at + 1);
    if (entry === undefined || (at !== first.offset && heads.has(`${section}:${at}`))) break;
    const target = entryTarget(func, entry, first, context);
    if (target === undefined) break;
    if (target !== 'end') targets.unshift(target);
  }
  return targets;
}

/** The instruction of this function that an entry names; 'end' for the function's end, which Clang leaves in unused entries. */
function entryTarget(
  func: number,
  entry: Relocation,
  first: Relocation,
  { symbols, code }: Context,
): Alternative | 'end' | undefined {
  const section = symbols.section[entry.symbol]!;
  const base = symbols.type(entry.symbol) === STT_SECTION ? 0 : symbols.value(entry.symbol);
  const offset = base + entry.addend - (entry.type === R_X86_64_PC32 ? entry.offset - first.offset : 0);
  if (section === symbols.section[func]) {
    if (offset === symbols.value(func)) return undefined; // a table of functions
    if (offset === symbols.value(func) + symbols.size(func) && entry !== first) return 'end';
  }
  const site = code.at(section, offset);
  if (site === undefined || symbols.whole(code.functionOf(site)) !== func) return undefined;
  return { kind: AlternativeKind.INSTRUCTIONS, section, offset };
}

function entrySize(type: number): number {
  return type === R_X86_64_PC32 || type === R_X86_64_32 || type === R_X86_64_32S || type === R_X86_64_PLT32 ? 4 : 8;
}

function isDirectJump({ code, index }: Site): boolean {
  const opcode = code.bytes[code.instructions[index]!.offset];
  return opcode === 0xe9 || opcode === 0xeb;
}

/** `jmp *r/m`, behind any prefixes. */
function isIndirectJump({ code, index }: Site): boolean {
  const { offset, length, flow, target } = code.instructions[index]!;
  if (!flow || target !== undefined) return false;
  let at = offset;
  while (
    at < offset + length &&
    (code.bytes[at] === 0x3e || code.bytes[at] === 0x66 || (code.bytes[at]! & 0xf0) === 0x40)
  )
    at++;
  return code.bytes[at] === 0xff && (code.bytes[at + 1]! & 0x38) === 0x20;
}
