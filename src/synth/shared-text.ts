import { SHF_ALLOC, SHF_EXECINSTR } from '../elf/constants';
import type { ElfWriter, Rela } from '../elf/writer';
import type { Build } from './build';
import { Column } from './columns';
import type { EncodedFunction } from './encoded';
import { GrowingBytes } from './growing';
import { HeldRefs } from './held-refs';
import type { Places } from './places';
import type { TextRules } from './processor';

const AX = SHF_ALLOC | SHF_EXECINSTR;

/** A text section that functions share. */
export interface SharedText {
  readonly section: number;
  /** Adds a function with what stands before and behind it and returns where its code starts. */
  add(unit: number, ordinal: number, code: EncodedFunction): number;
}

/** A section with the functions of many units that holds a small part of the code (`.init.text`): code and references are held, for making all units again takes longer. */
export class HeldText implements SharedText {
  readonly section: number;
  private readonly bytes = new GrowingBytes();
  private readonly refs: HeldRefs;

  constructor(
    writer: ElfWriter,
    name: string,
    places: Places,
    private readonly rules: TextRules,
  ) {
    this.refs = new HeldRefs(places);
    this.section = writer.section({ name, flags: AX, align: rules.align, content: this.bytes });
    writer.relas(this.section, this.refs);
  }

  add(_unit: number, _ordinal: number, { lead, bytes, tail, refs }: EncodedFunction): number {
    const { align, fill } = this.rules;
    const start = this.bytes.add(lead, align, fill) + lead.length;
    this.bytes.add(bytes);
    this.bytes.add(tail);
    this.refs.add(refs, start);
    return start;
  }

  /** Adds code that refers to nothing and returns where it starts. */
  addStub(bytes: (start: number) => Uint8Array): number {
    const { align, fill } = this.rules;
    const start = Math.ceil(this.bytes.size / align) * align;
    return this.bytes.add(bytes(start), align, fill);
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
      align: build.processor.text.align,
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

  add(unit: number, ordinal: number, { lead, bytes, tail, refs }: EncodedFunction): number {
    const { align } = this.build.processor.text;
    const start = Math.ceil(this.used / align) * align + lead.length;
    this.units.set(this.count, unit);
    this.ordinals.set(this.count, ordinal);
    this.starts.set(this.count++, start);
    this.relaCount += refs.length;
    this.used = start + bytes.length + tail.length;
    return start;
  }

  private *chunks(): Generator<Uint8Array> {
    const { align, fill } = this.build.processor.text;
    const gap = new Uint8Array(align).fill(fill);
    let at = 0;
    for (let i = 0; i < this.count; i++) {
      const { lead, bytes, tail } = this.code(i);
      const start = this.starts.get(i);
      yield gap.subarray(0, start - lead.length - at);
      yield lead;
      yield bytes;
      yield tail;
      at = start + bytes.length + tail.length;
    }
  }

  private *rows(): Generator<Rela> {
    for (let i = 0; i < this.count; i++) yield* this.places.relas(this.code(i).refs, this.starts.get(i));
  }

  private code(i: number): EncodedFunction {
    return this.build.unit(this.units.get(i)).function(this.ordinals.get(i));
  }
}
