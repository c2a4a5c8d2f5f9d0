import type { SectionIndex } from './indices';
import {
  SHF_ALLOC,
  SHT_ANDROID_REL,
  SHT_ANDROID_RELA,
  SHT_ANDROID_RELR,
  SHT_CREL,
  SHT_FINI_ARRAY,
  SHT_GROUP,
  SHT_INIT_ARRAY,
  SHT_LLVM_CREL,
  SHT_NOTE,
  SHT_NULL,
  SHT_PREINIT_ARRAY,
  SHT_RELR,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_X86_64_UNWIND,
  EM_X86_64,
} from './constants';
import type { ElfFile } from './file';

/** Relocations in other forms than SHT_RELA. To pass them over would make everything that they name equal: two builds that call different functions were `unchanged`. */
const RELOCATIONS = new Map<number, string>([
  [SHT_CREL, 'SHT_CREL, the compact form of LLVM'],
  [SHT_LLVM_CREL, 'SHT_CREL, the compact form of LLVM'],
  [SHT_RELR, 'SHT_RELR'],
  [SHT_ANDROID_REL, 'SHT_ANDROID_REL'],
  [SHT_ANDROID_RELA, 'SHT_ANDROID_RELA'],
  [SHT_ANDROID_RELR, 'SHT_ANDROID_RELR'],
]);

/** Content, for which any other type would do. */
const CONTENT: ReadonlySet<number> = new Set([SHT_NOTE, SHT_INIT_ARRAY, SHT_FINI_ARRAY, SHT_PREINIT_ARRAY]);
const OWN_TABLES: ReadonlySet<number> = new Set([SHT_NULL, SHT_STRTAB, SHT_GROUP]);

/** Content of a processor's own type: `.eh_frame` as LLVM writes it for x86-64. */
const OF_PROCESSORS: ReadonlyMap<number, number> = new Map([[EM_X86_64, SHT_X86_64_UNWIND]]);

/** SHT_LLVM_* that tell tools about code and hold none: linker options, address-significance, profiles, maps of basic blocks, bitcode beside code. */
const LLVM_FIRST = 0x6fff4c00;
const LLVM_LAST = 0x6fff4cff;

/** Why a section of a type that nobody here reads may not be passed over; undefined where it may. */
export function unreadSection(file: ElfFile, section: SectionIndex): string | undefined {
  const type = file.type(section);
  const relocations = RELOCATIONS.get(type);
  if (relocations !== undefined) return `holds relocations of the form ${relocations}, which are not read`;
  if (OWN_TABLES.has(type) || CONTENT.has(type) || OF_PROCESSORS.get(file.machine) === type) return undefined;
  const known = type >= LLVM_FIRST && type <= LLVM_LAST;
  if ((file.sectionFlags(section) & SHF_ALLOC) !== 0)
    return `is loaded and of type 0x${type.toString(16)}, which is not known`;
  // What names symbols may say something about code; what does not is a note for tools.
  const link = file.link(section);
  return !known && link > 0 && link < file.sectionCount && file.type(link) === SHT_SYMTAB
    ? `refers to symbols and is of type 0x${type.toString(16)}, which is not known`
    : undefined;
}
