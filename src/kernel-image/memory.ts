import { ElfImage, SHDR_WORDS, SHT_NOBITS, SH_ADDR, s64 } from '../elf';
import { MappedFile } from '../files/mapped-file';
import { malformed } from './unpack/fail';
import type { Unpacked } from './unpack/unpack';

/** A stretch of memory that the file has bytes of. Addresses are signed, as a kernel's lie at the top: a number holds them exactly. */
export interface Segment {
  address: number;
  offset: number;
  size: number;
}

export interface Section extends Segment {
  /** Memory without bytes in the file: zeros there say nothing. */
  empty: boolean;
}

const PT_LOAD = 1;
const PHDR = 56;

/** The kernel's memory as the image has it: bytes by address. */
export class ImageMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Sections by name, the first of each; none in a raw image. */
  readonly sections: ReadonlyMap<string, Section>;
  private readonly text: Buffer;
  private readonly segments: readonly Segment[];

  private constructor(
    readonly path: string,
    { bytes }: Unpacked,
    segments: readonly Segment[],
    sections: ReadonlyMap<string, Section>,
    /** The linked file; null for a raw image. */
    readonly elf: ElfImage | null,
  ) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.segments = segments;
    this.sections = sections;
  }

  /** @throws KlpflowError `malformed-image`, and what the ELF reader throws */
  static of(unpacked: Unpacked, path: string): ImageMemory {
    if (unpacked.form === 'raw') {
      const address = rawBase(unpacked.bytes);
      return new ImageMemory(path, unpacked, [{ address, offset: 0, size: unpacked.bytes.length }], new Map(), null);
    }
    const elf = new ElfImage(MappedFile.ofBytes(unpacked.bytes, path));
    return new ImageMemory(path, unpacked, loadSegments(unpacked.bytes, path), namedSections(elf), elf);
  }

  /** Where the kernel begins, `_text`. */
  get base(): number {
    return this.segments[0]!.address;
  }

  /** File offset of an address whose `length` bytes the file has; -1 where it has not. */
  locate(address: number, length: number): number {
    for (const segment of this.segments) {
      const at = address - segment.address;
      if (at >= 0 && length >= 0 && at + length <= segment.size) return segment.offset + at;
    }
    return -1;
  }

  /** The address of a file offset; undefined where it is not loaded. */
  addressOf(offset: number): number | undefined {
    for (const segment of this.segments) {
      const at = offset - segment.offset;
      if (at >= 0 && at < segment.size) return segment.address + at;
    }
    return undefined;
  }

  /** @returns undefined where the file has not all of the bytes */
  bytesAt(address: number, length: number): Uint8Array | undefined {
    const at = this.locate(address, length);
    return at < 0 ? undefined : this.bytes.subarray(at, at + length);
  }

  /** The NUL-terminated text at an address, of at most `most` bytes. */
  textAt(address: number, most: number): string | undefined {
    const at = this.locate(address, 1);
    if (at < 0) return undefined;
    const end = this.bytes.indexOf(0, at);
    return end < 0 || end - at > most ? undefined : this.text.toString('latin1', at, end);
  }

  /** Whether an address lies in a section of this name; false in a raw image, which has none. */
  holds(section: string, address: number): boolean {
    const found = this.sections.get(section);
    return found !== undefined && address >= found.address && address < found.address + found.size;
  }

  /** Whether the linked file has a section of this name; false for a raw image. */
  has(section: string): boolean {
    return this.sections.has(section);
  }

  s32(address: number): number | undefined {
    const at = this.locate(address, 4);
    return at < 0 ? undefined : this.view.getInt32(at, true);
  }

  /** The content of a section; undefined where there is none, or none in the file. */
  section(name: string): (Segment & { bytes: Uint8Array }) | undefined {
    const found = this.sections.get(name);
    return found === undefined || found.empty
      ? undefined
      : { ...found, bytes: this.bytes.subarray(found.offset, found.offset + found.size) };
  }
}

function loadSegments(bytes: Uint8Array, path: string): Segment[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const table = Number(view.getBigUint64(32, true));
  const count = view.getUint16(56, true);
  if (table + count * PHDR > bytes.length || view.getUint16(54, true) !== PHDR)
    malformed(path, 32, `${count} program headers at ${table} do not lie within the file`);
  const segments: Segment[] = [];
  for (let i = 0, at = table; i < count; i++, at += PHDR) {
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const offset = Number(view.getBigUint64(at + 8, true));
    const size = Number(view.getBigUint64(at + 32, true));
    if (offset + size > bytes.length)
      malformed(path, at, `a segment ends at ${offset + size}, past the end of the file (${bytes.length} bytes)`);
    segments.push({ address: Number(view.getBigInt64(at + 16, true)), offset, size });
  }
  if (segments.length === 0) malformed(path, 32, 'no segment is loaded');
  return segments;
}

function namedSections(elf: ElfImage): Map<string, Section> {
  const sections = new Map<string, Section>();
  for (let section = 1; section < elf.sectionCount; section++) {
    const name = elf.name(section);
    if (sections.has(name)) continue;
    const address = s64(elf.headers, section * SHDR_WORDS + SH_ADDR);
    const empty = elf.type(section) === SHT_NOBITS;
    sections.set(name, { address, offset: elf.offset(section), size: elf.size(section), empty });
  }
  return sections;
}

/** KIMAGE_VADDR of arm64 with 48 bits of addresses, as all distributions have: the image has no address of its own. */
const ARM64_BASE = -0x7fff80000000;

/**
 * The address at which a raw image was linked: its pointers, whether they stand in place (RELR) or as addends (RELA), are of one
 * stretch of 128 MiB, which begins with the kernel: what lies before it (modules, BPF) has a multiple of that (6.1: 0xffff800008000000).
 */
function rawBase(bytes: Uint8Array): number {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const counts = new Map<number, number>();
  for (let at = 4; at + 4 <= bytes.length; at += 8) {
    const high = words.getUint32(at, true);
    if (high >>> 16 !== 0xffff || high >= 0xfffffff0) continue;
    const granule = (high | 0) * 32 + (words.getUint32(at - 4, true) >>> 27);
    counts.set(granule, (counts.get(granule) ?? 0) + 1);
  }
  let best = ARM64_BASE;
  let most = 1000;
  for (const [granule, count] of counts) if (count > most) [best, most] = [granule * 2 ** 27, count];
  return best;
}
