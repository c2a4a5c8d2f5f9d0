import { SHF_ALLOC, SHF_INFO_LINK, RELA_SIZE, SHT_PROGBITS, SHT_RELA, type ElfObject } from '../../../elf';
import type { ChecksumRecords } from '../../../stages/checksum';
import { withSections, type Appended } from '../append';

/** Where checksums stand: records of a symbol's address (a relocation) and its checksum. */
const CHECKSUMS = { name: '.discard.sym_checksum', entsize: 16 } as const;

/** Whether an object carries checksums. */
export function hasChecksums(elf: ElfObject): boolean {
  return elf.sectionsNamed(CHECKSUMS.name).length > 0;
}

/** What makes an object one with checksums. */
export function withChecksums(elf: ElfObject, { content, relas }: ChecksumRecords): Appended {
  return withSections(elf, [
    {
      name: CHECKSUMS.name,
      type: SHT_PROGBITS,
      flags: SHF_ALLOC,
      align: 1,
      entsize: CHECKSUMS.entsize,
      link: 0,
      info: 0,
      content,
    },
    {
      name: `.rela${CHECKSUMS.name}`,
      type: SHT_RELA,
      flags: SHF_INFO_LINK,
      align: 8,
      entsize: RELA_SIZE,
      link: elf.symtabSection,
      info: elf.sectionCount,
      content: relas,
    },
  ]);
}
