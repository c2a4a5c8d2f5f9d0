import {
  SHF_ALLOC,
  SHN_UNDEF,
  STB_LOCAL,
  STT_FILE,
  STT_SECTION,
  type SectionIndex,
  type SymbolIndex,
} from '../../../elf';
import { NameIndex, cleanedLength, isLeftOut, type NameCleaning } from '../../../kernel/listing';
import type { Side } from '../../side/side';
import { SECTION_ABS, SECTION_COMMON } from '../../scan/traits';

/** Loaded sections of vmlinux.o that the final link drops: their symbols are in no kernel. */
const DISCARDED = ['.discard', '.exitcall.exit', '.modinfo', '.export_symbol', '.no_trim_symbol', '__tracepoint_check'];

const LOST = 1;
const KEPT = 2;

/** The symbols of ORIG that a kernel linked from it lists, by name. Makes its index at the first question. */
export class OrigNames {
  private index: NameIndex | undefined;
  private lengths: Uint16Array | undefined;
  /** By section: whether the link drops it; 0 for what nobody asked about. */
  private readonly lost: Uint8Array;

  constructor(
    private readonly orig: Side,
    readonly cleaning: NameCleaning,
  ) {
    this.lost = new Uint8Array(orig.table.sections);
  }

  /** All symbols that have the (cleaned) name of `symbol`, itself too unless the kernel does not list it, in table order. */
  namesakes(symbol: SymbolIndex): number[] {
    const { object, table } = this.orig;
    const index = (this.index ??= this.build());
    return index.all(object.bytes, table.name[symbol]!, this.lengths![symbol]!);
  }

  /** Whether no other symbol of ORIG is listed under the name of `symbol`, which is. */
  isOnly(symbol: SymbolIndex): boolean {
    const { object, table } = this.orig;
    const index = (this.index ??= this.build());
    return index.first(object.bytes, table.name[symbol]!, this.lengths![symbol]!) === symbol && index.next(symbol) < 0;
  }

  /** The name as the kernel compares it: length of what is left of it. */
  length(symbol: SymbolIndex): number {
    this.index ??= this.build();
    return this.lengths![symbol]!;
  }

  /** Whether a kernel linked from ORIG lists the symbol. */
  has(symbol: SymbolIndex): boolean {
    const { object, table } = this.orig;
    const { name, nameLength, section, info } = table;
    const type = info[symbol]! & 0xf;
    const place = section[symbol]!;
    if (nameLength[symbol] === 0 || type === STT_SECTION || type === STT_FILE || place === SHN_UNDEF) return false;
    if (place === SECTION_ABS) return info[symbol]! >>> 4 !== STB_LOCAL;
    return (
      (place === SECTION_COMMON || !this.isLost(place)) &&
      !isLeftOut(object.bytes, name[symbol]!, name[symbol]! + nameLength[symbol]!)
    );
  }

  private build(): NameIndex {
    const { object, table } = this.orig;
    const { name, nameLength } = table;
    const { bytes } = object;
    const { cleaning } = this;
    this.lengths =
      cleaning === 'none'
        ? nameLength
        : nameLength.map((length, i) => cleanedLength(cleaning, bytes, name[i]!, name[i]! + length));
    return new NameIndex({ bytes, start: name, length: this.lengths }, table.symbols, (symbol) => !this.has(symbol));
  }

  /** Asked of few sections where few symbols are looked up, of 200,000 where all are listed. */
  private isLost(section: SectionIndex): boolean {
    const known = this.lost[section];
    if (known !== 0) return known === LOST;
    const lost = this.isDiscarded(section);
    this.lost[section] = lost ? LOST : KEPT;
    return lost;
  }

  private isDiscarded(section: SectionIndex): boolean {
    const { object } = this.orig;
    if (section === 0 || (object.sectionFlags(section) & SHF_ALLOC) === 0) return true;
    const at = object.nameOffset(section);
    // The names begin with `.d`, `.e`, `.m`, `.n` or `__`: nearly all others with `.text.` and the like need no string.
    const second = object.bytes[at + 1];
    if (second === 0x74 || second === 0x72 || second === 0x62) return false;
    const name = object.name(section);
    return DISCARDED.some((prefix) => name.startsWith(prefix));
  }
}
