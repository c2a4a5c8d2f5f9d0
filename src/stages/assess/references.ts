import { RELA_WORDS, R_OFFSET, R_SYM, R_TYPE, s64, R_ADDEND, SHT_RELA, u64 } from '../../elf';
import { SectionClass } from '../../livepatch/section-class';
import { Kind } from '../scan';
import { coverAt } from '../scan/covers';
import type { Side } from '../compare';

/** One reference out of a range of bytes, resolved to the symbol or place it reaches. */
export interface Reference {
  /** Canonical symbol reached; 0 for strings, constants and anonymous data. */
  symbol: number;
  /** Section and offset reached, where no symbol is. */
  section: number;
  offset: number;
  /** Offset of the field from the range's start. */
  at: number;
  /** The displacement of a direct call or jump, not an address that is kept. */
  branch: boolean;
}

/** All references from [start, end) of a section. Relocations of type NONE refer to nothing. */
export function referencesFrom(side: Side, section: number, start: number, end: number): Reference[] {
  const { table, object, arch, identity } = side;
  const executable = (table.sectionClass[section]! & SectionClass.EXEC) !== 0;
  const { words, at, stop } = identity.relas.select(section, start, end);
  const found: Reference[] = [];
  for (let i = at; i < stop; i += RELA_WORDS) {
    const field = u64(words, i + R_OFFSET);
    const type = words[i + R_TYPE]!;
    if (field < start || field >= end || type === arch.none) continue;
    const from = object.offset(section);
    const branch = executable && arch.isBranch(object.bytes, from, from + field, type);
    found.push({ ...reached(side, section, words, i), at: field - start, branch });
  }
  return found;
}

/** The symbol or place that the rela at word `i` reaches, by the bytes around its field (see Arch.tail). */
function reached(side: Side, section: number, words: Uint32Array, i: number): { symbol: number; section: number; offset: number } {
  const { table, object, arch, identity } = side;
  const symbol = words[i + R_SYM]!;
  if (symbol >= table.symbols) object.malformed(object.offset(section), `a rela of section ${section} names symbol ${symbol} of ${table.symbols}`);
  const kind = table.kind[symbol]!;
  if (kind !== Kind.PLACE && kind !== Kind.STRING) return { symbol: table.canonical[symbol]!, section: table.section[symbol]!, offset: table.value[symbol]! };
  let offset = table.value[symbol]! + s64(words, i + R_ADDEND);
  if ((table.sectionClass[section]! & SectionClass.EXEC) !== 0 && arch.isPcRelative(words[i + R_TYPE]!)) {
    const from = object.offset(section);
    offset += arch.bias(words[i + R_TYPE]!) + Math.max(0, arch.tail(object.bytes, from, from + u64(words, i + R_OFFSET)));
  }
  const place = table.section[symbol]!;
  if (place >= table.sections || (table.sectionClass[place]! & SectionClass.STRING) !== 0) return { symbol: 0, section: place, offset };
  return { symbol: identity.objectAt(place, offset), section: place, offset };
}

export interface User {
  /** Canonical symbol that holds the reference; 0 for anonymous data. */
  symbol: number;
  section: number;
  branch: boolean;
}

/** Everything in loaded code and data that refers to one of `targets`: a pass over all relas, made only when asked for. */
export function usersOf(side: Side, targets: ReadonlySet<number>): Map<number, User[]> {
  const { table, object } = side;
  const users = new Map<number, User[]>();
  for (let relaSection = 1; relaSection < table.sections; relaSection++) {
    if (object.type(relaSection) !== SHT_RELA) continue;
    const section = object.info(relaSection);
    const bits = table.sectionClass[section]!;
    if ((bits & SectionClass.ALLOC) === 0 || (bits & (SectionClass.DERIVED | SectionClass.SPECIAL)) !== 0) continue;
    for (const { symbol, at, branch } of referencesFrom(side, section, 0, object.size(section))) {
      if (symbol === 0 || !targets.has(symbol)) continue;
      const list = users.get(symbol) ?? [];
      list.push({ symbol: coverAt(table, section, at), section, branch });
      users.set(symbol, list);
    }
  }
  return users;
}
