import { kernelSection } from './sections';

/**
 * What a section is to a livepatch, told by its flags first and its name only where the kernel decides by name.
 *
 * Names lie: of 123 sections of a 7.2 kernel whose names look like `.rodata...str...` 118 hold no strings
 * (`.rodata.stream_id_fops`), so strings are recognised by SHF_MERGE and SHF_STRINGS alone.
 */
export const SectionClass = {
  ALLOC: 1,
  EXEC: 2,
  WRITE: 4,
  NOBITS: 8,
  /** Merged strings of sh_entsize-byte units. */
  STRING: 0x10,
  /** Merged constants without symbols (`.rodata.cst16`): identity is the value. */
  CONSTANT: 0x20,
  /** Read-only data: nothing can tell two equal objects apart, so content may pair them. */
  READONLY: 0x40,
  /** Dropped from memory after boot (vmlinux) or after loading (modules). */
  INIT: 0x80,
  /** Dropped from built-in code at link or boot. */
  EXIT: 0x100,
  /** A table read entry by entry: an entry belongs to the function whose code it describes. */
  SPECIAL: 0x200,
  /** Tables that tools make anew, or that no code reads at run time: never content. */
  DERIVED: 0x400,
  /** Data without identity of its own (`.data..L__unnamed_1`): compared by content at each use. */
  ANONYMOUS: 0x800,
  /** Records that carry a source line (`__dyndbg`): identity is their content but for the line. */
  RECORD: 0x1000,
  /** `.data..once`: flags of WARN_ONCE and its like, local to each build. */
  ONCE: 0x2000,
  /** Code reached only through `.altinstructions`. */
  REPLACEMENT: 0x4000,
  /** One copy a processor, addressed through %gs: never the same variable as an ordinary one. */
  PERCPU: 0x8000,
  /** ppc64's table of contents: an entry stands for what its relocation refers to. */
  TOC: 0x10000,
  /** Where compilers put functions that a profile says run often (`.text.hot`) or hardly ever (`.text.unlikely`). */
  HOT: 0x20000,
  UNLIKELY: 0x40000,
  /** Written by boot code only: the kernel then makes it read-only. */
  RO_AFTER_INIT: 0x80000,
  /** Shared with the hypervisor where memory is encrypted. */
  DECRYPTED: 0x100000,
  /** Has a name of its own: none of `.text`, `.rela`, `.rodata`, `.data`, `.bss`, `.debug`, `.discard` and what follows on them, which nearly all of 200,000 have. */
  ODD: 0x200000,
} as const;

/** Pointers to functions that run at boot, or when a module comes or goes; a priority may follow. */
const CONSTRUCTORS = /^\.(?:init_array|ctors)(?:\.|$)/;
const DESTRUCTORS = /^\.(?:fini_array|dtors)(?:\.|$)/;

/** GCC's tables of variables for KASAN, which only its constructors hand on (`.data..LASAN0`, `.data..LASANLOC1`), and gcov's (`.data..LPBX0`). */
const REGISTERED = /^\.data\.(?:rel\.)?(?:local\.|ro\.)*\.L(?:ASAN|PBX)/;

/**
 * Class bits by name, for a loaded section whose flags say `flags`. Only the part that needs the name.
 * `special` is whether the special-section table lists it.
 */
export function classByName(name: string, special: boolean): number {
  const section = kernelSection(name);
  let bits = 0;
  if (special) bits |= SectionClass.SPECIAL;
  if (section?.record !== undefined) bits |= SectionClass.RECORD;
  if (
    section?.derived ||
    name.startsWith('.discard.') ||
    name.startsWith('.note.') ||
    name.startsWith('.debug_') ||
    name.startsWith('__llvm_prf_') ||
    name.startsWith('__ksymtab') ||
    name.startsWith('__kcrctab') ||
    REGISTERED.test(name)
  ) {
    bits |= SectionClass.DERIVED;
  }
  if (section?.replacement) bits |= SectionClass.REPLACEMENT;
  if (
    name.startsWith('.init.') ||
    name.startsWith('.initcall') ||
    name.endsWith('.init') ||
    CONSTRUCTORS.test(name) ||
    name.startsWith('.meminit')
  )
    bits |= SectionClass.INIT;
  if (
    name.startsWith('.exit.') ||
    name.startsWith('.exitcall') ||
    name.startsWith('.memexit') ||
    DESTRUCTORS.test(name)
  )
    bits |= SectionClass.EXIT;
  if (name.startsWith('.data.rel.ro')) bits |= SectionClass.READONLY;
  if (name.startsWith('.data..ro_after_init') || name.startsWith('.bss..ro_after_init'))
    bits |= SectionClass.RO_AFTER_INIT;
  if (/^\.(?:data|bss)\..*\.decrypted/.test(name)) bits |= SectionClass.DECRYPTED;
  if (name.startsWith('.data..Lubsan') || name.startsWith('.data..L__unnamed_') || name.startsWith('.data..Lanon.'))
    bits |= SectionClass.ANONYMOUS;
  if (name === '.toc') bits |= SectionClass.TOC;
  if (name.startsWith('.data..percpu') || name.startsWith('.data.percpu')) bits |= SectionClass.PERCPU;
  if (name === '.data..once') bits |= SectionClass.ONCE;
  if (name.startsWith('.rodata.cst')) bits |= SectionClass.CONSTANT;
  return bits;
}
