import type { Context } from '../context';
import { bugEntrySize, entriesOf, type Entry } from '../entries';
import { targetInData, type Target } from '../references';
import { KEY_FIELDS, isLate } from '../module-keys';
import { TABLES, entrySize, type Table, type TableKind } from '../tables';
import type { Pair } from './code';
import { identityInModule, identityInObject, refersToSame, type Identity } from './identity';
import type { ReferenceObject, ReferenceRela } from './object';

/** Tables whose entries follow their function: all but seals, without which a module may go. */
const KINDS = (Object.keys(TABLES) as TableKind[]).filter((kind) => kind !== 'seals');

/** Fields that refer to something, besides the first. */
const REFERENCES: Partial<Record<TableKind, readonly number[]>> = {
  exceptions: [4],
  jumpLabels: [4, 8],
  staticCalls: [4],
  bugs: [4, 8],
};

const ORC_WORDS = '.orc_unwind';
const ORC_WORD = 6;

export const TABLE_NAMES: readonly string[] = [
  ...KINDS.flatMap((kind) => TABLES[kind].names as readonly string[]),
  ORC_WORDS,
];

/** An entry of the object's table. */
interface ObjectEntry {
  object: ReferenceObject;
  section: number;
  offset: number;
  bytes: Uint8Array;
  relas: ReadonlyMap<number, ReferenceRela>;
}

/** Each entry that the object has for a function is in the module, for the same instruction and with the same content, and no other is. */
export function compareTables(context: Context, pairs: readonly Pair[]): void {
  for (const kind of KINDS) {
    const ours = moduleEntries(context, kind);
    const theirs = objectEntries(context, kind, pairs);
    for (const pair of pairs) {
      const { section, symbol, object, original } = pair;
      const { value, size } = symbol;
      const wanted = new Map<number, ObjectEntry[]>();
      for (const [at, list] of theirs.get(object)?.get(original.section) ?? [])
        if (at >= original.value && at < original.value + original.size) wanted.set(at - original.value, list);
      const here = ours.get(section.index) ?? new Map<number, Entry[]>();
      for (const [at, list] of wanted) {
        const mine = kind === 'unwind' ? seenByUnwinder(context, here.get(value + at)) : (here.get(value + at) ?? []);
        const late = mine.length === 0 && list.every((entry) => isLate(context, keyOf(kind, entry)));
        if (late && isOfModule(context, pairs, pair)) continue;
        if (mine.length < list.length)
          context.findings.add(
            'verify-missing-entry',
            { section, offset: value + at },
            `the object has ${list.length === 1 ? 'an entry' : `${list.length} entries`} in ${TABLES[kind].names[0]} here, the module ${mine.length === 0 ? 'none' : mine.length}`,
          );
        else list.forEach((entry, i) => compareEntry(context, kind, mine[i]!, entry));
      }
      for (const [at, list] of here)
        if (at >= value && at < value + size && !wanted.has(at - value))
          list[0]!.add(`the object has no entry for ${list[0]!.name({ section, offset: at })}`);
    }
  }
}

/** Whether a function replaces a module's; of one that replaces none the others of its object tell. */
function isOfModule({ replacements }: Context, pairs: readonly Pair[], { section, symbol, object }: Pair): boolean {
  const owner = (one: Pick<Pair, 'section' | 'symbol'>): string | undefined =>
    replacements.get(`${one.section.index}:${one.symbol.value}`)?.object;
  const own = owner({ section, symbol });
  if (own !== undefined) return own !== 'vmlinux';
  return pairs.some((pair) => pair.object === object && !['vmlinux', undefined].includes(owner(pair)));
}

/** The name of an entry's key; none where it has none. */
function keyOf(kind: TableKind, { object, offset, relas }: ObjectEntry): string {
  const field = KEY_FIELDS[kind];
  const rela = field === undefined ? undefined : relas.get(offset + field);
  if (rela === undefined) return '';
  // A key's lowest bits say what the code does now.
  const [name = ''] = identityInObject(object, rela.symbol, rela.addend - (rela.addend & 3)).names;
  return name.replace(/\+0x[0-9a-f]+$/, '');
}

/** Entries of the module by the section and offset that they are for. */
function moduleEntries(context: Context, kind: TableKind): Map<number, Map<number, Entry[]>> {
  const found = new Map<number, Map<number, Entry[]>>();
  for (const entry of entriesOf(context, kind, false)) {
    const rela = context.module.relaAt(entry.section, entry.offset);
    const target = rela && targetInData(context.module, rela);
    if (target?.in === 'module') put(found, target.section.index, target.offset, entry);
  }
  return found;
}

/** Entries of the objects that are for a section of one of the pairs. */
function objectEntries(
  context: Context,
  kind: TableKind,
  pairs: readonly Pair[],
): Map<ReferenceObject, Map<number, Map<number, ObjectEntry[]>>> {
  const all = new Map<ReferenceObject, Map<number, Map<number, ObjectEntry[]>>>();
  for (const object of new Set(pairs.map((pair) => pair.object))) {
    const wanted = new Set(pairs.filter((pair) => pair.object === object).map(({ original }) => original.section));
    const found = new Map<number, Map<number, ObjectEntry[]>>();
    for (const name of TABLES[kind].names)
      for (const section of object.sections(name)) readTable(context, TABLES[kind], object, section, wanted, found);
    readTargets(kind, object, found);
    all.set(object, found);
  }
  return all;
}

/** Symbols of the sections that the entries refer to. */
function readTargets(
  kind: TableKind,
  object: ReferenceObject,
  found: ReadonlyMap<number, ReadonlyMap<number, readonly ObjectEntry[]>>,
): void {
  const sections = new Set<number>();
  for (const places of found.values()) {
    for (const { offset, relas } of [...places.values()].flat()) {
      for (const at of REFERENCES[kind] ?? []) {
        const rela = relas.get(offset + at);
        if (rela !== undefined) sections.add(object.sectionOf(rela.symbol));
      }
      const replacement = kind === 'alternatives' ? relas.get(offset + 4) : undefined;
      if (replacement !== undefined)
        for (const rela of replacementRelas(object, object.sectionOf(replacement.symbol)))
          sections.add(object.sectionOf(rela.symbol));
    }
  }
  object.readSymbols(sections);
}

function readTable(
  context: Context,
  table: Table,
  object: ReferenceObject,
  section: number,
  wanted: ReadonlySet<number>,
  found: Map<number, Map<number, ObjectEntry[]>>,
): void {
  const { elf } = object;
  const bytes = elf.content(section);
  const measured =
    elf.name(section) === '__bug_table'
      ? bugEntrySize(bytes.length, new Set(object.relas(section, () => true).map(({ offset }) => offset)))
      : elf.name(section) === '.altinstructions'
        ? context.module.machine.alternative
        : undefined;
  const size = entrySize(context, table, { entsize: elf.entsize(section) }, measured);
  // A kernel's tables have a million relocations, of which a livepatch needs a few dozen.
  const sites = object.relas(
    section,
    (offset, symbol) => offset % size === 0 && offset + size <= bytes.length && wanted.has(object.sectionOf(symbol)),
  );
  const entries = new Set(sites.map(({ offset }) => offset));
  const relas = new Map(
    object.relas(section, (offset) => entries.has(offset - (offset % size))).map((rela) => [rela.offset, rela]),
  );
  for (const { offset, symbol, addend } of sites) {
    const { section: code, value } = object.symbol(symbol);
    put(found, code, value + addend, { object, section, offset, bytes: bytes.subarray(offset, offset + size), relas });
  }
}

function put<T>(found: Map<number, Map<number, T[]>>, section: number, offset: number, entry: T): void {
  let places = found.get(section);
  if (places === undefined) found.set(section, (places = new Map()));
  const list = places.get(offset);
  if (list === undefined) places.set(offset, [entry]);
  else list.push(entry);
}

/** What an entry says besides its place: plain fields, references, the replacement's code or the ORC word behind it. */
function compareEntry(context: Context, kind: TableKind, ours: Entry, theirs: ObjectEntry): void {
  const differ = (message: string, at = 0): void =>
    ours.add(`${message} for ${describePlace(context, ours)}`, at, 'verify-object-differs');
  const relocated = (at: number): boolean =>
    [0, 1, 2, 3, 4, 5, 6, 7].some((back) => {
      const rela = theirs.relas.get(theirs.offset + at - back);
      return rela !== undefined && at - back >= 0 && back < (context.module.machine.widths[rela.type] ?? 4);
    });
  const plain = theirs.bytes.findIndex((byte, at) => !relocated(at) && byte !== ours.bytes[at]);
  if (plain >= 0) differ('another content than the object has', plain);
  for (const at of REFERENCES[kind] ?? []) {
    const rela = theirs.relas.get(theirs.offset + at);
    if (rela === undefined || at >= ours.size) continue;
    const target = context.module.relaAt(ours.section, ours.offset + at);
    if (target === undefined) {
      differ('no relocation where the object has one', at);
      continue;
    }
    const expected = identityInObject(theirs.object, rela.symbol, rela.addend);
    const found = identityInModule(context.module, targetInData(context.module, target));
    if (!refersToSame(expected, found) && !(kind === 'staticCalls' && isTrampoline(expected, found)))
      differ(`a reference to ${found.text}, in the object to ${expected.text},`, at);
  }
  if (kind === 'alternatives') compareReplacement(context, ours, theirs, differ);
  if (kind === 'unwind' && wordOf(context, ours) !== objectWord(theirs)) differ('another ORC word than the object has');
}

function describePlace({ module }: Context, entry: Entry): string {
  const rela = module.relaAt(entry.section, entry.offset);
  const target: Target | undefined = rela && targetInData(module, rela);
  return target?.in === 'module' ? entry.name(target) : '?';
}

/**
 * Where one function ends and the next begins at once, as a cold part does before 6.4, that address has two entries: the kernel's sort (orc_sort_cmp of
 * arch/x86/kernel/unwind_orc.c) puts the end of what lies before it to the left, where lookups do not come.
 */
function seenByUnwinder(context: Context, entries: Entry[] = []): Entry[] {
  const begun = entries.filter((entry) => !/^0*$/.test(wordOf(context, entry) ?? ''));
  return entries.length > 1 && begun.length > 0 ? begun : entries;
}

/** Instead of a key that is not exported a module may name the trampoline; the loader finds the key by it. */
function isTrampoline(expected: Identity, found: Identity): boolean {
  return [...expected.names].some((name) => name.startsWith('__SCK__') && found.names.has(`__SCT__${name.slice(7)}`));
}

function wordOf({ module }: Context, { offset }: Entry): string | undefined {
  const at = (offset / 4) * ORC_WORD;
  const words = module.section(ORC_WORDS)?.bytes.subarray(at, at + ORC_WORD);
  return words && Buffer.from(words).toString('hex');
}

function objectWord({ object, section, offset }: ObjectEntry): string | undefined {
  const [words] = object.sections(ORC_WORDS);
  if (words === undefined || object.sections('.orc_unwind_ip')[0] !== section) return undefined;
  const at = (offset / 4) * ORC_WORD;
  return Buffer.from(object.elf.content(words).subarray(at, at + ORC_WORD)).toString('hex');
}

/** The replacement's bytes, and what its relocated fields refer to. Lengths have been compared with the other plain fields. */
function compareReplacement(
  context: Context,
  ours: Entry,
  { object, bytes, offset, relas }: ObjectEntry,
  differ: (message: string, at: number) => void,
): void {
  const { module } = context;
  const length = bytes[bytes.length - 1]!;
  const theirs = relas.get(offset + 4);
  const rela = module.relaAt(ours.section, ours.offset + 4);
  const target = rela && targetInData(module, rela);
  if (length === 0 && theirs !== undefined && target !== undefined && isCallback(context, bytes)) {
    const expected = identityInObject(object, theirs.symbol, theirs.addend);
    if (!refersToSame(expected, identityInModule(module, target))) differ('another callback than the object has', 4);
  }
  if (length === 0 || theirs === undefined || target?.in !== 'module') return;
  const { section, value } = object.symbol(theirs.symbol);
  const start = value + theirs.addend;
  const inside = (at: number): boolean => at >= 0 && at < length;
  const fields = new Map<number, ReferenceRela>();
  for (const field of replacementRelas(object, section))
    if (inside(field.offset - start)) fields.set(field.offset - start, field);
  const masked = new Set([...fields.keys()].flatMap((at) => [at, at + 1, at + 2, at + 3]));
  const code = object.elf.content(section).subarray(start, start + length);
  if (code.some((byte, at) => !masked.has(at) && byte !== target.section.bytes[target.offset + at]))
    differ('another replacement than the object has', 4);
  for (const [at, field] of fields) {
    const mine = module.relaAt(target.section, target.offset + at);
    // Relative fields count from the same place on both sides.
    const same =
      mine !== undefined &&
      refersToSame(
        identityInObject(object, field.symbol, field.addend + 4),
        identityInModule(module, targetInData(module, { ...mine, addend: mine.addend + 4 })),
      );
    if (!same && field.type !== 0) differ('a replacement that refers to something else than in the object', 4);
  }
}

/** Whether an alternative is written by a function that its second field names. */
function isCallback({ module }: Context, bytes: Uint8Array): boolean {
  const feature = bytes[8]! | (bytes[9]! << 8);
  return (feature & module.machine.callback) !== 0;
}

const RELAS = new WeakMap<ReferenceObject, Map<number, ReferenceRela[]>>();

function replacementRelas(object: ReferenceObject, section: number): readonly ReferenceRela[] {
  let known = RELAS.get(object);
  if (known === undefined) RELAS.set(object, (known = new Map()));
  let list = known.get(section);
  if (list === undefined) known.set(section, (list = object.relas(section, () => true)));
  return list;
}
