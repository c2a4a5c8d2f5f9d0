import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, s64, u64, type SymbolIndex } from '../../elf';
import type { Pairing } from '../correlate';
import { entryDigest, specialTables, type SpecialEntry, type SpecialTable } from '../scan/entries';
import { EntryIndex } from '../side/entry-index';
import { Trait } from '../scan';
import { matchTargets } from './match';
import { sameSymbol } from '../correlate/same-symbol';
import type { Range, RelaAt } from '../side/range';
import type { Side } from '../side/side';
import { describeTarget, resolveTarget, type Target } from '../places/target';
import type { CountedEntries } from './change';
import type { Difference } from './verdict';
import { RUNTIME_SPECIAL } from '../../kernel/special-sections';

interface OwnedEntry extends SpecialEntry {
  table: SpecialTable;
  /** Equal for entries of equal meaning. */
  key: string;
}

/** Special-section entries that describe a function, in table and file order. */
export function entriesOf(side: Side, symbol: SymbolIndex): OwnedEntry[] {
  let index = known.get(side);
  if (index === undefined)
    known.set(side, (index = new EntryIndex(side.identity, specialTables(side.identity, side.structSizes, []))));
  return index.of(symbol).map(({ table, entry }) => ({
    ...entry,
    table,
    key: `${table.special}:${entry.site}:${entryDigest(side.identity, table, entry).join()}`,
  }));
}

const known = new WeakMap<Side, EntryIndex>();

/** What people call the entries of a table. */
const CALLED: Readonly<Record<string, string>> = {
  '.altinstructions': 'alternative',
  __bug_table: 'bug',
  __ex_table: 'exception',
};

/** What people call an entry. */
export function entryName({ table: { special, rules } }: Pick<OwnedEntry, 'table'>): string {
  return special === RUNTIME_SPECIAL ? 'runtime constant' : (rules.key ?? CALLED[rules.name] ?? rules.name);
}

/** How many entries of each name describe a function in each build. */
export function countedEntries(a: Side, b: Side, symbolA: SymbolIndex, symbolB: SymbolIndex): CountedEntries[] {
  const counts = new Map<string, CountedEntries>();
  for (const [build, side, symbol] of [
    ['orig', a, symbolA],
    ['patched', b, symbolB],
  ] as const) {
    const { special } = side.table;
    // The digest of no entries: then the index, which takes a pass over all tables, is not made.
    if (special[symbol * 2] === 0 && special[symbol * 2 + 1] === 0) continue;
    for (const entry of entriesOf(side, symbol)) {
      const name = entryName(entry);
      const count = counts.get(name) ?? { name, orig: 0, patched: 0 };
      count[build]++;
      counts.set(name, count);
    }
  }
  return [...counts.values()];
}

/** The first entry, by site, that one function has and its twin does not; undefined if they agree. */
export function firstEntryDifference(
  pairing: Pairing,
  a: Side,
  b: Side,
  symbolA: SymbolIndex,
  symbolB: SymbolIndex,
): Difference | undefined {
  const { orig, patched } = pairing;
  const equal =
    orig.special[symbolA * 2] === patched.special[symbolB * 2] &&
    orig.special[symbolA * 2 + 1] === patched.special[symbolB * 2 + 1];
  if (equal)
    return orig.has(symbolA, Trait.HAS_USES) || patched.has(symbolB, Trait.HAS_USES)
      ? firstKeyDifference(pairing, a, b, symbolA, symbolB)
      : undefined;
  const ours = entriesOf(a, symbolA);
  const theirs = entriesOf(b, symbolB);
  const onlyOurs = without(ours, theirs);
  const onlyTheirs = without(theirs, ours);
  // What is left may differ in nothing but the hash of a name that another partition defines.
  for (const [i, entry] of [...onlyOurs.entries()].reverse()) {
    const other = onlyTheirs.findIndex((candidate) => sameButHashes(pairing, a, b, entry, candidate));
    if (other < 0) continue;
    onlyOurs.splice(i, 1);
    onlyTheirs.splice(other, 1);
  }
  const first = [...onlyOurs, ...onlyTheirs].sort((x, y) => x.site - y.site)[0];
  if (first === undefined) return undefined;
  const same = (entry: OwnedEntry): boolean => entry.site === first.site && entry.table.special === first.table.special;
  const text = (side: Side, entry: OwnedEntry | undefined): string =>
    entry === undefined ? `no entry in ${first.table.rules.name}` : describeEntry(side, entry);
  return { offset: first.site, orig: text(a, onlyOurs.find(same)), patched: text(b, onlyTheirs.find(same)) };
}

/** Whether two entries of one site have the same meaning by what their references are, not by the names in their digests. */
function sameButHashes(pairing: Pairing, a: Side, b: Side, x: OwnedEntry, y: OwnedEntry): boolean {
  if (x.site !== y.site || x.table.special !== y.table.special || x.table.size !== y.table.size) return false;
  // Of a runtime constant the section's name says which variable it is.
  if (a.object.name(x.table.section) !== b.object.name(y.table.section)) return false;
  const meaning = (side: Side, { table, start }: OwnedEntry): string =>
    table.meaning
      .map(([from, to]) =>
        Buffer.from(side.object.content(table.section).subarray(start + from, start + to)).toString('hex'),
      )
      .join();
  if (meaning(a, x) !== meaning(b, y)) return false;
  const [codeX, codeY] = [replacementOf(a, x.table, x), replacementOf(b, y.table, y)];
  const bytes = (side: Side, range: Range | undefined): Uint8Array =>
    range === undefined ? new Uint8Array(0) : side.object.content(range.section).subarray(range.start, range.end);
  if (Buffer.compare(bytes(a, codeX), bytes(b, codeY)) !== 0) return false;
  const targets = (side: Side, entry: OwnedEntry, code: Range | undefined): Array<{ at: number; target: Target }> => [
    ...referencesOf(entry).map((rela) => ({
      at: rela.offset - entry.start,
      target: resolveTarget(side, rela, entry.table.section, 0),
    })),
    ...(code === undefined
      ? []
      : Array.from(side.relasIn(code), (rela) => ({
          at: rela.offset - code.start,
          target: resolveTarget(side, rela, code.section, 0),
        }))),
  ];
  const [ours, theirs] = [targets(a, x, codeX), targets(b, y, codeY)];
  return (
    ours.length === theirs.length &&
    ours.every(
      ({ at, target }, i) =>
        at === theirs[i]!.at && matchTargets({ pairing, a, b }, target, theirs[i]!.target, NO_UNITS) === 'same',
    )
  );
}

const NO_UNITS: ReadonlySet<string> = new Set();

/** The first entry that refers to another symbol of the same name: two `___once_key.N` differ in nothing else. */
function firstKeyDifference(
  pairing: Pairing,
  a: Side,
  b: Side,
  symbolA: SymbolIndex,
  symbolB: SymbolIndex,
): Difference | undefined {
  const byKey = (x: OwnedEntry, y: OwnedEntry): number => (x.key < y.key ? -1 : x.key > y.key ? 1 : x.start - y.start);
  const ours = entriesOf(a, symbolA).sort(byKey);
  const theirs = entriesOf(b, symbolB).sort(byKey);
  for (const [i, entry] of ours.entries()) {
    const other = theirs[i];
    if (other === undefined || other.key !== entry.key) continue;
    const x = symbolsOf(a, entry);
    const y = symbolsOf(b, other);
    // A record (`struct _ddebug`) has no twin: its content is in the key.
    if (
      x.some(
        (target, k) =>
          a.table.has(target, Trait.CORRELATABLE) &&
          y[k] !== undefined &&
          y[k] !== 0 &&
          !sameSymbol(pairing, target, y[k]!),
      )
    ) {
      return { offset: entry.site, orig: describeEntry(a, entry), patched: describeEntry(b, other) };
    }
  }
  return undefined;
}

/** What an entry, or the code that it puts in its site's place, refers to, as canonical symbols; 0 for places without one. */
function symbolsOf(side: Side, entry: OwnedEntry): number[] {
  const range = replacementOf(side, entry.table, entry);
  return [
    ...referencesOf(entry).map((rela) => resolveTarget(side, rela, entry.table.section, 0).symbol),
    ...(range === undefined
      ? []
      : Array.from(side.relasIn(range), (rela) => resolveTarget(side, rela, range.section, 0).symbol)),
  ];
}

/** The relas of an entry that belong to its meaning: not its site, nor a file name. */
export function referencesOf({
  relas: { words, at, stop },
  start,
  table,
}: Pick<OwnedEntry, 'relas' | 'start' | 'table'>): RelaAt[] {
  const found: RelaAt[] = [];
  for (let i = at; i < stop; i += RELA_WORDS) {
    const offset = u64(words, i + R_OFFSET);
    if (table.references.includes(offset - start)) found.push({ words, at: i, offset });
  }
  return found;
}

/** The source line that an entry holds; undefined for entries without one. */
export function lineOf({ object }: Side, { table, start }: OwnedEntry): number | undefined {
  const line = table.rules.line?.(table.size);
  if (line === undefined) return undefined;
  const [low, high] = object.content(table.section).subarray(start + line[0], start + line[1]);
  return object.little ? low! | (high! << 8) : (low! << 8) | high!;
}

/** The code that an alternatives entry puts in its site's place; undefined for other entries and for none. */
export function replacementOf(
  side: Side,
  table: SpecialTable,
  { relas: { words, at, stop }, start }: SpecialEntry,
): Range | undefined {
  const { replacement } = table.rules;
  if (replacement === undefined) return undefined;
  const length = side.object.content(table.section)[start + replacement.length(table.size)]!;
  for (let i = at; i < stop; i += RELA_WORDS) {
    if (u64(words, i + R_OFFSET) !== start + replacement.field) continue;
    const symbol = words[i + R_SYM]!;
    const section = side.table.section[symbol]!;
    const place = side.table.value[symbol]! + s64(words, i + R_ADDEND);
    // A zero-length replacement's address means nothing: it is the next entry's.
    return length > 0 && section < side.table.sections ? { section, start: place, end: place + length } : undefined;
  }
  return undefined;
}

/** Entries of `list` whose meaning does not occur in `other`, counting repetitions. */
function without(list: OwnedEntry[], other: OwnedEntry[]): OwnedEntry[] {
  const counts = new Map<string, number>();
  for (const { key } of other) counts.set(key, (counts.get(key) ?? 0) + 1);
  return list.filter(({ key }) => {
    const left = counts.get(key) ?? 0;
    counts.set(key, left - 1);
    return left <= 0;
  });
}

function describeEntry(side: Side, entry: OwnedEntry): string {
  const { rules, section } = entry.table;
  const parts: string[] = [];
  const content = side.object.content(section);
  for (const [first, last] of entry.table.meaning)
    parts.push(Buffer.from(content.subarray(entry.start + first, entry.start + last)).toString('hex'));
  for (const rela of referencesOf(entry)) parts.push(describeTarget(side, resolveTarget(side, rela, section, 0)));
  return `${rules.name}: ${parts.join(' ')}`;
}
