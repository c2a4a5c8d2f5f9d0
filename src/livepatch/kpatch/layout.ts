/**
 * What kpatch's tools hand each other: names, sizes and fields of the sections in an object of create-diff-object, as
 * create-klp-module and the hook code of a patch module (struct kpatch_patch_func and its kin) read them.
 */

import { kernelSection } from '../../kernel/sections';

/** Every string that the other sections name; PARENT-NAME is the first one, at offset 0. */
export const STRINGS = '.kpatch.strings';

/** struct kpatch_patch_func: one a function that takes another's place. `newAddress`, `name` and `object` are relocated. */
export const FUNCS = {
  name: '.kpatch.funcs',
  entsize: 56,
  newAddress: 0,
  newSize: 8,
  oldAddress: 16,
  oldSize: 24,
  sympos: 32,
  symbolName: 40,
  object: 48,
} as const;

/** struct kpatch_symbol: one a klp relocation, in the order of RELOCATIONS. */
export const SYMBOLS = {
  name: '.kpatch.symbols',
  entsize: 40,
  address: 0,
  sympos: 8,
  bind: 16,
  type: 17,
  symbolName: 24,
  object: 32,
} as const;

/** struct kpatch_relocation. */
export const RELOCATIONS = {
  name: '.kpatch.relocations',
  entsize: 40,
  dest: 0,
  type: 8,
  external: 12,
  addend: 16,
  object: 24,
  symbol: 32,
} as const;

/** struct kpatch_arch (with --klp-arch): a section that the kernel applies again once the patched object is loaded. */
export const ARCH = { name: '.kpatch.arch', entsize: 16, section: 0, object: 8 } as const;

/** Whether ARCH asks for the late application of a section. */
export function isAppliedLate(section: string): boolean {
  return kernelSection(section)?.lateInKpatch === true;
}

/** Records of the callback macros: a function and an object's name. */
export const CALLBACK_SECTIONS = ['pre_patch', 'post_patch', 'pre_unpatch', 'post_unpatch'].map(
  (kind) => `.kpatch.callbacks.${kind}`,
);
export const CALLBACK = { entsize: 16, function: 0, object: 8 } as const;

/** Pointers of KPATCH_FORCE_UNSAFE: functions that the module may replace while they are running. */
export const FORCE = '.kpatch.force';
/** Pointers of KPATCH_IGNORE_SECTION and KPATCH_IGNORE_FUNCTION. */
export const IGNORE_SECTIONS = '.kpatch.ignore.sections';
export const IGNORE_FUNCTIONS = '.kpatch.ignore.functions';
/** The variables that the macros leave in those sections. */
export const MARKERS = ['__kpatch_force_func_', '__kpatch_ignore_func_', '__UNIQUE_ID_kpatch_ignore_section_'] as const;

/** Functions of the core module that older kernels have for shadow variables: resolved as exports, wherever they are. */
export const CORE_FUNCTIONS: ReadonlySet<string> = new Set([
  'kpatch_shadow_alloc',
  'kpatch_shadow_free',
  'kpatch_shadow_get',
]);

/** Name of the section with relocations that the livepatch core applies. */
export function klpRelaName(object: string, section: string): string {
  return `.klp.rela.${object}.${section}`;
}

export function klpArchName(object: string, section: string): string {
  return `.klp.arch.${object}.${section}`;
}

/** The longest symbol name that create-klp-module writes. */
export const LONGEST_KLP_SYMBOL = 255;
