import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHT_RELA,
  s64,
  u64,
  type Offset,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import { meaningOf, offsetReached } from '../places';
import { Kind, Trait } from '../scan';
import { forEachEntry, isCallback, specialTables, type SpecialEntry, type SpecialTable } from '../scan/entries';
import type { Side } from '../side/side';
import { labelOf } from '../side/labels';
import { nearTargets } from './near-targets';

/** One reference out of a range of bytes, resolved to the symbol or place it reaches. */
export interface Mention {
  /** Canonical symbol reached; 0 for strings, constants and anonymous data. */
  symbol: SymbolIndex;
  /** Symbols that it may mean as well, where nothing tells. */
  others: readonly number[];
  /** Section and offset reached, where no symbol is. */
  section: SectionIndex;
  offset: Offset;
  /** Offset of the field from the range's start. */
  at: number;
  /** The displacement of a direct call or jump, not an address that is kept. */
  branch: boolean;
  /** Bytes from the start of a function that is reached: 0 for its entry, others for labels within it. 0 for data. */
  inside: number;
}

/** All that a reference may mean. Where nothing tells, who refers is a user of each: what goes in without one of its readers is two things at once. */
export function meantBy({ symbol, others }: Pick<Mention, 'symbol' | 'others'>): readonly number[] {
  return others.length === 0 ? [symbol] : [symbol, ...others];
}

/** All references from [start, end) of a section, or those by relocations that are `wanted`: symbol, and where in its section the addend leads. Relocations of type NONE refer to nothing. */
export function referencesFrom(
  side: Side,
  section: SectionIndex,
  start: number,
  end: number,
  wanted?: (symbol: SymbolIndex, place: number) => boolean,
): Mention[] {
  const { table, object, arch, identity } = side;
  const executable = (table.sectionClass[section]! & SectionClass.EXEC) !== 0;
  const { words, at, stop } = identity.relas.select(section, start, end);
  const found: Mention[] = [];
  for (let i = at; i < stop; i += RELA_WORDS) {
    const field = u64(words, i + R_OFFSET);
    const type = words[i + R_TYPE]!;
    if (
      field < start ||
      field >= end ||
      type === arch.none ||
      arch.isHint(type) ||
      (wanted !== undefined && !wanted(words[i + R_SYM]!, table.value[words[i + R_SYM]!]! + s64(words, i + R_ADDEND)))
    )
      continue;
    const from = object.offset(section);
    const branch = executable && arch.isBranch(object.bytes, from, from + field, type);
    found.push({ ...reached(side, section, words, i), at: field - start, branch });
  }
  return found;
}

/** The symbol or place that the rela at word `i` reaches, by the bytes around its field (see Arch.tail). */
function reached(side: Side, section: SectionIndex, words: Uint32Array, i: number): Omit<Mention, 'at' | 'branch'> {
  const { table, object, arch, identity } = side;
  const symbol = words[i + R_SYM]!;
  if (symbol >= table.symbols)
    object.malformed(object.offset(section), `a rela of section ${section} names symbol ${symbol} of ${table.symbols}`);
  const kind = table.kind[symbol]!;
  const isPlace = kind === Kind.PLACE || kind === Kind.STRING;
  const own = {
    symbol: table.canonical[symbol]!,
    section: table.section[symbol]!,
    offset: table.value[symbol]!,
    inside: 0,
    others: [],
  };
  if (!isPlace && !table.has(symbol, Trait.FUNC)) return own;
  const field = u64(words, i + R_OFFSET);
  const type = words[i + R_TYPE]!;
  const user = { section, start: field, end: field + 1 };
  let offset = offsetReached(side, user, words, i);
  if ((table.sectionClass[section]! & SectionClass.EXEC) === 0 || !arch.isPcRelative(type))
    offset = labelOf(side, section, field, type, table.section[symbol]!, offset);
  if (!isPlace) return { ...own, inside: offset - table.value[symbol]! };
  const place = table.section[symbol]!;
  const entry =
    place < table.sections && (table.sectionClass[place]! & SectionClass.TOC) !== 0
      ? identity.tocRela(place, offset)
      : -1;
  if (entry >= 0) return reached(side, place, identity.relas.words, entry);
  if (place >= table.sections || (table.sectionClass[place]! & SectionClass.STRING) !== 0)
    return { symbol: 0, section: place, offset, inside: 0, others: [] };
  const { symbol: owner, others } = meaningOf(side, user, field, symbol, place, offset);
  const along = side.identity.anchors.at(section, field)?.objects.keys() ?? [];
  return {
    symbol: owner,
    section: place,
    offset,
    inside: table.has(owner, Trait.FUNC | Trait.COLD) ? offset - table.value[owner]! : 0,
    others: [...others.map((other) => other.symbol), ...[...along].filter((one) => one !== owner && one > 0)],
  };
}

export interface User {
  /** Canonical symbol that holds the reference; 0 for anonymous data. */
  symbol: SymbolIndex;
  section: SectionIndex;
  branch: boolean;
  /** See Reference. */
  inside: number;
}

/** Everything in loaded code and data that refers to one of `targets`: a pass over all relas, made only when asked for. */
export function usersOf(side: Side, targets: ReadonlySet<number>): Map<number, User[]> {
  const { table, object } = side;
  const users = new Map<number, User[]>();
  const near = nearTargets(side, targets);
  // A kernel has 1.5 million relas, and hardly any may reach a target; the others must not become an object each.
  const mayReach = (symbol: SymbolIndex, place: number): boolean => {
    if (symbol >= table.symbols) return true;
    const kind = table.kind[symbol]!;
    if (kind !== Kind.PLACE && kind !== Kind.STRING) return targets.has(table.canonical[symbol]!);
    const section = table.section[symbol]!;
    const spans = near.get(section);
    if (spans !== undefined) return spans.some(([from, to]) => place >= from && place <= to);
    return section < table.sections && (table.sectionClass[section]! & SectionClass.TOC) !== 0;
  };
  for (let relaSection = 1; relaSection < table.sections; relaSection++) {
    if (object.type(relaSection) !== SHT_RELA) continue;
    const section = object.info(relaSection);
    const bits = table.sectionClass[section]!;
    if ((bits & SectionClass.ALLOC) === 0 || (bits & (SectionClass.DERIVED | SectionClass.SPECIAL)) !== 0) continue;
    for (const reference of referencesFrom(side, section, 0, object.size(section), mayReach)) {
      const { at, branch, inside } = reference;
      for (const symbol of meantBy(reference)) {
        if (symbol === 0 || !targets.has(symbol)) continue;
        const list = users.get(symbol) ?? [];
        list.push({ symbol: side.identity.coverAt(section, at), section, branch, inside });
        users.set(symbol, list);
      }
    }
  }
  const add = (target: number, user: User): void => {
    const list = users.get(target);
    if (list === undefined) users.set(target, [user]);
    else if (!list.some(({ symbol }) => symbol === user.symbol)) list.push(user);
  };
  for (const target of targets) addNearCallers(side, target, add);
  addAlternativeCallers(side, targets, add);
  return users;
}

/** Callers in the target's own section, whose calls the assembler resolved: `.noinstr.text` has no others. */
export function addNearCallers(side: Side, target: number, add: (target: number, user: User) => void): void {
  const { table } = side;
  const section = table.section[target]!;
  if (section >= table.sections || table.coverStart[section + 1]! - table.coverStart[section]! < 2) return;
  const content = side.object.offset(section);
  const first = table.value[target]!;
  const last = first + table.size[target]!;
  for (let i = table.coverStart[section]!; i < table.coverStart[section + 1]!; i++) {
    const caller = table.covers[i]!;
    if (table.canonical[caller] !== caller || caller === target || table.has(caller, Trait.OBJECT)) continue;
    const start = table.value[caller]!;
    // Most functions have no bytes that could be such a branch, and need no decoding.
    let possible = false;
    side.arch.forEachPossibleBranch(side.object.bytes, content + start, content + start + table.size[caller]!, (to) => {
      possible ||= to - content >= first && to - content < last;
    });
    if (!possible) continue;
    const fields = new Set(referencesFrom(side, section, start, start + table.size[caller]!).map(({ at }) => at));
    for (const { offset, length, target: to } of side.disassembler.decode(side.bytes(caller))) {
      if (to === undefined || side.identity.coverAt(section, start + to) !== target) continue;
      const relocated = [...Array(length).keys()].some((byte) => fields.has(offset + byte));
      if (!relocated) add(target, { symbol: caller, section, branch: true, inside: start + to - first });
    }
  }
}

/** Functions whose alternatives call a target: the call stands in the replacement and runs in place of the site. */
function addAlternativeCallers(
  side: Side,
  targets: ReadonlySet<number>,
  add: (target: number, user: User) => void,
): void {
  for (const special of specialTables(side.identity, side.structSizes, [])) {
    if (special.rules.replacement === undefined) continue;
    forEachEntry(side.identity, special, (entry) => {
      for (const reference of replacementReferences(side, special, entry)) {
        const { branch, inside } = reference;
        for (const symbol of meantBy(reference))
          if (targets.has(symbol))
            add(symbol, { symbol: entry.owner, section: side.table.section[entry.owner]!, branch, inside });
      }
    });
  }
}

/** What the replacement code of an alternatives entry refers to. */
export function replacementReferences(side: Side, special: SpecialTable, entry: SpecialEntry): Mention[] {
  const { replacement } = special.rules;
  if (replacement === undefined) return [];
  const { words, at, stop } = entry.relas;
  for (let i = at; i < stop; i += RELA_WORDS) {
    if (u64(words, i + R_OFFSET) !== entry.start + replacement.field) continue;
    const place = reached(side, special.section, words, i);
    // A function that writes the code: called by its name.
    if (isCallback(side, special, entry.start)) return [{ ...place, at: entry.site, branch: true }];
    const length = side.object.content(special.section)[entry.start + replacement.length(special.size)]!;
    if (length > 0 && place.section < side.table.sections)
      return referencesFrom(side, place.section, place.offset, place.offset + length);
  }
  return [];
}

/** What an entry refers to besides the code it describes: keys, fixups, branch targets. */
export function entryReferences(side: Side, special: SpecialTable, entry: SpecialEntry): Mention[] {
  const { words, at, stop } = entry.relas;
  const found: Mention[] = [];
  for (let i = at; i < stop; i += RELA_WORDS) {
    const field = u64(words, i + R_OFFSET) - entry.start;
    // Nobody calls through a table entry, so its references need no ENDBR.
    if (special.references.includes(field))
      found.push({ ...reached(side, special.section, words, i), at: entry.site, branch: true });
  }
  return found;
}
