import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHT_RELA,
  STB_LOCAL,
  STT_FILE,
  STT_SECTION,
  s64,
  u64,
  type ElfObject,
  type Offset,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import type { Arch } from '../../arch';
import { SectionClass } from '../../kernel/section-class';
import { Kind, type Identity, type ScanTable } from '../scan';

/** A place without a symbol that something loaded refers to, and the unit of all who do; 0 where that is not known. */
export interface AnonymousPlace {
  offset: Offset;
  unit: number;
}

/** No unit: several refer to the place, of different ones or of one that is not known. */
const UNKNOWN = 0;

/** Places that anything loaded refers to, by section, in order. A pass over every rela: 1.5 million in a kernel, some 30 ms. */
export function collectPlaces(
  object: ElfObject,
  table: ScanTable,
  arch: Arch,
  identity: Identity,
): Map<number, AnonymousPlace[]> {
  const found = new Map<number, Map<number, number>>();
  const units = new UnitsOfUsers(table, identity);
  for (let relaSection = 1; relaSection < table.sections; relaSection++) {
    if (object.type(relaSection) !== SHT_RELA) continue;
    const user = object.info(relaSection);
    const bits = table.sectionClass[user]!;
    if ((bits & SectionClass.ALLOC) === 0 || (bits & SectionClass.DERIVED) !== 0) continue;
    const words = object.relas(relaSection);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const symbol = words[at + R_SYM]!;
      if (symbol >= table.symbols || table.kind[symbol] !== Kind.PLACE) continue;
      const section = table.section[symbol]!;
      if (section >= table.sections || (table.sectionClass[section]! & (SectionClass.STRING | SectionClass.EXEC)) !== 0)
        continue;
      let place = table.value[symbol]! + s64(words, at + R_ADDEND);
      if ((bits & SectionClass.EXEC) !== 0 && arch.isPcRelative(words[at + R_TYPE]!)) {
        const from = object.offset(user);
        const tail = arch.tail(object.bytes, from, from + u64(words, at + R_OFFSET));
        // A place that is not known bounds nothing: a longer extent only compares and copies more.
        if (tail < 0) continue;
        place += arch.bias(words[at + R_TYPE]!) + tail;
      }
      let places = found.get(section);
      if (places === undefined) found.set(section, (places = new Map()));
      const unit = identity.coverAt(section, place) === 0 ? units.of(user, u64(words, at + R_OFFSET)) : UNKNOWN;
      const known = places.get(place);
      places.set(place, known === undefined || known === unit ? unit : UNKNOWN);
    }
  }
  return new Map(
    [...found].map(([section, places]) => [
      section,
      [...places].map(([offset, unit]) => ({ offset, unit })).sort((a, b) => a.offset - b.offset),
    ]),
  );
}

/** The compilation units of code and data, where the symbol table or what they refer to tells. */
class UnitsOfUsers {
  private readonly known = new Map<number, number>();
  private sections: Uint32Array | undefined;

  constructor(
    private readonly table: ScanTable,
    private readonly identity: Identity,
  ) {}

  of(section: SectionIndex, offset: Offset): number {
    const { table } = this;
    const holder = this.identity.coverAt(section, offset);
    if (holder === 0) return UNKNOWN;
    if (table.isLocal(holder)) return table.file[holder]!;
    let unit = this.known.get(holder);
    if (unit === undefined)
      this.known.set(
        holder,
        (unit =
          this.unitOfGlobal(holder) || (table.sole[section] === holder ? this.unitsOfSections[section]! : UNKNOWN)),
      );
    return unit;
  }

  /** Units of sections by their symbols, which ld.lld puts behind the FILE symbol of the unit that the section is of; GNU ld puts them before all. */
  private get unitsOfSections(): Uint32Array {
    if (this.sections !== undefined) return this.sections;
    const { info, section, symbols, sections } = this.table;
    const units = new Uint32Array(sections);
    const shared = new Set<number>();
    let unit = UNKNOWN;
    for (let symbol = 1; symbol < symbols && info[symbol]! >>> 4 === STB_LOCAL; symbol++) {
      const type = info[symbol]! & 0xf;
      if (type === STT_FILE) unit = symbol;
      else if (type === STT_SECTION && section[symbol]! < sections) {
        if (units[section[symbol]!] !== UNKNOWN && units[section[symbol]!] !== unit) shared.add(section[symbol]!);
        units[section[symbol]!] = unit;
      }
    }
    for (const one of shared) units[one] = UNKNOWN;
    return (this.sections = units);
  }

  /** The unit of the statics and labels that a global refers to. */
  private unitOfGlobal(symbol: SymbolIndex): number {
    const { table, identity } = this;
    const section = table.section[symbol]!;
    const start = table.value[symbol]!;
    const end = start + table.size[symbol]!;
    const { words, at, stop } = identity.relas.select(section, start, end);
    let unit = UNKNOWN;
    for (let i = at; i < stop; i += RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      const target = words[i + R_SYM]!;
      if (
        offset < start ||
        offset >= end ||
        target >= table.symbols ||
        !table.isLocal(target) ||
        table.typeOf(target) === STT_SECTION
      )
        continue;
      const file = table.file[target]!;
      if (file === 0) continue;
      if (unit !== UNKNOWN && unit !== file) return UNKNOWN;
      unit = file;
    }
    return unit;
  }
}
