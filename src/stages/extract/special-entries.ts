import { R_X86_64_PC32 } from '../../elf';
import { runtimeConstantOf } from '../../livepatch/runtime-constants';
import { RUNTIME_SPECIAL } from '../../livepatch/special-sections';
import { entriesOf } from '../compare/entries';
import { Trait } from '../scan';
import type { Clones, Copy } from './clones';
import type { Dialect } from './dialect';
import type { Links } from './linkage';
import type { Refusals } from './refusals';
import { referencesIn } from './resolve';
import type { CopyInput } from './types';

type Entry = ReturnType<typeof entriesOf>[number];

/**
 * Takes the special-section entries of an included function along: alternatives, bug records, exception fixups, jump labels,
 * static calls. Runtime constants become loads instead.
 */
export function keepEntries(input: CopyInput, dialect: Dialect, clones: Clones, linkage: Links, refusals: Refusals, copy: Copy, symbol: number): void {
  for (const entry of entriesOf(input.patched, symbol)) {
    if (entry.table.special === RUNTIME_SPECIAL) loadInstead(input, linkage, clones, refusals, copy, symbol, entry);
    else if (worksLate(input, dialect, linkage, refusals, copy, entry)) {
      clones.entry({ section: entry.table.section, start: entry.start, end: entry.start + entry.table.size });
    }
  }
}

/** Where pr_debug() keeps its records; the section's name until 5.10 is the second one. */
const DEBUG_RECORDS: ReadonlySet<string> = new Set(['__dyndbg', '__verbose']);

/**
 * Whether an entry works although the livepatch core applies relocations to modules' symbols only after jump labels and static
 * calls of the livepatch are set up. Its key must then not be a module's.
 */
function worksLate(input: CopyInput, dialect: Dialect, linkage: Links, refusals: Refusals, copy: Copy, { table, start, site }: Entry): boolean {
  const { patched } = input;
  const { name } = table.rules;
  if (name !== '__jump_table' && name !== '.static_call_sites') return true;
  const keys = referencesIn(patched, { section: table.section, start, end: start + table.size }).filter(({ field }) => table.references.includes(field - start));
  for (const key of keys) {
    if (key.kind !== 'symbol' && key.kind !== 'undefined') continue;
    if (key.kind === 'symbol' && !patched.table.has(key.symbol, Trait.OBJECT)) continue;
    const link = linkage.of(key.symbol, key.kind === 'symbol' ? key.named : key.symbol, copy, site);
    const late = link.kind === 'klp' && link.target.module !== 'vmlinux' ? `belongs to module ${link.target.module}` : name === '__jump_table' && !dialect.jumpLabels ? 'is out of reach' : undefined;
    if (late === undefined) continue;
    const keyName = patched.name(key.symbol);
    const section = patched.object.name(copy.range.section);
    if (name === '__jump_table' && (keyName.startsWith('__tracepoint_') || keyName.includes('__UNIQUE_ID_ddebug_') || DEBUG_RECORDS.has(patched.sectionName(key.symbol)))) {
      const what = keyName.startsWith('__tracepoint_') ? `tracepoint ${keyName.slice('__tracepoint_'.length)}` : 'pr_debug()';
      refusals.add('late-key-dropped', keyName, section, site, `${copy.name}: ${what} stays off, for its key ${late}`);
    } else if (!keyName.startsWith('__SCK__tp_func_')) {
      refusals.add('late-key', keyName, section, site, `${copy.name} uses the ${name === '__jump_table' ? 'static branch' : 'static call'} key ${keyName}, which ${late} when such keys are set up`);
    }
    return false;
  }
  return name !== '__jump_table' || dialect.jumpLabels;
}

/** Opcode of `mov r/m64, r64`, and what makes `REX B8+r imm64` as long as the load that replaces it. */
const LOAD = 0x8b;
const NOP3 = [0x0f, 0x1f, 0x00];

/**
 * Turns `mov $placeholder, %r`, an immediate that boot code fills in in vmlinux only, into `mov X(%rip), %r` and a nop: 10 bytes
 * both, so that nothing behind moves. Upstream leaves the placeholder: a cloned `__fput` would free into 0x0123456789abcdef.
 * That the instruction can be replaced was checked by the stage assess.
 */
function loadInstead(input: CopyInput, linkage: Links, clones: Clones, refusals: Refusals, copy: Copy, symbol: number, { table, site }: Entry): void {
  const { patched } = input;
  const constant = runtimeConstantOf(patched.object.name(table.section));
  if (constant === undefined || constant.kind !== 'ptr') return;
  const start = copy.start + patched.table.value[symbol]! + site - 2 - copy.range.start;
  const code = copy.section.bytes.subarray(start, start + 10);
  const rex = code[0]!;
  const opcode = code[1]!;
  // Refused already, with the reason.
  if (code.length < 10 || (rex !== 0x48 && rex !== 0x49) || (opcode & 0xf8) !== 0xb8) return;
  const variables = variablesNamed(input, constant.variable, symbol);
  if (variables.length !== 1) {
    const found = variables.length === 0 ? 'no variable has' : `${variables.length} variables have`;
    refusals.add('runtime-constant', copy.name, patched.object.name(copy.range.section), site, `${copy.name} holds ${constant.variable} in its code, and ${found} that name`);
    return;
  }
  code.set([rex === 0x49 ? 0x4c : 0x48, LOAD, 0x05 | ((opcode & 7) << 3), 0, 0, 0, 0, ...NOP3]);
  const variable = variables[0]!;
  const link = linkage.of(variable, variable, copy, site);
  const offset = start + 3;
  if (link.kind === 'import') copy.section.relas.push({ offset, type: R_X86_64_PC32, symbol: clones.output.reference(link.name, patched.table.info[variable]!), addend: -4 });
  else if (link.kind === 'klp') clones.output.klpRelas.push({ section: copy.section, offset, type: R_X86_64_PC32, target: clones.output.klpSymbol(link.target), addend: -4 });
  else if (link.kind === 'clone') copy.section.relas.push({ offset, type: R_X86_64_PC32, symbol: clones.of(variable) ?? clones.object(variable), addend: -4 });
  else if (input.undecided.has(variable)) refusals.add('runtime-constant', copy.name, patched.object.name(copy.range.section), site, `${copy.name} holds ${constant.variable} in its code, and nothing tells which one of ORIG that is`);
}

/** The 8-byte variables that `X` of `runtime_ptr_X` can mean: a static one of the function's own unit, else globals, else the only static one. */
function variablesNamed({ patched }: CopyInput, variable: string, user: number): number[] {
  const { table } = patched;
  const all: number[] = [];
  for (let i = 0; i < table.listedCount; i++) {
    const symbol = table.listed[i]!;
    if (!table.has(symbol, Trait.OBJECT) || table.size[symbol] !== 8 || table.canonical[symbol] !== symbol) continue;
    // LTO may have promoted it: `__names_cache.llvm.123`.
    const name = patched.name(symbol);
    if (name === variable || (name.startsWith(variable) && name.startsWith('.llvm.', variable.length))) all.push(symbol);
  }
  const own = all.filter((symbol) => table.file[symbol] !== 0 && table.file[symbol] === table.file[user]);
  if (own.length > 0) return own;
  const global = all.filter((symbol) => table.file[symbol] === 0);
  return global.length > 0 ? global : all;
}
