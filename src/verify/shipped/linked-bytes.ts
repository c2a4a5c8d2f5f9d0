import { SHDR_WORDS, SHT_NOBITS, SH_ADDR, type ElfImage } from '../../elf';
import { address64 } from '../addresses';

/** A piece of memory that the file has the bytes of. */
export interface Stretch {
  /** Its section's; empty in an image without sections. */
  name: string;
  address: number;
  offset: number;
  size: number;
}

/** KIMAGE_VADDR of arm64 since 6.5; a raw image does not say it. */
const ARM64_BASE = -0x7fff80000000;

/** A linked kernel's memory before it runs: of an ELF file section by section, of arm64's raw image from `_text` on. */
export class LinkedBytes {
  readonly view: DataView;

  private constructor(
    readonly path: string,
    readonly bytes: Uint8Array,
    readonly little: boolean,
    readonly stretches: readonly Stretch[],
    /** Address of a raw image's first byte; null of an ELF file. */
    readonly rawBase: number | null,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  static ofElf(elf: ElfImage): LinkedBytes {
    const stretches: Stretch[] = [];
    for (let section = 1; section < elf.sectionCount; section++)
      if (elf.type(section) !== SHT_NOBITS && elf.size(section) > 0)
        stretches.push({
          name: elf.name(section),
          address: address64(elf.headers, section * SHDR_WORDS + SH_ADDR),
          offset: elf.offset(section),
          size: elf.size(section),
        });
    return new LinkedBytes(elf.path, elf.bytes, elf.little, stretches, null);
  }

  static ofRaw(bytes: Uint8Array, path: string, base = ARM64_BASE): LinkedBytes {
    return new LinkedBytes(path, bytes, true, [{ name: '', address: base, offset: 0, size: bytes.length }], base);
  }

  /** A section's content and address; undefined where there is none with bytes. */
  section(name: string): { address: number; bytes: Uint8Array } | undefined {
    const found = name === '' ? undefined : this.stretches.find((stretch) => stretch.name === name);
    return found && { address: found.address, bytes: this.bytes.subarray(found.offset, found.offset + found.size) };
  }

  /** Undefined where the file has not all of the bytes. */
  at(address: number, length: number): Uint8Array | undefined {
    return length < 0 ? undefined : this.from(address, length)?.subarray(0, length);
  }

  /** The text at an address; empty where the file has none. */
  text(address: number): string {
    const content = this.from(address, 1);
    const end = content?.indexOf(0) ?? -1;
    return end < 0 ? '' : Buffer.from(content!.subarray(0, end)).toString('latin1');
  }

  /** From an address to the end of its stretch, where that has so many bytes. What lies at 0 was given no address. */
  private from(address: number, length: number): Uint8Array | undefined {
    const found = this.stretches.find(
      (stretch) =>
        stretch.address !== 0 && address >= stretch.address && address + length <= stretch.address + stretch.size,
    );
    return found && this.bytes.subarray(found.offset + address - found.address, found.offset + found.size);
  }

  /** How far the bytes around a place of the file are from their address. */
  movedBy(place: number): number | undefined {
    const found = this.stretches.find(
      ({ address, offset, size }) => address !== 0 && place >= offset && place < offset + size,
    );
    return found && found.address - found.offset;
  }
}
