import { append } from '../../lists';
import { RELA_WORDS, type ElfObject, type SectionIndex, type WordIndex } from '../../elf';
import {
  FIRST_ROLE,
  RUNTIME_SPECIAL,
  SPECIAL_SECTIONS,
  runtimeSection,
  type SpecialSection,
} from '../../kernel/special-sections';
import { Role } from '../../kernel/sections';
import { entrySize, type StructSizes } from './entry-size';
import type { Identity } from './identity';

/** One entry: which function it describes and where in it, with the word range of its relas. */
export interface SpecialEntry {
  owner: number;
  /** Offset of the described code from the owner's start. */
  site: number;
  /** Byte offset of the entry in its section. */
  start: number;
  relas: { words: Uint32Array; at: WordIndex; stop: WordIndex };
}

export interface SpecialTable {
  section: SectionIndex;
  special: number;
  rules: SpecialSection;
  size: number;
  /** Byte ranges and reference fields of an entry of this size; see SpecialSection. */
  meaning: ReadonlyArray<readonly [number, number]>;
  references: readonly number[];
}

/** Result of a scan of the special sections that has to be told to people. */
export interface UnknownEntrySize {
  section: string;
  bytes: number;
}

/** The special sections of an object with their entry sizes; those of unknown size go to `unknown`. */
export function specialTables(
  identity: Identity,
  sizes: StructSizes,
  unknown: UnknownEntrySize[],
): readonly SpecialTable[] {
  let found = known.get(identity);
  if (found?.sizes !== sizes) known.set(identity, (found = { sizes, ...measured(identity, sizes) }));
  append(unknown, found.unknown);
  return found.tables;
}

interface Measured {
  tables: readonly SpecialTable[];
  unknown: readonly UnknownEntrySize[];
}

/** Every stage asks for them. */
const known = new WeakMap<Identity, Measured & { sizes: StructSizes }>();

function measured(identity: Identity, sizes: StructSizes): Measured {
  const { object, table } = identity;
  const tables: SpecialTable[] = [];
  const unknown: UnknownEntrySize[] = [];
  const annotations = table.ofRole(Role.ENTRY_ANNOTATIONS);
  for (let i = 0; i < table.roleCount; i++) {
    const section = table.roles[i]!;
    const special = table.sectionSpecial[section]!;
    if (special === 0 || special >= FIRST_ROLE) continue;
    const rules = special === RUNTIME_SPECIAL ? runtimeSection(object.name(section)) : SPECIAL_SECTIONS[special - 1]!;
    const size = entrySize(identity, section, rules, sizes, annotations);
    if (size > 0)
      tables.push({ section, special, rules, size, meaning: rules.meaning(size), references: rules.references(size) });
    else unknown.push({ section: object.name(section), bytes: object.size(section) });
  }
  return { tables, unknown };
}

/** Tells the WebAssembly which table the next calls are about; the words are listed in wasm/entries.ts. */
export function openTable(
  { rules: words, code, arch }: Identity,
  { section, special, rules, size, meaning, references }: SpecialTable,
): void {
  const { replacement } = rules;
  words.fill(-1);
  words.set([
    section,
    special,
    size,
    rules.site,
    replacement?.field ?? -1,
    replacement?.length(size) ?? -1,
    rules.line?.(size)?.[0] ?? -1,
    special === RUNTIME_SPECIAL ? 1 : 0,
  ]);
  words.set(meaning.flat(), 8);
  words.set(references, 12);
  words[14] = arch.alternativeCallback;
  code.openTable();
}

/** Calls `visit` for every entry whose site lies in a known function, in section order. `visit` opens no other table, nor asks for an entry's digest: the WebAssembly would go on in that one. */
export function forEachEntry(identity: Identity, special: SpecialTable, visit: (entry: SpecialEntry) => void): void {
  openTable(identity, special);
  const { words, at } = identity.relas.select(special.section, 0, identity.object.size(special.section));
  for (let found = nextEntries(identity); found.length > 0; found = nextEntries(identity)) {
    for (let i = 0; i < found.length; i += ENTRY_NUMBERS) visit(entryOf(found, i, words, at));
  }
}

/** Whether an alternative's second field is a function that writes the code (arm64), not code to put there: its address is part of the meaning. */
export function isCallback(
  { object, arch }: Pick<Identity, 'object' | 'arch'>,
  { section, rules, size }: SpecialTable,
  start: number,
): boolean {
  if (rules.replacement === undefined || arch.alternativeCallback === 0) return false;
  const at = start + rules.replacement.field + 4;
  if (at + 2 > object.size(section) || start + size > object.size(section)) return false;
  const [first, second] = object.content(section).subarray(at, at + 2);
  const feature = object.little ? first! | (second! << 8) : (first! << 8) | second!;
  return (feature & arch.alternativeCallback) !== 0;
}

/** How many bytes at its site an entry makes the kernel write at most; an alternative's length, which the entry says, of others a constant. */
export function writtenBytes(object: ElfObject, { section, rules, size }: SpecialTable, start: number): number {
  if (rules.replacement === undefined) return rules.writes ?? 0;
  return object.content(section)[start + rules.replacement.length(size) - 1] ?? 0;
}

/** How many numbers say what an entry is: owner, site, start, and the numbers of its first rela and of the one behind its last. */
export const ENTRY_NUMBERS = 5;

/** The numbers of the open table's next entries, ENTRY_NUMBERS each; empty at the end. */
export function nextEntries({ code, entries }: Identity): Float64Array {
  return entries.slice(0, code.nextEntries() * ENTRY_NUMBERS);
}

/** The entry whose numbers stand at `i`, in a table whose relas begin at word `at`. */
export function entryOf(numbers: Float64Array, i: number, words: Uint32Array, at: WordIndex): SpecialEntry {
  return {
    owner: numbers[i]!,
    site: numbers[i + 1]!,
    start: numbers[i + 2]!,
    relas: { words, at: at + numbers[i + 3]! * RELA_WORDS, stop: at + numbers[i + 4]! * RELA_WORDS },
  };
}

/** The digest of an entry's meaning: where it applies, what it refers to, its deciding bytes, never its line. */
export function entryDigest(
  identity: Identity,
  special: SpecialTable,
  { owner, site, start, relas }: SpecialEntry,
): Int32Array {
  openTable(identity, special);
  const { at } = identity.relas.select(special.section, 0, identity.object.size(special.section));
  identity.entries.set([owner, site, start, (relas.at - at) / RELA_WORDS, (relas.stop - at) / RELA_WORDS]);
  return identity.digestAt(identity.code.digestEntry());
}
