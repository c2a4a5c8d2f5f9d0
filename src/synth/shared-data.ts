import { SHF_ALLOC, SHF_WRITE, SHT_NOBITS } from '../elf/constants';
import type { ElfWriter, Rela } from '../elf/writer';
import { Column } from './columns';
import type { CodeRef } from './encoded';
import { HeldRefs } from './held-refs';
import type { SynthObject } from './model';
import type { Places } from './places';

const ALIGN = 8;
const CHUNK = 1 << 16;

/** A section that objects of many units share. Held are their references and the few words of theirs that are not 0. */
export class SharedData {
  readonly section: number;
  private readonly refs: HeldRefs;
  private readonly offsets = new Column();
  private readonly values = new Column();
  private words = 0;
  private used = 0;

  constructor(
    writer: ElfWriter,
    { name, kind }: { name: string; kind: SynthObject['kind'] },
    private readonly address: number,
    places: Places,
  ) {
    const used = (): number => this.used;
    const content = {
      get size() {
        return used();
      },
      chunks: () => this.chunks(),
    };
    this.refs = new HeldRefs(places);
    this.section = writer.section({
      name,
      flags: kind === 'rodata' ? SHF_ALLOC : SHF_ALLOC | SHF_WRITE,
      align: ALIGN,
      ...(kind === 'bss' ? { type: SHT_NOBITS, size: content } : { content }),
    });
    if (kind !== 'bss') writer.relas(this.section, this.refs);
  }

  /** Adds an object and returns where it starts. */
  add(object: SynthObject): number {
    const start = Math.ceil(this.used / ALIGN) * ALIGN;
    for (const { offset, value } of object.words) {
      this.offsets.set(this.words, start + offset);
      this.values.set(this.words++, value);
    }
    this.refs.add(pointerRefs(object, this.address), start);
    this.used = start + object.size;
    return start;
  }

  /** Words are aligned, so none lies across two chunks. */
  private *chunks(): Generator<Uint8Array> {
    const bytes = new Uint8Array(CHUNK);
    const view = new DataView(bytes.buffer);
    for (let start = 0, word = 0; start < this.used; start += CHUNK) {
      bytes.fill(0);
      for (; word < this.words && this.offsets.get(word) < start + CHUNK; word++)
        view.setInt32(this.offsets.get(word) - start, this.values.get(word), true);
      yield this.used - start < CHUNK ? bytes.subarray(0, this.used - start) : bytes;
    }
  }
}

export function objectBytes(object: SynthObject): Uint8Array {
  const bytes = new Uint8Array(object.size);
  const view = new DataView(bytes.buffer);
  for (const { offset, value } of object.words) view.setUint32(offset, value, true);
  return bytes;
}

/** Relocations of an object in a section of its own; `address` is their type. */
export function objectRelas(places: Places, object: SynthObject, address: number): Iterable<Rela> {
  return places.relas(pointerRefs(object, address), 0);
}

function pointerRefs({ pointers }: SynthObject, address: number): CodeRef[] {
  return pointers.map(({ offset, target }) => ({ offset, target, type: address, addend: 0 }));
}
