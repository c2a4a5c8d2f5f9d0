import { diagnostic, type Diagnostic } from '../../diagnostics';
import { RELA_WORDS, R_ADDEND, R_SYM, s64 } from '../../elf';
import { SectionClass } from '../../livepatch/section-class';
import type { Side } from '../compare';
import { Kind } from '../scan';

/** How a table's entries are told apart, and what people call them. */
interface Table {
  what: string;
  entries: (side: Side, section: number) => string[];
}

const EXPORT: Table = { what: 'export', entries: targetsOf };

/** Tables that somebody goes through once, at boot or when a module is loaded, and that a livepatch does not have. */
function tableOf(side: Side, name: string, section: number): Table | undefined {
  // Until 6.4 a section an export, `___ksymtab_gpl+NAME`.
  if (/^___ksymtab(_gpl)?\+/.test(name)) return { what: 'export', entries: () => [name.slice(name.indexOf('+') + 1)] };
  if (name === '.export_symbol' || /^__ksymtab(_gpl)?$/.test(name)) return EXPORT;
  if (/initcall/.test(name)) return { what: 'initcall', entries: (of, at) => namesIn(of, at) ?? targetsOf(of, at) };
  if (/^\.exitcall/.test(name)) return { what: 'exit call', entries: (of, at) => namesIn(of, at) ?? targetsOf(of, at) };
  const bits = side.table.sectionClass[section]!;
  if ((bits & SectionClass.ALLOC) === 0 || (bits & NOT_TABLES) !== 0 || ORDINARY.test(name)) return undefined;
  const what = KNOWN[name] ?? `entry of ${name}`;
  return { what, entries: (of, at) => namesIn(of, at) ?? [] };
}

const KNOWN: Readonly<Record<string, string>> = { __param: 'module parameter', __tracepoints: 'tracepoint', _ftrace_events: 'trace event', '.init.setup': 'boot parameter' };

const NOT_TABLES = SectionClass.EXEC | SectionClass.SPECIAL | SectionClass.DERIVED | SectionClass.RECORD | SectionClass.STRING | SectionClass.TOC | SectionClass.NOBITS;
/** Content that code refers to, texts of other tables, pointers to their entries, what compilers and the livepatch's own macros write. */
const ORDINARY = /^\.(init|exit|meminit|memexit|cpuinit|ref|head|entry|sched|noinstr|spinlock|kprobes|irqentry|softirqentry|fixup)\.(text|data|rodata|bss)|_strings$|_ptrs$|^\.(init_array|fini_array|ctors|dtors|got|opd|smp_locks|klp|kpatch|kunit_init|gnu|s390|vvar|head)|^__versions$|^__(ftr|mmu|fw|lwsync|barrier)/;

/**
 * What PATCHED registers and ORIG does not, or the other way round: exports, module parameters, tracepoints, initcalls, any entry of a section that has a name of its
 * own. The livepatch brings code and data, nobody goes through such a table again.
 */
export function tellRegistrations(orig: Side, patched: Side, ours: ReadonlyMap<string, readonly number[]>, theirs: ReadonlyMap<string, readonly number[]>, object: string): Diagnostic[] {
  const kinds = new Map<string, { section: string; added: string[]; gone: string[] }>();
  for (const name of new Set([...ours.keys(), ...theirs.keys()])) {
    const [a = [], b = []] = [ours.get(name), theirs.get(name)];
    const table = a.length > 0 ? tableOf(orig, name, a[0]!) : tableOf(patched, name, b[0]!);
    if (table === undefined || (table.entries === targetsOf && sameTargets(orig, a, patched, b))) continue;
    const [before, after] = [a.flatMap((section) => table.entries(orig, section)), b.flatMap((section) => table.entries(patched, section))];
    const kind = kinds.get(table.what) ?? { section: name, added: [], gone: [] };
    kinds.set(table.what, { section: kind.section, added: [...kind.added, ...surplus(after, before)], gone: [...kind.gone, ...surplus(before, after)] });
  }
  return [...kinds].flatMap(([what, { section, added, gone }]) => {
    const where = (names: string[]): Diagnostic['where'] => ({ object, section, symbol: names[0]! });
    // One that moved from table to table (`EXPORT_SYMBOL` to `_GPL`) is both.
    return [
      ...(added.length === 0 ? [] : [diagnostic('not-registered', `${listed(added)}: ${article(what)} that only PATCHED has; a livepatch registers none, so it works without`, where(added))]),
      ...(gone.length === 0 ? [] : [diagnostic('not-registered', `${listed(gone)}: ${article(what)} that only ORIG has; it stays registered`, where(gone))]),
    ];
  });
}

/** Names for one message. */
const MOST = 12;

function listed(names: readonly string[]): string {
  return names.slice(0, MOST).join(', ') + (names.length > MOST ? ` and ${names.length - MOST} more` : '');
}

function article(what: string): string {
  return `${/^[aei]/.test(what) ? 'an' : 'a'} ${what}`;
}

/** The elements of `list` that `other` lacks. Numbers in names count something (`__pci_fixup_quirk_foo1234`) and prove nothing. */
function surplus(list: readonly string[], other: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const name of other) left.set(unnumbered(name), (left.get(unnumbered(name)) ?? 0) + 1);
  const exact = new Set(other);
  return list.filter((name) => {
    const count = left.get(unnumbered(name)) ?? 0;
    if (count > 0) left.set(unnumbered(name), count - 1);
    return count === 0 && !exact.has(name);
  });
}

function unnumbered(name: string): string {
  return name.replace(/\d+/g, '0');
}

/** Names of the sized symbols of a section; undefined where it has none. */
function namesIn(side: Side, section: number): string[] | undefined {
  const { coverStart, covers, canonical } = side.table;
  const found: string[] = [];
  for (let i = coverStart[section]!; i < coverStart[section + 1]!; i++) if (canonical[covers[i]!] === covers[i]) found.push(side.name(covers[i]!));
  return found.length === 0 ? undefined : found;
}

/** Symbols that a table's relocations name; not texts (`__kstrtab_X`). */
function* symbolsOf(side: Side, section: number): Generator<number> {
  const { table, object, identity } = side;
  const rela = table.relaSection[section]!;
  if (rela === 0) return;
  const words = object.relas(rela);
  for (let at = 0; at < words.length; at += RELA_WORDS) {
    const symbol = words[at + R_SYM]!;
    if (symbol >= table.symbols) object.malformed(object.offset(rela), `a rela of section ${section} names symbol ${symbol} of ${table.symbols}`);
    const place = table.section[symbol]!;
    yield table.kind[symbol] === Kind.PLACE && place < table.sections ? identity.coverAt(place, table.value[symbol]! + s64(words, at + R_ADDEND)) : symbol;
  }
}

function targetsOf(side: Side, section: number): string[] {
  const names = Array.from(symbolsOf(side, section), (symbol) => (symbol === 0 ? '' : side.name(symbol)));
  return names.filter((name) => name !== '' && !name.startsWith('__kstrtab'));
}

/** Whether two builds' tables name the same, entry by entry: 30,000 exports need no text then. */
function sameTargets(orig: Side, a: readonly number[], patched: Side, b: readonly number[]): boolean {
  const hashes = (side: Side, sections: readonly number[]): number[] => sections.flatMap((section) => Array.from(symbolsOf(side, section), (symbol) => side.table.hash[symbol * 2]! + side.table.hash[symbol * 2 + 1]! * 2 ** 20));
  const [x, y] = [hashes(orig, a), hashes(patched, b)];
  return x.length === y.length && x.every((hash, i) => hash === y[i]);
}
