import { Digest, RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, s64, u64 } from '../../elf';
import { FIRST_ROLE, Role, RUNTIME_SPECIAL, SPECIAL_SECTIONS, runtimeSection, type SpecialSection } from '../../livepatch/special-sections';
import { SectionClass, recordLine } from '../../livepatch/section-class';
import { coverAt } from './covers';
import { entrySize, type StructSizes } from './entry-size';
import type { Identity } from './identity';
import { Trait } from './table';
import { specialSlot } from './uses';

/** One entry: which function it describes and where in it, with the word range of its relas. */
export interface SpecialEntry {
  owner: number;
  /** Offset of the described code from the owner's start. */
  site: number;
  /** Byte offset of the entry in its section. */
  start: number;
  relas: { words: Uint32Array; at: number; stop: number };
}

export interface SpecialTable {
  section: number;
  special: number;
  rules: SpecialSection;
  size: number;
  /** Byte ranges and reference fields of an entry of this size; see SpecialSection. */
  meaning: ReadonlyArray<readonly [number, number]>;
  references: readonly number[];
  /** Hash of the section's name where that is part of the meaning (runtime constants). */
  nameHash: number;
}

/** Result of a scan of the special sections that has to be told to people. */
export interface UnknownEntrySize {
  section: string;
  bytes: number;
}

/** The special sections of an object with their entry sizes; those of unknown size go to `unknown`. */
export function specialTables(identity: Identity, sizes: StructSizes, unknown: UnknownEntrySize[]): SpecialTable[] {
  const { object, table, relas } = identity;
  const tables: SpecialTable[] = [];
  for (let i = 0; i < table.roleCount; i++) {
    const section = table.roles[i]!;
    const special = table.sectionSpecial[section]!;
    if (special === 0 || special >= FIRST_ROLE) continue;
    const rules = special === RUNTIME_SPECIAL ? runtimeSection(object.name(section)) : SPECIAL_SECTIONS[special - 1]!;
    const size = entrySize(object, table, relas, section, rules, sizes);
    const hash = special === RUNTIME_SPECIAL ? nameHash(object.name(section)) : 0;
    if (size > 0) tables.push({ section, special, rules, size, meaning: rules.meaning(size), references: rules.references(size), nameHash: hash });
    else unknown.push({ section: object.name(section), bytes: object.size(section) });
  }
  return tables;
}

/**
 * Calls `visit` for every entry whose site lies in a known function, in section order. The entry is one object that the
 * next call overwrites: a kernel has 30,000.
 */
export function forEachEntry(identity: Identity, { section, rules, size }: SpecialTable, visit: (entry: SpecialEntry) => void): void {
  const { object, table } = identity;
  const total = object.size(section);
  const selection = identity.relas.select(section, 0, total);
  const { words, stop } = selection;
  const entry: SpecialEntry = { owner: 0, site: 0, start: 0, relas: { words, at: 0, stop: 0 } };
  for (let at = selection.at; at < stop; ) {
    const start = Math.floor(u64(words, at + R_OFFSET) / size) * size;
    let next = at;
    let owner = 0;
    let site = 0;
    while (next < stop && u64(words, next + R_OFFSET) < start + size) {
      const symbol = words[next + R_SYM]!;
      if (symbol >= table.symbols) object.malformed(object.offset(table.relaSection[section]!), `a rela of ${object.name(section)} names symbol ${symbol} of ${table.symbols}`);
      if (u64(words, next + R_OFFSET) === start + rules.site) {
        const target = table.section[symbol]!;
        const place = table.value[symbol]! + s64(words, next + R_ADDEND);
        if (target < table.sections) {
          owner = identity.objectAt(target, place);
          site = place - table.value[owner]!;
        }
      }
      next += RELA_WORDS;
    }
    if (owner !== 0) {
      entry.owner = owner;
      entry.site = site;
      entry.start = start;
      entry.relas.at = at;
      entry.relas.stop = next;
      visit(entry);
    }
    at = next > at ? next : at + RELA_WORDS;
  }
}

/**
 * The meaning of one entry, into `digest`: where it applies, what it refers to, its deciding bytes, never its line.
 */
export function mixEntry(identity: Identity, digest: Digest, special: SpecialTable, entry: SpecialEntry): void {
  const { object, table } = identity;
  const { section, rules, size, meaning, references } = special;
  digest.reset(special.special);
  digest.words(entry.site, special.nameHash, 0, 0);
  const from = object.offset(section) + entry.start;
  for (const range of meaning) digest.bytes(object.bytes, from + range[0], from + range[1]);

  const { words } = entry.relas;
  const slot = specialSlot(special.special, entry.site);
  for (let at = entry.relas.at; at < entry.relas.stop; at += RELA_WORDS) {
    const offset = u64(words, at + R_OFFSET);
    const field = offset - entry.start;
    const symbol = words[at + R_SYM]!;
    const addend = s64(words, at + R_ADDEND);
    if (references.includes(field)) {
      digest.words(field, words[at + R_TYPE]!, 0, 0);
      const place = table.section[symbol]!;
      // A branch target within the function itself moves with it.
      const target = place > 0 && place < table.sections ? identity.objectAt(place, table.value[symbol]! + addend) : 0;
      if (target === entry.owner) digest.words(table.value[symbol]! + addend - table.value[target]!, 0, 0, 1);
      else identity.mixTarget(digest, symbol, section, offset, words[at + R_TYPE]!, addend, entry.owner, slot);
    } else if (rules.replacement?.field === field) {
      const length = object.bytes[from + rules.replacement.length(size)]!;
      const place = table.value[symbol]! + addend;
      const target = table.section[symbol]!;
      // A zero-length replacement's address means nothing: it is the next entry's.
      if (length > 0 && target < table.sections && place >= 0 && place + length <= object.size(target)) {
        digest.bytes(object.bytes, object.offset(target) + place, object.offset(target) + place + length);
        identity.mixReferences(digest, target, place, place + length, entry.owner, place);
      }
    }
  }
}

/** Adds every entry's digest to its owner's `special` column. Addition commutes, so order and threads do not matter. */
export function digestEntries(identity: Identity, tables: readonly SpecialTable[]): void {
  const { object, table } = identity;
  const digest = new Digest();
  for (const special of tables) {
    const line = special.rules.line?.(special.size);
    const content = object.offset(special.section);
    forEachEntry(identity, special, (entry) => {
      if (!table.has(entry.owner, Trait.FUNC)) return;
      mixEntry(identity, digest, special, entry);
      const result = digest.finish();
      Atomics.add(table.special, entry.owner * 2, result[0]!);
      Atomics.add(table.special, entry.owner * 2 + 1, result[1]!);
      table.lines[entry.owner]! += recordLineOf(identity, special, entry);
      if (line !== undefined) {
        const at = content + entry.start + line[0];
        table.lines[entry.owner]! += Math.imul(entry.site + 1, 0x9e3779b1) ^ Math.imul(object.bytes[at]! | (object.bytes[at + 1]! << 8), 0x85ebca6b);
      }
    });
  }
}

/**
 * The line of the record that an entry's key belongs to (the static key of a `struct _ddebug`), mixed with its site; 0 if
 * the key is no record's.
 */
function recordLineOf({ object, table }: Identity, special: SpecialTable, entry: SpecialEntry): number {
  const { words, at, stop } = entry.relas;
  for (let i = at; i < stop; i += RELA_WORDS) {
    if (!special.references.includes(u64(words, i + R_OFFSET) - entry.start)) continue;
    const symbol = words[i + R_SYM]!;
    const section = table.section[symbol]!;
    if (section >= table.sections || (table.sectionClass[section]! & (SectionClass.RECORD | SectionClass.SPECIAL)) !== SectionClass.RECORD) continue;
    const line = recordLine(object.name(section), object.little);
    const record = coverAt(table, section, table.value[symbol]! + s64(words, i + R_ADDEND));
    if (line === undefined || record === 0 || table.size[record]! < line.offset + 4) continue;
    const place = object.offset(section) + table.value[record]! + line.offset;
    const value = new DataView(object.bytes.buffer, object.bytes.byteOffset + place, 4).getUint32(0, object.little) & line.mask;
    return Math.imul(entry.site + 3, 0x9e3779b1) ^ Math.imul(value, 0x85ebca6b);
  }
  return 0;
}

/** Marks functions with an ftrace site, and those whose ENDBR is sealed. */
export function markSites(identity: Identity): void {
  const { object, table } = identity;
  for (let r = 0; r < table.roleCount; r++) {
    const section = table.roles[r]!;
    const role = table.sectionSpecial[section]!;
    const trait = role === Role.FTRACE_SITES ? Trait.TRACEABLE : role === Role.SEALS ? Trait.SEALED : 0;
    if (trait === 0) continue;
    const { words, at, stop } = identity.relas.select(section, 0, object.size(section));
    for (let i = at; i < stop; i += RELA_WORDS) {
      const symbol = words[i + R_SYM]!;
      if (symbol >= table.symbols || table.section[symbol]! >= table.sections) continue;
      const owner = identity.objectAt(table.section[symbol]!, table.value[symbol]! + s64(words, i + R_ADDEND));
      if (owner !== 0) table.traits[owner]! |= trait;
    }
  }
}

function nameHash(name: string): number {
  const digest = new Digest();
  digest.reset(0);
  const text = Buffer.from(name, 'latin1');
  digest.bytes(text, 0, text.length);
  return digest.finish()[0]!;
}
