import { kernelSection } from '../../kernel/sections';

/**
 * What the linker script of modules makes of a section name (scripts/module.lds.S). Merging is no nicety: the module loader
 * reads the 16-bit section count of the file header alone, and a kernel has tens of thousands of section names.
 */
const MERGED: ReadonlyArray<readonly [RegExp, string]> = [
  [/^\.text\.[0-9A-Za-z_]/, '.text'],
  // Built-in code has per-CPU data in several sections; of a module the loader copies the one of this name to each processor,
  // any other would be one variable that all processors share.
  [/^\.data\.\.percpu/, '.data..percpu'],
  [/^\.data\.(?:[0-9A-Za-z_]|\.L)/, '.data'],
  [/^\.rodata\.(?:[0-9A-Za-z_]|\.L)/, '.rodata'],
  [/^\.bss\.(?:[0-9A-Za-z_]|\.L)/, '.bss'],
  [/^\.kcfi_traps$/, '__kcfi_traps'],
];

/** Sections that the script drops, and those that each module gets once. */
const DROPPED = /^\.discard|^\.(?:export_symbol|no_trim_symbol|modinfo|gnu\.linkonce\.this_module)$|^__version/;

/** The section of a module that a section goes into; null for one that is dropped. */
export function moduleSection(name: string): string | null {
  if (DROPPED.test(name)) return null;
  return MERGED.find(([pattern]) => pattern.test(name))?.[1] ?? name;
}

/** Sections of code and data, as opposed to tables: parts are aligned, and keep writable and executable bytes apart. */
export function isContent(name: string): boolean {
  return (
    name === '.text' ||
    name === '.data' ||
    name === '.rodata' ||
    name === '.bss' ||
    name.startsWith('.data..') ||
    name.startsWith('.bss..') ||
    /(^|\.)text$/.test(name)
  );
}

/** Tables that the kernel walks by entry size: a gap between two objects' parts would be read as entries. */
export function isTable(name: string): boolean {
  return kernelSection(name)?.array !== undefined;
}

/** Least alignment of tables that the kernel walks as arrays of structs. */
export function tableAlign(name: string): number {
  return kernelSection(name)?.array ?? 1;
}
