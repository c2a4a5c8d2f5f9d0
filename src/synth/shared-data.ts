import { R_X86_64_64, SHF_ALLOC, SHF_WRITE, SHT_NOBITS } from '../elf/constants';
import type { ElfWriter, Rela } from '../elf/writer';
import type { Build } from './build';
import { Column } from './columns';
import type { SynthObject } from './model';
import type { Places } from './places';

const ALIGN = 8;
const GAP = new Uint8Array(ALIGN);

/** A section that objects of many units share. Only their places are held; the objects are made anew when they are written. */
export class SharedData {
  readonly section: number;
  private readonly units = new Column();
  private readonly items = new Column();
  private readonly starts = new Column();
  private count = 0;
  private relaCount = 0;
  private used = 0;

  constructor(writer: ElfWriter, name: string, kind: SynthObject['kind'], private readonly build: Build, private readonly places: Places) {
    const used = (): number => this.used;
    const relas = (): number => this.relaCount;
    const content = { get size() { return used(); }, chunks: () => this.chunks() };
    this.section = writer.section({ name, flags: kind === 'rodata' ? SHF_ALLOC : SHF_ALLOC | SHF_WRITE, align: ALIGN, ...(kind === 'bss' ? { type: SHT_NOBITS, size: content } : { content }) });
    if (kind !== 'bss') writer.relas(this.section, { get count() { return relas(); }, rows: () => this.rows() });
  }

  /** Adds an object and returns where it starts. */
  add(unit: number, index: number, size: number, relas: number): number {
    const start = Math.ceil(this.used / ALIGN) * ALIGN;
    this.units.set(this.count, unit);
    this.items.set(this.count, index);
    this.starts.set(this.count++, start);
    this.relaCount += relas;
    this.used = start + size;
    return start;
  }

  private *chunks(): Generator<Uint8Array> {
    let at = 0;
    for (let i = 0; i < this.count; i++) {
      const bytes = objectBytes(this.object(i));
      yield GAP.subarray(0, this.starts.get(i) - at);
      yield bytes;
      at = this.starts.get(i) + bytes.length;
    }
  }

  private *rows(): Generator<Rela> {
    for (let i = 0; i < this.count; i++) yield* objectRelas(this.places, this.object(i), this.starts.get(i));
  }

  private object(i: number): SynthObject {
    return this.build.unit(this.units.get(i)).unit.objects[this.items.get(i)]!;
  }
}

export function objectBytes(object: SynthObject): Uint8Array {
  const bytes = new Uint8Array(object.size);
  const view = new DataView(bytes.buffer);
  for (const { offset, value } of object.words) view.setUint32(offset, value, true);
  return bytes;
}

/** Relocations of an object that starts at `base` in its section. */
export function objectRelas(places: Places, object: SynthObject, base: number): Iterable<Rela> {
  return places.relas(object.pointers.map((pointer) => ({ ...pointer, type: R_X86_64_64, addend: 0 })), base);
}
