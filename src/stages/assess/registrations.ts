import { diagnostic, type Diagnostic } from '../../diagnostics';
import { RELA_WORDS, R_ADDEND, R_SYM, s64, type SectionIndex, type WordIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Side } from '../side/side';
import { Kind } from '../scan';

/** How a table's entries are told apart, and what people call them. */
interface Registry {
  what: string;
  entries: (side: Side, section: SectionIndex) => string[];
}

const EXPORT: Registry = { what: 'export', entries: targetsOf };

/** Tables that somebody goes through once, at boot or when a module is loaded, and that a livepatch does not have. */
function tableOf(side: Side, name: string, section: SectionIndex): Registry | undefined {
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

const KNOWN: Readonly<Record<string, string>> = {
  __param: 'module parameter',
  __tracepoints: 'tracepoint',
  _ftrace_events: 'trace event',
  '.init.setup': 'boot parameter',
};

const NOT_TABLES =
  SectionClass.EXEC |
  SectionClass.SPECIAL |
  SectionClass.DERIVED |
  SectionClass.RECORD |
  SectionClass.STRING |
  SectionClass.TOC |
  SectionClass.NOBITS;
/** Content that code refers to, texts of other tables, pointers to their entries, what compilers and the livepatch's own macros write. */
const ORDINARY =
  /^\.(init|exit|meminit|memexit|cpuinit|ref|head|entry|sched|noinstr|spinlock|kprobes|irqentry|softirqentry|fixup)\.(text|data|rodata|bss)|_strings$|_ptrs$|^\.(init_array|fini_array|ctors|dtors|got|opd|smp_locks|klp|kpatch|kunit_init|gnu|s390|vvar|head)|^__versions$|^__(ftr|mmu|fw|lwsync|barrier)/;

/**
 * What PATCHED registers and ORIG does not, or the other way round: exports, module parameters, tracepoints, initcalls, any entry of a section that has a name of its
 * own. The livepatch brings code and data, nobody goes through such a table again.
 */
export function reportRegistrations(
  orig: Side,
  patched: Side,
  ours: ReadonlyMap<string, readonly number[]>,
  theirs: ReadonlyMap<string, readonly number[]>,
  object: string,
): Diagnostic[] {
  const kinds = new Map<string, { section: string; added: string[]; gone: string[] }>();
  for (const name of new Set([...ours.keys(), ...theirs.keys()])) {
    const [a = [], b = []] = [ours.get(name), theirs.get(name)];
    const table = a.length > 0 ? tableOf(orig, name, a[0]!) : tableOf(patched, name, b[0]!);
    if (table === undefined || (a.length === 1 && b.length === 1 && sameEntries(orig, a[0]!, patched, b[0]!))) continue;
    const [before, after] = [
      a.flatMap((section) => table.entries(orig, section)),
      b.flatMap((section) => table.entries(patched, section)),
    ];
    const kind = kinds.get(table.what) ?? { section: name, added: [], gone: [] };
    kinds.set(table.what, {
      section: kind.section,
      added: [...kind.added, ...surplus(after, before)],
      gone: [...kind.gone, ...surplus(before, after)],
    });
  }
  return [...kinds].flatMap(([what, { section, added, gone }]) => {
    const where = (names: string[]): Diagnostic['where'] => ({ object, section, symbol: names[0]! });
    // One that moved from table to table (`EXPORT_SYMBOL` to `_GPL`) is both.
    return [
      ...(added.length === 0
        ? []
        : [
            diagnostic(
              'not-registered',
              `${listed(added)}: ${article(what)} that only PATCHED has; a livepatch registers none, so it works without`,
              where(added),
            ),
          ]),
      ...(gone.length === 0
        ? []
        : [
            diagnostic(
              'not-registered',
              `${listed(gone)}: ${article(what)} that only ORIG has; it stays registered`,
              where(gone),
            ),
          ]),
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
function namesIn(side: Side, section: SectionIndex): string[] | undefined {
  const { coverStart, covers, canonical } = side.table;
  const found: string[] = [];
  for (let i = coverStart[section]!; i < coverStart[section + 1]!; i++)
    if (canonical[covers[i]!] === covers[i]) found.push(side.name(covers[i]!));
  return found.length === 0 ? undefined : found;
}

/** The symbol that the rela at word `at` of a table names, by itself or as a place in a section; 0 for none. */
function targetOf({ table, object, identity }: Side, rela: number, words: Uint32Array, at: WordIndex): number {
  const symbol = words[at + R_SYM]!;
  if (symbol >= table.symbols)
    object.malformed(object.offset(rela), `a rela names symbol ${symbol} of ${table.symbols}`);
  const place = table.section[symbol]!;
  return table.kind[symbol] === Kind.PLACE && place < table.sections
    ? identity.coverAt(place, table.value[symbol]! + s64(words, at + R_ADDEND))
    : symbol;
}

/** Names of what a table's relocations name; not texts (`__kstrtab_X`). */
function targetsOf(side: Side, section: SectionIndex): string[] {
  const rela = side.table.relaSection[section]!;
  const words = rela === 0 ? new Uint32Array(0) : side.object.relas(rela);
  const names: string[] = [];
  for (let at = 0; at < words.length; at += RELA_WORDS) {
    const symbol = targetOf(side, rela, words, at);
    const name = symbol === 0 ? '' : side.name(symbol);
    if (name !== '' && !name.startsWith('__kstrtab')) names.push(name);
  }
  return names;
}

/** Whether a table has the same entries in both builds, one by one: then none of 30,000 names is looked at. */
function sameEntries(orig: Side, a: number, patched: Side, b: number): boolean {
  const [x, y] = [orig.table, patched.table];
  const first = x.coverStart[a]!;
  const other = y.coverStart[b]!;
  const covers = x.coverStart[a + 1]! - first;
  if (covers !== y.coverStart[b + 1]! - other) return false;
  for (let i = 0; i < covers; i++)
    if (!sameName(orig, x.covers[first + i]!, patched, y.covers[other + i]!)) return false;
  if (covers > 0) return true;
  const [relaA, relaB] = [x.relaSection[a]!, y.relaSection[b]!];
  if (relaA === 0 || relaB === 0) return relaA === relaB;
  const [ours, theirs] = [orig.object.relas(relaA), patched.object.relas(relaB)];
  if (ours.length !== theirs.length) return false;
  for (let at = 0; at < ours.length; at += RELA_WORDS)
    if (!sameName(orig, targetOf(orig, relaA, ours, at), patched, targetOf(patched, relaB, theirs, at))) return false;
  return true;
}

function sameName(orig: Side, a: number, patched: Side, b: number): boolean {
  return (
    orig.table.hash[a * 2] === patched.table.hash[b * 2] && orig.table.hash[a * 2 + 1] === patched.table.hash[b * 2 + 1]
  );
}
