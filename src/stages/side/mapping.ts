import type { Offset, SectionIndex, SymbolIndex } from '../../elf';
import { above } from './extents';
import type { Side } from './side';

/** `$d` and `$x`, with a number from the GNU assembler and a prefix from objcopy (`__pi_$d`, `__efistub_$x`). */
const MAPPING = /^(?:__[a-z_]+_)?\$([dx])(?:\.|$)/;
const DOLLAR = 0x24;
const UNDERSCORE = 0x5f;
const [DATA, CODE] = [0x64, 0x78];

/**
 * What of an executable section is data (ELF for the Arm 64-bit Architecture, "Mapping symbols"): literals of assembler code, and the hash of a function's
 * type, which stands right before it and has no symbol. One pass over all symbols, when first asked for.
 */
export class Mapping {
  private static readonly known = new WeakMap<Side, Mapping>();
  /** Places of each section in ascending order, doubled, with 1 added where data begins; and where those of each section begin. */
  private readonly places: Float64Array;
  private readonly first: Uint32Array;

  static of(side: Side): Mapping {
    let mapping = Mapping.known.get(side);
    if (mapping === undefined) Mapping.known.set(side, (mapping = new Mapping(side)));
    return mapping;
  }

  private constructor(private readonly side: Side) {
    const { table, arch } = side;
    const marks = arch.namelessHash === 0 ? [] : this.marks();
    const first = (this.first = new Uint32Array(table.sections + 1));
    for (const { symbol } of marks) first[table.section[symbol]! + 1]!++;
    for (let section = 0; section < table.sections; section++) first[section + 1]! += first[section]!;
    this.places = new Float64Array(marks.length);
    const next = first.slice();
    for (const { symbol, data } of marks)
      this.places[next[table.section[symbol]!]!++] = table.value[symbol]! * 2 + (data ? 1 : 0);
    for (let section = 1; section < table.sections; section++)
      inOrder(this.places.subarray(first[section], first[section + 1]));
  }

  /** An arm64 kernel has 150,000, and twice as many symbols. */
  private marks(): Array<{ symbol: SymbolIndex; data: boolean }> {
    const { side } = this;
    const { table, object } = side;
    const found: Array<{ symbol: SymbolIndex; data: boolean }> = [];
    for (let symbol = 1; symbol < table.symbols; symbol++) {
      const section = table.section[symbol]!;
      if (section === 0 || section >= table.sections || table.size[symbol] !== 0) continue;
      const name = table.name[symbol]!;
      const start = object.bytes[name];
      if (start !== DOLLAR && start !== UNDERSCORE) continue;
      const plain = start === DOLLAR && object.bytes[name + 2] === 0;
      const letter = plain ? object.bytes[name + 1]! : (MAPPING.exec(side.name(symbol))?.[1]?.charCodeAt(0) ?? 0);
      if (letter === DATA || letter === CODE) found.push({ symbol, data: letter === DATA });
    }
    return found;
  }

  /** Whether a place is data. A section without mapping symbols is all code. */
  isData(section: SectionIndex, offset: Offset): boolean {
    const { places, first } = this;
    const from = first[section]!;
    const last = above(first[section + 1]! - from, (i) => places[from + i]!, offset * 2 + 1) - 1;
    return last >= 0 && places[from + last]! % 2 === 1;
  }

  /** Bytes of the hash before a function that begins at a place; 0 where there is none. */
  hashBefore(section: SectionIndex, start: number): number {
    const { namelessHash } = this.side.arch;
    const from = start - namelessHash;
    return namelessHash > 0 && from >= 0 && this.isData(section, from) && !this.isData(section, start)
      ? namelessHash
      : 0;
  }
}

/** By places alone: of two at one place the later in the symbol table counts, as the compiler wrote them. Nearly all are in order. */
function inOrder(places: Float64Array): void {
  const placeAt = (one: number): number => one - (one % 2);
  if (places.some((one, i) => i > 0 && placeAt(places[i - 1]!) > placeAt(one)))
    places.sort((a, b) => placeAt(a) - placeAt(b));
}
