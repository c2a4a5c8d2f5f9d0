import type { SectionIndex } from './indices';
import { ET_DYN, ET_EXEC, ET_REL, SHT_NOBITS } from './constants';
import { ElfFile } from './file';
import { MappedFile } from '../files/mapped-file';
import { SHDR_WORDS, SH_ADDR } from './words';

/**
 * A linked ELF64 file over a mapping: an executable (`vmlinux` of x86-64) or a shared object (of arm64).
 *
 * Addresses are two words, low and high: a kernel's lie above 2^53, where a number loses the low bits.
 */
export class ElfImage extends ElfFile {
  /** Maps and checks `path`. @throws KlpflowError for every file that is not a well-formed linked ELF64 file */
  static open(path: string): ElfImage {
    return new ElfImage(MappedFile.open(path));
  }

  /** Bytes from `section`'s start to an address; negative or past the end where the address is not in the section. */
  offsetOf(section: SectionIndex, low: number, high: number): number {
    const at = section * SHDR_WORDS + SH_ADDR;
    return (high - this.headers[at + 1]!) * 0x100000000 + (low - this.headers[at]!);
  }

  /** The `size` bytes at an address of `section`; undefined where the section does not hold all of them (NOBITS holds none). */
  bytesAt(section: SectionIndex, low: number, high: number, size: number): Uint8Array | undefined {
    const offset = this.offsetOf(section, low, high);
    if (this.type(section) === SHT_NOBITS || !(offset >= 0 && size >= 0 && offset + size <= this.size(section)))
      return undefined;
    const start = this.offset(section) + offset;
    return this.bytes.subarray(start, start + size);
  }

  protected checkType(type: number): void {
    if (type === ET_EXEC || type === ET_DYN) return;
    this.fail(
      'not-linked',
      16,
      `${this.path} is ${type === ET_REL ? 'a relocatable object' : `of ELF type ${type}`}, not a linked image`,
    );
  }

  /** Relocations of an image (`--emit-relocs`) have been applied: nothing reads them, in whatever form. */
  protected checkRelocations(): void {
    // Nothing reads them.
  }

  protected checkSection(): void {
    // A linked file's sections are looked at when they are asked for.
  }
}
