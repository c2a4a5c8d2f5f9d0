import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHN_COMMON, SHN_LORESERVE, SHT_NOBITS } from '../elf';
import type { Context } from './context';
import { isTable } from './tables';
import { THIS_MODULE } from './template';

/** Sections that the loader looks up by name, besides the tables of places in code. */
const LOADED = new Set([
  '__versions',
  '__version_ext_crcs',
  '__version_ext_names',
  '.altinstr_replacement',
  '__param',
  '__dyndbg',
]);
const LARGEST_ALIGN = 4096;

/** What `load_module()` wants of the file before it looks into any section. */
export function checkElfForm({ module, findings, livepatch }: Context): void {
  const add = (message: string): void => findings.add('verify-elf-form', undefined, message);
  if (module.sections.length >= SHN_LORESERVE)
    add(
      `${module.sections.length} sections: the module loader reads a 16-bit count, so extended numbering is not possible`,
    );
  if (module.elf.symtabSection === 0)
    add('there is no symbol table: the kernel needs it for klp symbols and for the sizes of functions');
  for (const name of ['.modinfo', THIS_MODULE]) {
    const found = module.sections.filter((section) => section.name === name);
    if (found.length !== 1) add(`${found.length} sections are called ${name}, there must be exactly one`);
    else if ((found[0]!.flags & SHF_ALLOC) === 0 || found[0]!.type === SHT_NOBITS)
      add(`${name} must be loaded (SHF_ALLOC) and have content`);
  }
  for (const section of module.sections) {
    if ((section.flags & SHF_ALLOC) === 0) {
      if (isTable(section.name) || LOADED.has(section.name))
        findings.add('verify-elf-form', { section }, 'it is not loaded (SHF_ALLOC), so the kernel would not see it');
      continue;
    }
    if (section.align > LARGEST_ALIGN || (section.align & (section.align - 1)) !== 0)
      findings.add(
        'verify-elf-form',
        { section },
        `its alignment of ${section.align} is not a power of two up to a page`,
      );
    if ((section.flags & SHF_WRITE) !== 0 && (section.flags & SHF_EXECINSTR) !== 0)
      findings.add('verify-elf-form', { section }, 'it is writable and executable, which the loader refuses');
    if (livepatch && (section.name.startsWith('.discard') || section.name === '.BTF'))
      findings.add('verify-elf-form', { section }, 'it does not belong into a finished livepatch');
  }
  if (module.section('.ctors') !== undefined && module.section('.init_array') !== undefined)
    add('.ctors and .init_array are both there, which the loader refuses');
  for (const symbol of module.symbols)
    if (symbol.section === SHN_COMMON)
      findings.add(
        'verify-elf-form',
        { symbol },
        `${symbol.name} is a COMMON symbol, which the loader refuses: compile with -fno-common`,
      );
}
