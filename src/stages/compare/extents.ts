import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, SHT_RELA, s64, u64, type ElfObject } from '../../elf';
import type { Arch } from '../../arch';
import { SectionClass } from '../../livepatch/section-class';
import { Kind, type ScanTable } from '../scan';

/**
 * Where anonymous read-only data ends: at the next offset of its section that anything refers to.
 *
 * `.rodata` of a 7.2 kernel holds 12,297 bytes without a symbol, reached at 11 places. Finding them takes a pass over
 * every rela (1.5 million, some 30 ms), so it is made only when the contents around such a place differ.
 */
export class AnonymousExtents {
  private readonly starts = new Map<number, number[]>();

  constructor(private readonly object: ElfObject, private readonly table: ScanTable, private readonly arch: Arch) {}

  /** End of the extent that begins at `offset` of `section`. */
  end(section: number, offset: number): number {
    const next = this.startsOf(section).find((start) => start > offset);
    return next ?? this.object.size(section);
  }

  private startsOf(section: number): number[] {
    let starts = this.starts.get(section);
    if (starts === undefined) {
      const set = new Set<number>();
      for (let i = this.table.coverStart[section]!; i < this.table.coverStart[section + 1]!; i++) set.add(this.table.value[this.table.covers[i]!]!);
      this.collect(section, set);
      starts = [...set].sort((a, b) => a - b);
      this.starts.set(section, starts);
    }
    return starts;
  }

  private collect(section: number, into: Set<number>): void {
    const { object, table, arch } = this;
    for (let relaSection = 1; relaSection < table.sections; relaSection++) {
      if (object.type(relaSection) !== SHT_RELA) continue;
      const user = object.info(relaSection);
      const bits = table.sectionClass[user]!;
      if ((bits & SectionClass.ALLOC) === 0 || (bits & SectionClass.DERIVED) !== 0) continue;
      const words = object.relas(relaSection);
      for (let at = 0; at < words.length; at += RELA_WORDS) {
        const symbol = words[at + R_SYM]!;
        if (symbol >= table.symbols || table.section[symbol] !== section || table.kind[symbol] !== Kind.PLACE) continue;
        let place = table.value[symbol]! + s64(words, at + R_ADDEND);
        if ((bits & SectionClass.EXEC) !== 0 && arch.isPcRelative(words[at + R_TYPE]!)) {
          const from = object.offset(user);
          const tail = arch.tail(object.bytes, from, from + u64(words, at + R_OFFSET));
          // A place that is not known cuts nothing: a longer extent only compares more.
          if (tail < 0) continue;
          place += arch.bias(words[at + R_TYPE]!) + tail;
        }
        into.add(place);
      }
    }
  }
}
