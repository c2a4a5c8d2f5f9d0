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

  /** Undefined where the file has not all of the bytes. What lies at 0 was given no address. */
  at(address: number, length: number): Uint8Array | undefined {
    for (const stretch of this.stretches) {
      const from = address - stretch.address;
      if (stretch.address === 0 || from < 0 || length < 0 || from + length > stretch.size) continue;
      return this.bytes.subarray(stretch.offset + from, stretch.offset + from + length);
    }
    return undefined;
  }

  /** The text at an address; empty where the file has none. */
  text(address: number): string {
    for (const stretch of this.stretches) {
      const from = address - stretch.address;
      if (stretch.address === 0 || from < 0 || from >= stretch.size) continue;
      const content = this.bytes.subarray(stretch.offset + from, stretch.offset + stretch.size);
      const end = content.indexOf(0);
      return Buffer.from(content.subarray(0, Math.max(end, 0))).toString('latin1');
    }
    return '';
  }

  /** How far the bytes around a place of the file are from their address. */
  movedBy(place: number): number | undefined {
    const found = this.stretches.find(
      ({ address, offset, size }) => address !== 0 && place >= offset && place < offset + size,
    );
    return found && found.address - found.offset;
  }
}
