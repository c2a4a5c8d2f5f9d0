import { RELA_WORDS, R_OFFSET, STT_FILE, u64, type ElfObject, type SymbolIndex } from '../../elf';
import { archOf, type Arch, type Disassembler } from '../../arch';
import { Identity, type ScanTable } from '../scan';
import type { StructSizes } from '../scan/entry-size';
import type { Pairing } from '../correlate';
import { AnonymousExtents } from './extents';
import type { Range, RelaAt } from './range';
import type { Reading } from './reading';

/** One build while it is compared: its object, columns and the readers over them. */
export class Side {
  readonly arch: Arch;
  readonly identity: Identity;
  readonly extents: AnonymousExtents;
  /** The other build, once both are compared: what it refers to is evidence for what this one means. */
  counterpart: Counterpart | undefined;
  private units: Set<string> | undefined;
  private decoder: Disassembler | undefined;

  constructor(
    readonly object: ElfObject,
    readonly table: ScanTable,
    readonly structSizes: StructSizes = {},
  ) {
    this.arch = archOf(object.machine, object.path);
    this.identity = Identity.of(object, table);
    this.extents = new AnonymousExtents(object, table, this.arch, this.identity);
  }

  name(symbol: SymbolIndex): string {
    return this.object.symbolName(symbol);
  }

  /** Bytes of a symbol where they lie; empty for NOBITS, and for COMMON, which is no section. */
  bytes(symbol: SymbolIndex): Uint8Array {
    const section = this.table.section[symbol]!;
    if (section >= this.table.sections) return new Uint8Array(0);
    const start = this.table.value[symbol]!;
    return this.object.content(section).subarray(start, start + this.table.size[symbol]!);
  }

  sectionName(symbol: SymbolIndex): string {
    const section = this.table.section[symbol]!;
    return section < this.table.sections ? this.object.name(section) : '';
  }

  /** Names of all compilation units. */
  allUnits(): ReadonlySet<string> {
    if (this.units === undefined) {
      this.units = new Set();
      const { listed, listedCount, info } = this.table;
      for (let i = 0; i < listedCount; i++)
        if ((info[listed[i]!]! & 0xf) === STT_FILE) this.units.add(this.name(listed[i]!));
    }
    return this.units;
  }

  /** Heavy, so made for the first function that has to be decoded. */
  get disassembler(): Disassembler {
    return (this.decoder ??= this.arch.disassembler());
  }

  /** The bytes of a symbol. */
  rangeOf(symbol: SymbolIndex): Range {
    const start = this.table.value[symbol]!;
    return { section: this.table.section[symbol]!, start, end: start + this.table.size[symbol]! };
  }

  /** The relas whose fields lie in a range, in offset order. */
  *relasIn({ section, start, end }: Range): Generator<RelaAt> {
    const { words, at: first, stop } = this.identity.relas.select(section, start, end);
    for (let at = first; at < stop; at += RELA_WORDS) {
      const offset = u64(words, at + R_OFFSET);
      if (offset >= start && offset < end) yield { words, at, offset };
    }
  }
}

/** The other build, as one build sees it. */
export interface Counterpart {
  side: Side;
  pairing: Pairing;
  /** The other build's twin of a canonical symbol, 0 for none. */
  twinOf(symbol: SymbolIndex): SymbolIndex;
  /** Whether a reading of this build and one of the other mean the same place of twins; the end of an object is the same place, however long it is. */
  same(own: Reading, other: Reading): boolean;
}
