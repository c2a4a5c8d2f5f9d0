import type { SectionIndex } from './indices';
import { SHN_LORESERVE, SHN_UNDEF, SHN_XINDEX, STB_LOCAL, STT_NOTYPE, SYM_SIZE } from './constants';
import { setU64 } from './encode';
import { StringTable } from './string-table';

/** A symbol to be written. With neither `section` nor `reserved` it is undefined. */
export interface SymbolSpec {
  name: string;
  /** STT_*; default STT_NOTYPE. */
  type?: number;
  /** STB_*; default STB_LOCAL. */
  binding?: number;
  /** st_other: visibility in the low two bits, the local entry point on ppc64 above. */
  other?: number;
  /** Index of the section it is defined in, of any size. */
  section?: SectionIndex;
  /** A reserved index instead of a section: SHN_ABS, SHN_COMMON, SHN_LIVEPATCH. */
  reserved?: number;
  /** Offset in its section in bytes; alignment for SHN_COMMON. */
  value?: number | bigint;
  /** Size in bytes. */
  size?: number | bigint;
}

/**
 * The symbol table under construction: finished 24-byte records in the order they were added.
 *
 * ELF wants all local symbols before the first other one. The caller adds them in any order and holds on to the
 * handles; `order` gives the final order and `indices` the final index of each handle.
 */
export class WriterSymbols {
  readonly names = new StringTable();
  private records = new Uint8Array(SYM_SIZE * 1024);
  private view = new DataView(this.records.buffer);
  /** Real section index of symbols in sections from SHN_LORESERVE on, 0 for others: the words of SHT_SYMTAB_SHNDX. */
  private extended = new Uint32Array(1024);
  private used = 1;
  private locals = 1;

  /** Whether a symbol needs a SHT_SYMTAB_SHNDX section beside the table. */
  needsExtended = false;
  /** The largest section index any symbol is defined in. */
  highestSection = 0;

  constructor(private readonly little: boolean) {}

  /** Number of symbols, the null symbol included. */
  get count(): number {
    return this.used;
  }

  /** Index of the first symbol that is not local: sh_info of the table. */
  get localCount(): number {
    return this.locals;
  }

  /** Adds a symbol and returns its handle, which is good for this table only. */
  add(symbol: SymbolSpec): number {
    if (symbol.section !== undefined && symbol.reserved !== undefined)
      throw new RangeError(`symbol ${symbol.name} has a section and a reserved index`);
    if (this.used === this.extended.length) this.grow();
    const at = this.used * SYM_SIZE;
    const binding = symbol.binding ?? STB_LOCAL;
    const section = symbol.section ?? SHN_UNDEF;
    const index = symbol.reserved ?? (section < SHN_LORESERVE ? section : SHN_XINDEX);
    this.view.setUint32(at, this.names.add(symbol.name), this.little);
    this.view.setUint8(at + 4, (binding << 4) | (symbol.type ?? STT_NOTYPE));
    this.view.setUint8(at + 5, symbol.other ?? 0);
    this.view.setUint16(at + 6, index, this.little);
    setU64(this.view, at + 8, symbol.value ?? 0, this.little);
    setU64(this.view, at + 16, symbol.size ?? 0, this.little);
    if (index === SHN_XINDEX) {
      this.extended[this.used] = section;
      this.needsExtended = true;
    }
    if (section > this.highestSection) this.highestSection = section;
    if (binding === STB_LOCAL) this.locals++;
    return this.used++;
  }

  nameOf(handle: number): string {
    return this.names.text(this.view.getUint32(handle * SYM_SIZE, this.little));
  }

  /** Handles in the final order: the null symbol, locals, the others, each in the order of addition. */
  order(): Uint32Array {
    const order = new Uint32Array(this.used);
    let local = 1;
    let other = this.locals;
    for (let handle = 1; handle < this.used; handle++) {
      const isLocal = this.records[handle * SYM_SIZE + 4]! >> 4 === STB_LOCAL;
      order[isLocal ? local++ : other++] = handle;
    }
    return order;
  }

  /** Copies the symbol's record to `at` of `bytes`. */
  copyRecord(handle: number, bytes: Uint8Array, at: number): void {
    const from = handle * SYM_SIZE;
    for (let i = 0; i < SYM_SIZE; i++) bytes[at + i] = this.records[from + i]!;
  }

  extendedIndex(handle: number): number {
    return this.extended[handle]!;
  }

  private grow(): void {
    const records = new Uint8Array(this.records.length * 2);
    records.set(this.records);
    this.records = records;
    this.view = new DataView(records.buffer);
    const extended = new Uint32Array(this.extended.length * 2);
    extended.set(this.extended);
    this.extended = extended;
  }
}
