import { SHF_ALLOC, SHF_EXECINSTR } from '../elf/constants';
import type { ElfWriter, Rela } from '../elf/writer';
import type { Build } from './build';
import { Column } from './columns';
import type { Places } from './places';

const AX = SHF_ALLOC | SHF_EXECINSTR;
/** What stands between functions, and the code that may be there besides them. */
const FILL = 0xcc;
const GAP = new Uint8Array(64).fill(FILL);
/** Prefix bytes before each function, and their alignment. */
export const PADDING = 16;
export const NOPS = new Uint8Array(PADDING).fill(0x90);

/**
 * A text section that functions share. Only their places are held: bytes and relocations are made anew when they are written,
 * for one `.text` may hold all of a kernel.
 */
export class SharedText {
  readonly section: number;
  private readonly units = new Column();
  private readonly ordinals = new Column();
  /** Where a function's code starts, and behind it its size; code of fewer bytes than a Column holds. */
  private readonly starts = new Column();
  private readonly sizes = new Column();
  /** Start and bytes of what stands behind some functions: stubs of initcalls. */
  private readonly stubs = new Map<number, Uint8Array>();
  private count = 0;
  private relaCount = 0;
  private used = 0;

  constructor(writer: ElfWriter, name: string, private readonly build: Build, private readonly places: Places) {
    const used = (): number => this.used;
    const relas = (): number => this.relaCount;
    this.section = writer.section({ name, flags: AX, align: PADDING, content: { get size() { return used(); }, chunks: () => this.chunks() } });
    writer.relas(this.section, { get count() { return relas(); }, rows: () => this.rows() });
  }

  /** Adds a function with its prefix and returns where its code starts. */
  add(unit: number, ordinal: number, size: number, relas: number): number {
    const start = align(this.used) + PADDING;
    this.units.set(this.count, unit);
    this.ordinals.set(this.count, ordinal);
    this.starts.set(this.count, start);
    this.sizes.set(this.count++, size);
    this.relaCount += relas;
    this.used = start + size;
    return start;
  }

  /** Adds code that refers to nothing behind the last function and returns where it starts. */
  addStub(bytes: (start: number) => Uint8Array): number {
    const start = align(this.used);
    const code = bytes(start);
    this.stubs.set(this.count - 1, code);
    this.used = start + code.length;
    return start;
  }

  private *chunks(): Generator<Uint8Array> {
    let at = 0;
    for (let i = 0; i < this.count; i++) {
      const start = this.starts.get(i);
      yield GAP.subarray(0, start - PADDING - at);
      yield NOPS;
      yield this.build.unit(this.units.get(i)).function(this.ordinals.get(i)).bytes;
      at = start + this.sizes.get(i);
      const stub = this.stubs.get(i);
      if (stub === undefined) continue;
      yield GAP.subarray(0, align(at) - at);
      yield stub;
      at = align(at) + stub.length;
    }
  }

  private *rows(): Generator<Rela> {
    for (let i = 0; i < this.count; i++) {
      const { refs } = this.build.unit(this.units.get(i)).function(this.ordinals.get(i));
      yield* this.places.relas(refs, this.starts.get(i));
    }
  }
}

function align(at: number): number {
  return Math.ceil(at / PADDING) * PADDING;
}
