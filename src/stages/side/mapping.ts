import type { Offset, SectionIndex } from '../../elf';
import { above } from './extents';
import type { Side } from './side';

/** `$d` and `$x`, with a number from the GNU assembler and a prefix from objcopy (`__pi_$d`, `__efistub_$x`). */
const MAPPING = /^(?:__[a-z_]+_)?\$([dx])(?:\.|$)/;
const DOLLAR = 0x24;
const UNDERSCORE = 0x5f;

/** Places of one section in ascending order: where data begins, or code. */
interface Places {
  offsets: number[];
  data: boolean[];
}

/**
 * What of an executable section is data (ELF for the Arm 64-bit Architecture, "Mapping symbols"): literals of assembler code, and the hash of a function's
 * type, which stands right before it and has no symbol. One pass over all symbols, when first asked for.
 */
export class Mapping {
  private static readonly known = new WeakMap<Side, Mapping>();
  private readonly bySection = new Map<number, Places>();

  static of(side: Side): Mapping {
    let mapping = Mapping.known.get(side);
    if (mapping === undefined) Mapping.known.set(side, (mapping = new Mapping(side)));
    return mapping;
  }

  private constructor(private readonly side: Side) {
    const { table, object, arch } = side;
    if (arch.namelessHash === 0) return;
    const found: Array<[section: SectionIndex, offset: Offset, data: boolean]> = [];
    for (let symbol = 1; symbol < table.symbols; symbol++) {
      const section = table.section[symbol]!;
      if (section === 0 || section >= table.sections || table.size[symbol] !== 0) continue;
      const first = object.bytes[table.name[symbol]!];
      if (first !== DOLLAR && first !== UNDERSCORE) continue;
      const match = MAPPING.exec(side.name(symbol));
      if (match !== null) found.push([section, table.value[symbol]!, match[1] === 'd']);
    }
    for (const [section, offset, data] of found.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
      let places = this.bySection.get(section);
      if (places === undefined) this.bySection.set(section, (places = { offsets: [], data: [] }));
      places.offsets.push(offset);
      places.data.push(data);
    }
  }

  /** Whether a place is data. A section without mapping symbols is all code. */
  isData(section: SectionIndex, offset: Offset): boolean {
    const places = this.bySection.get(section);
    if (places === undefined) return false;
    const last = above(places.offsets.length, (i) => places.offsets[i]!, offset) - 1;
    return last >= 0 && places.data[last]!;
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
