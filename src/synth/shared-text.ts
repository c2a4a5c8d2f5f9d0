import { SHF_ALLOC, SHF_EXECINSTR } from '../elf/constants';
import type { ElfWriter, Rela } from '../elf/writer';
import type { Build } from './build';
import { Column } from './columns';
import type { EncodedFunction } from './encode-function';
import { GrowingBytes } from './growing';
import { HeldRefs } from './held-refs';
import type { Places } from './places';

const AX = SHF_ALLOC | SHF_EXECINSTR;
/** What stands between functions. */
const FILL = 0xcc;
const GAP = new Uint8Array(64).fill(FILL);
/** Prefix bytes before each function (CONFIG_CALL_PADDING), and their alignment. */
export const PADDING = 16;
/** objtool names these NOPs `__pfx_`. */
export const NOPS = new Uint8Array(PADDING).fill(0x90);

/** A text section that functions share. */
export interface SharedText {
  readonly section: number;
  /** Adds a function with its prefix and returns where its code starts. */
  add(unit: number, ordinal: number, code: EncodedFunction): number;
}

/** A section with the functions of many units that holds a small part of the code (`.init.text`): code and references are held, for making all units again takes longer. */
export class HeldText implements SharedText {
  readonly section: number;
  private readonly bytes = new GrowingBytes();
  private readonly refs: HeldRefs;

  constructor(writer: ElfWriter, name: string, places: Places) {
    this.refs = new HeldRefs(places);
    this.section = writer.section({ name, flags: AX, align: PADDING, content: this.bytes });
    writer.relas(this.section, this.refs);
  }

  add(_unit: number, _ordinal: number, code: EncodedFunction): number {
    const start = this.bytes.add(NOPS, PADDING, FILL) + PADDING;
    this.bytes.add(code.bytes);
    this.refs.add(code.refs, start);
    return start;
  }

  /** Adds code that refers to nothing and returns where it starts. */
  addStub(bytes: (start: number) => Uint8Array): number {
    const start = Math.ceil(this.bytes.size / PADDING) * PADDING;
    return this.bytes.add(bytes(start), PADDING, FILL);
  }
}

/** A section that may hold all of the code: only the functions' places are held, the rest is made anew when it is written, unit by unit. */
export class MadeText implements SharedText {
  readonly section: number;
  private readonly units = new Column();
  private readonly ordinals = new Column();
  private readonly starts = new Column();
  private count = 0;
  private relaCount = 0;
  private used = 0;

  constructor(
    writer: ElfWriter,
    name: string,
    private readonly build: Build,
    private readonly places: Places,
  ) {
    const used = (): number => this.used;
    const relas = (): number => this.relaCount;
    this.section = writer.section({
      name,
      flags: AX,
      align: PADDING,
      content: {
        get size() {
          return used();
        },
        chunks: () => this.chunks(),
      },
    });
    writer.relas(this.section, {
      get count() {
        return relas();
      },
      rows: () => this.rows(),
    });
  }

  add(unit: number, ordinal: number, code: EncodedFunction): number {
    const start = Math.ceil(this.used / PADDING) * PADDING + PADDING;
    this.units.set(this.count, unit);
    this.ordinals.set(this.count, ordinal);
    this.starts.set(this.count++, start);
    this.relaCount += code.refs.length;
    this.used = start + code.bytes.length;
    return start;
  }

  private *chunks(): Generator<Uint8Array> {
    let at = 0;
    for (let i = 0; i < this.count; i++) {
      const { bytes } = this.code(i);
      yield GAP.subarray(0, this.starts.get(i) - PADDING - at);
      yield NOPS;
      yield bytes;
      at = this.starts.get(i) + bytes.length;
    }
  }

  private *rows(): Generator<Rela> {
    for (let i = 0; i < this.count; i++) yield* this.places.relas(this.code(i).refs, this.starts.get(i));
  }

  private code(i: number): EncodedFunction {
    return this.build.unit(this.units.get(i)).function(this.ordinals.get(i));
  }
}
