import type { Arch, PointerMade } from '../../arch';
import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHF_WRITE,
  s64,
  u64,
  type ElfObject,
  type Offset,
  type SectionIndex,
} from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { RelaReader } from './relas';
import { sectionsNamed } from './section-names';
import type { ScanTable } from './table';
import { Kind } from './traits';

/** What is asked of an `Identity`. */
interface Scanned {
  readonly object: ElfObject;
  readonly table: ScanTable;
  readonly arch: Arch;
  readonly relas: RelaReader;
  coverAt(section: SectionIndex, offset: Offset): number;
  objectBefore(section: SectionIndex, offset: Offset): number;
}

/** What code reaches by an address of which others of the section are counted, too. */
export interface Anchor {
  /** From the place that the relocation names to the first object that is reached; what it means is found there. */
  readonly shift: number;
  /** How far from the named place each object reached is first used, by canonical symbol (below 0: what none covers), in order of distance; 0 for the one that is named. */
  readonly objects: ReadonlyMap<number, number>;
}

const NEVER =
  SectionClass.EXEC |
  SectionClass.SPECIAL |
  SectionClass.DERIVED |
  SectionClass.STRING |
  SectionClass.TOC |
  SectionClass.RECORD |
  SectionClass.CONSTANT;

/**
 * Variables that code names by the address of another one of their section (`Arch.distancesUsed`). What such a reference means is what is
 * reached: so digests, uses and copies all ask here. Only where a section has several objects, of which GCC names any so and Clang those that are written to.
 */
export class Anchors {
  private last: { section: SectionIndex; start: Offset; end: Offset; fields: ReadonlyMap<number, Anchor> } | undefined;
  private constants: boolean | undefined;

  constructor(private readonly identity: Scanned) {}

  /** What the relocated field at an offset of a section reaches; undefined where that is what its relocation names. */
  at(section: SectionIndex, field: Offset): Anchor | undefined {
    if (this.identity.arch.distancesUsed === null) return undefined;
    let { last } = this;
    if (last === undefined || last.section !== section || field < last.start || field >= last.end) {
      const { table } = this.identity;
      if (section >= table.sections || (table.sectionClass[section]! & SectionClass.EXEC) === 0) return undefined;
      const symbol = this.identity.coverAt(section, field);
      if (symbol === 0) return undefined;
      const start = table.value[symbol]!;
      const end = start + table.size[symbol]!;
      last = this.last = { section, start, end, fields: this.fieldsOf(section, start, end) };
    }
    return last.fields.get(field);
  }

  /** Whether code may name an object of a section by another one's address. */
  mayShare(section: SectionIndex): boolean {
    const { table, object, arch } = this.identity;
    return (
      arch.distancesUsed !== null &&
      section < table.sections &&
      table.sole[section] === 0 &&
      table.coverStart[section + 1]! - table.coverStart[section]! > 0 &&
      (table.sectionClass[section]! & NEVER) === 0 &&
      ((object.sectionFlags(section) & SHF_WRITE) !== 0 || this.sharesConstants())
    );
  }

  /** Whether read-only data is named so, too: Clang merges only what is written to. */
  private sharesConstants(): boolean {
    const { object } = this.identity;
    return (this.constants ??= sectionsNamed(this.identity, '.comment').some((section) =>
      Buffer.from(object.content(section)).includes('GCC: '),
    ));
  }

  private fieldsOf(section: SectionIndex, start: Offset, end: Offset): Map<number, Anchor> {
    const { table, object, arch, relas } = this.identity;
    const pointers: Array<PointerMade & { field: Offset; place: Place }> = [];
    const { words, at, stop } = relas.select(section, start, end);
    for (let i = at; i < stop; i += RELA_WORDS) {
      const field = u64(words, i + R_OFFSET);
      const symbol = words[i + R_SYM]!;
      if (field < start || field >= end || symbol >= table.symbols || table.kind[symbol] !== Kind.PLACE) continue;
      const home = table.section[symbol]!;
      if (!this.mayShare(home)) continue;
      pointers.push({
        offset: field - start,
        type: words[i + R_TYPE]!,
        field,
        place: { section: home, offset: table.value[symbol]! + s64(words, i + R_ADDEND) },
      });
    }
    const found = new Map<number, Anchor>();
    if (pointers.length === 0) return found;
    const distances = arch.distancesUsed!(object.content(section).subarray(start, end), pointers);
    // A page and the low bits of one address are relocated together.
    for (const group of groups(pointers)) {
      const used = group.map(({ i }) => distances[i]!);
      const anchor = this.reached(
        group[0]!.pointer.place,
        used.some((one) => one === null) ? null : new Set(used.flatMap((one) => [...one!])),
      );
      if (anchor !== undefined) for (const { pointer } of group) found.set(pointer.field, anchor);
    }
    return found;
  }

  /** @param used null: any object of the section */
  private reached(place: Place, used: ReadonlySet<number> | null): Anchor | undefined {
    const objects = new Map<number, number>();
    for (const distance of [...(used ?? this.allFrom(place))].sort((a, b) => a - b)) {
      const symbol = this.owner(place.section, place.offset + distance);
      if (!objects.has(symbol)) objects.set(symbol, distance);
    }
    const named = this.owner(place.section, place.offset);
    if (objects.size === 0 || (objects.size === 1 && objects.has(named))) return undefined;
    if (objects.has(named)) objects.set(named, 0);
    return { shift: objects.get(named) ?? objects.values().next().value!, objects };
  }

  /** The object that covers a place; what none covers is known by where it begins, as a number below 0 (a `list[]` that GCC copies from `.rodata`). */
  private owner(section: SectionIndex, offset: Offset): number {
    const { identity } = this;
    const { table } = identity;
    const symbol = identity.coverAt(section, offset);
    if (symbol !== 0) return symbol;
    const before = identity.objectBefore(section, offset);
    return before === 0 ? -1 : -1 - table.value[before]! - table.size[before]!;
  }

  private allFrom({ section, offset }: Place): number[] {
    const { table } = this.identity;
    return Array.from(
      table.covers.subarray(table.coverStart[section]!, table.coverStart[section + 1]!),
      (symbol) => table.value[symbol]! - offset,
    );
  }
}

interface Place {
  section: SectionIndex;
  offset: Offset;
}

function groups<T extends { place: Place }>(pointers: readonly T[]): Array<Array<{ i: number; pointer: T }>> {
  const found = new Map<string, Array<{ i: number; pointer: T }>>();
  pointers.forEach((pointer, i) => {
    const key = `${pointer.place.section} ${pointer.place.offset}`;
    const group = found.get(key);
    if (group === undefined) found.set(key, [{ i, pointer }]);
    else group.push({ i, pointer });
  });
  return [...found.values()];
}
