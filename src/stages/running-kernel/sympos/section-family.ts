/**
 * Sections that a kernel's linker script places together, in the order of the objects: the family of `.text.vfs_read` (from
 * -ffunction-sections) is `.text`, where the compiler puts the function otherwise. `.text.unlikely.NAME` and its like,
 * and the kernel's own names with two dots (`.data..read_mostly`), are families of their own.
 */
export function sectionFamily(name: string): string {
  return FAMILY.exec(name)?.[1] ?? name;
}

/** Two dots are also what a compiler's own objects have: `.rodata..L__const.f.x`, `.rodata..compoundliteral.3`, `.data..str.5.llvm.7`. */
const FAMILY =
  /^(\.text\.(?:unlikely|hot|startup|exit|unknown|split)|\.data\.rel(?:\.ro)?(?:\.local)?|\.text|\.data|\.rodata|\.bss|\.init\.(?:text|data|rodata))(?:$|\.[^.]|\.\.(?:L|compoundliteral|str\.))/;
