import type { Rela } from '../elf/writer';
import { Column } from './columns';

/** The content of a section that many units add to. */
export class GrowingBytes {
  private bytes = new Uint8Array(1024);
  size = 0;

  /** Appends and returns where. `align` is a power of two; gaps hold `fill`. */
  add(bytes: ArrayLike<number>, align = 1, fill = 0): number {
    const at = Math.ceil(this.size / align) * align;
    if (at + bytes.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(at + bytes.length, this.bytes.length * 2));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    this.bytes.fill(fill, this.size, at);
    this.bytes.set(bytes, at);
    this.size = at + bytes.length;
    return at;
  }

  /** Overwrites four bytes with a signed number, little-endian. */
  setWord(at: number, value: number): void {
    new DataView(this.bytes.buffer).setInt32(at, value, true);
  }

  chunks(): Iterable<Uint8Array> {
    return [this.bytes.subarray(0, this.size)];
  }
}

/** Relocations of such a section, as columns: a kernel's tables have a million of them. Offsets stay below 4 GiB. */
export class GrowingRelas {
  private offsets = new Uint32Array(64);
  private types = new Uint16Array(64);
  private symbols = new Uint32Array(64);
  private addends = new Float64Array(64);
  count = 0;

  add(offset: number, type: number, symbol: number, addend: number): void {
    if (this.count === this.offsets.length) this.grow();
    this.offsets[this.count] = offset;
    this.types[this.count] = type;
    this.symbols[this.count] = symbol;
    this.addends[this.count++] = addend;
  }

  *rows(): Generator<Rela> {
    const row: Rela = { offset: 0, type: 0, symbol: 0, addend: 0 };
    for (let i = 0; i < this.count; i++) {
      row.offset = this.offsets[i]!;
      row.type = this.types[i]!;
      row.symbol = this.symbols[i]!;
      row.addend = this.addends[i]!;
      yield row;
    }
  }

  private grow(): void {
    const length = this.count * 2;
    const grown = {
      offsets: new Uint32Array(length),
      types: new Uint16Array(length),
      symbols: new Uint32Array(length),
      addends: new Float64Array(length),
    };
    grown.offsets.set(this.offsets);
    grown.types.set(this.types);
    grown.symbols.set(this.symbols);
    grown.addends.set(this.addends);
    Object.assign(this, grown);
  }
}

const ZEROS = new Uint8Array(1 << 16);

/** A table of one reference an entry and otherwise zeros: neither its bytes nor the offsets are held. */
export class ReferenceTable {
  count = 0;
  readonly relas: { readonly count: number; rows(): Iterable<Rela> };
  private readonly symbols = new Column();
  private readonly addends = new Column();

  constructor(
    private readonly entry: number,
    type: number,
  ) {
    const { symbols, addends } = this;
    const size = (): number => this.count;
    this.relas = {
      get count() {
        return size();
      },
      *rows() {
        const row: Rela = { offset: 0, type, symbol: 0, addend: 0 };
        for (let i = 0; i < size(); i++) {
          row.offset = i * entry;
          row.symbol = symbols.get(i);
          row.addend = addends.get(i);
          yield row;
        }
      },
    };
  }

  get size(): number {
    return this.count * this.entry;
  }

  add(symbol: number, addend: number): void {
    this.symbols.set(this.count, symbol);
    this.addends.set(this.count++, addend);
  }

  *chunks(): Generator<Uint8Array> {
    for (let left = this.size; left > 0; left -= ZEROS.length)
      yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
  }
}
