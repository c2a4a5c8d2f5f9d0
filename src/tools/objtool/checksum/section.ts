import {
  R_X86_64_PC32,
  SHF_ALLOC,
  SHF_INFO_LINK,
  RELA_SIZE,
  SHT_PROGBITS,
  SHT_RELA,
  type ElfObject,
} from '../../../elf';
import { withSections } from '../append';
import { relaBytes } from '../../../livepatch/klp/rows';
import type { SymbolChecksum } from '.';

/** Where checksums stand: records of a symbol's address (a relocation) and its checksum. */
const CHECKSUMS = { name: '.discard.sym_checksum', entsize: 16 } as const;

/** Whether an object carries checksums. */
export function hasChecksums(elf: ElfObject): boolean {
  for (let i = 1; i < elf.sectionCount; i++) if (elf.name(i) === CHECKSUMS.name) return true;
  return false;
}

/** The bytes of an object with checksums of these symbols, in pieces. */
export function withChecksums(elf: ElfObject, symbols: readonly SymbolChecksum[]): Uint8Array[] {
  const content = new Uint8Array(symbols.length * CHECKSUMS.entsize);
  const view = new DataView(content.buffer);
  symbols.forEach(({ checksum }, i) => view.setBigUint64(i * CHECKSUMS.entsize + 8, checksum, true));
  const rows = symbols.map(({ symbol }, i) => ({
    offset: i * CHECKSUMS.entsize,
    type: R_X86_64_PC32,
    symbol,
    addend: 0,
  }));
  return withSections(elf, elf.bytes, [
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
      content: relaBytes(rows),
    },
  ]);
}
