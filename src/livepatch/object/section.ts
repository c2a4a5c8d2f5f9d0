import type { SectionUse } from '../../kernel/sections';
import { SHF_WRITE, SHT_NOBITS, type Offset } from '../../elf';

/** A relocation of an output section; its symbol is one of the same object. */
export interface OutputRela {
  /** Bytes from the section's start. */
  offset: Offset;
  /** R_* of the processor. */
  type: number;
  symbol: OutputSymbol;
  addend: number;
}

export interface SectionAttributes {
  name: string;
  /** SHT_* */
  type: number;
  /** SHF_* */
  flags: number;
  entsize: number;
  use?: SectionUse;
}

/** A section of a livepatch object while symbols are cloned into it. */
export class OutputSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly entsize: number;
  readonly use: SectionUse;
  /** Largest alignment that anything in it asked for. */
  align = 1;
  /** In the order in which they were added; sorted by offset only where a writer needs that. */
  readonly relas: OutputRela[] = [];
  private used = 0;
  private buffer = new Uint8Array(64);

  constructor({ name, type, flags, entsize, use = 'both' }: SectionAttributes) {
    this.name = name;
    this.type = type;
    this.flags = flags;
    this.entsize = entsize;
    this.use = use;
  }

  get size(): number {
    return this.used;
  }

  /** The content so far, or nothing for NOBITS. Valid until the next `append`; may be written to. */
  get bytes(): Uint8Array {
    return this.type === SHT_NOBITS ? this.buffer.subarray(0, 0) : this.buffer.subarray(0, this.used);
  }

  get writable(): boolean {
    return (this.flags & SHF_WRITE) !== 0;
  }

  /**
   * Appends bytes, or as many zeros as a number says, at the next multiple of `align`, or `phase` bytes behind one; gaps hold `fill`.
   * @returns where they start
   */
  append(content: Uint8Array | number, align = 1, fill = 0, phase = 0): number {
    this.align = Math.max(this.align, align);
    const start = Math.ceil((this.used - phase) / align) * align + phase;
    const end = start + (typeof content === 'number' ? content : content.length);
    if (this.type !== SHT_NOBITS) {
      this.reserve(end);
      if (fill !== 0) this.buffer.fill(fill, this.used, start);
      if (typeof content !== 'number') this.buffer.set(content, start);
    }
    this.used = end;
    return start;
  }

  private reserve(end: number): void {
    if (end <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(end, this.buffer.length * 2));
    larger.set(this.buffer.subarray(0, this.used));
    this.buffer = larger;
  }
}

/** A symbol of a livepatch object. */
export interface OutputSymbol {
  name: string;
  /** st_info: binding << 4 | type. */
  info: number;
  /** Where it is defined; `undefined` where the module loader (or another object of the same livepatch) defines it. */
  section: OutputSection | 'undefined' | 'absolute';
  /** st_other, 0 if it is left out: the local entry on ppc64. */
  other?: number;
  /** Bytes from the section's start; the value of an absolute symbol. */
  value: number;
  size: number;
}
