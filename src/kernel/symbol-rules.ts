/**
 * Names that compilers and the kernel's macros make up, and what they are worth.
 *
 * A number in such a name counts something in one build (`__key.12`, `__UNIQUE_ID_x_694`) and means nothing in the
 * next; the objects that static-local macros leave behind are private to each build and never pair.
 */

/** Static locals of macros: `V.<n>` as GCC writes them, `function.V` or `function.V.<n>` as Clang does. */
const STATIC_LOCALS = '__already_done|__func__|__key|__print_once|__warned|_entry|_entry_ptr|_rs|descriptor|CSWTCH';
const GCC_STATIC_LOCAL = new RegExp(`^(?:${STATIC_LOCALS})\\.`);
const CLANG_STATIC_LOCAL = new RegExp(`^[^.]*\\.(?:${STATIC_LOCALS})(?:$|\\.)`);

/** Whether a local object of this name belongs to one build only (`foo.__key.3`, `CSWTCH.17`). */
export function isUncorrelatedStaticLocal(name: string): boolean {
  return GCC_STATIC_LOCAL.test(name) || CLANG_STATIC_LOCAL.test(name);
}

/** `_entry.N` and `_entry_ptr.N` (or `f._entry`), which printk leaves with CONFIG_PRINTK_INDEX: they hold source lines. */
export function isPrintkIndexEntry(name: string): boolean {
  return /(?:^|\.)_entry(?:_ptr)?(?:$|\.)/.test(name);
}

/** Where a name says that its code is a piece of a function: `f.cold`, `f.cold.3`, `f.llvm.12.cold`, `f.__part.1` of -fbasic-block-sections. */
const PIECE = /\.(?:cold|__part\.\d+)(?=\.|$)/;

/** The function that code of this name is a piece of, which jumps into it and is jumped back into: the text before the suffix, or undefined. */
export function pieceParent(name: string): string | undefined {
  const at = name.search(PIECE);
  return at > 0 && !name.startsWith('.klp.sym') ? name.slice(0, at) : undefined;
}

/** Padding before a function. Which of the names of an address it is called after proves nothing: see Prefixes. */
export function isPrefixName(name: string): boolean {
  return /^(?:__pi_)?__(?:pfx|cfi)_/.test(name);
}

const COMPILER_CONSTANT = /^(?:\.L|\.str|__const\.|switch\.table\.|__compound_literal\.|\.compoundliteral)/;

/** Promoted compiler-made constants (`.str.7.llvm.123`, `.L__const.f.x`): the number means nothing, the content decides. */
export function isCompilerConstant(name: string): boolean {
  return COMPILER_CONSTANT.test(name);
}

/** Counters of gcov and what describes them, one set a function (`__gcov0.f`, `__gcov_.f`): GCC gives them no section of their own. */
export function isProfileCounter(name: string): boolean {
  return /^__gcov\d*_?\.|^__llvm_gcov_/.test(name);
}

/** Code that a function jumps to in order to return (`__x86_return_thunk`, `__x86_return_skl`): what it holds in the register of the result goes back to the caller. */
export function isReturnThunk(name: string): boolean {
  return name.startsWith('__x86_return_');
}
