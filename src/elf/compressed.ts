import type { SectionIndex } from './indices';
import { SHF_COMPRESSED } from './constants';
import type { ElfFile } from './file';

/** struct Elf64_Chdr, at the start of a compressed section (`-gz`): ch_size at 8. */
const CHDR_SIZE = 24;

/** Bytes that relocations of a section apply to: where it is compressed, those that it will have. A damaged file may say any number. */
export function plainSize(elf: ElfFile, section: SectionIndex): number {
  const content = elf.content(section);
  if ((elf.sectionFlags(section) & SHF_COMPRESSED) === 0 || content.length < CHDR_SIZE) return elf.size(section);
  return Number(new DataView(content.buffer, content.byteOffset, content.length).getBigUint64(8, elf.little));
}
