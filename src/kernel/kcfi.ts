import { EM_AARCH64, EM_X86_64, type Offset } from '../elf';

/**
 * kCFI on x86-64 (-fsanitize=kcfi): the hash of a function's type stands before it as `mov $hash, %reg`, and who calls it through a pointer
 * compares: `mov $-hash, %r10d; add -distance(%callee), %r10d; je`. On arm64 it is a word by itself.
 */

/** Bytes of `mov $hash, %reg`. */
export const PREAMBLE_BYTES = 5;

/**
 * Whether an opcode is that of a preamble's instruction: b8 to bf. With arity (-fsanitize-kcfi-arity, CONFIG_FINEIBT_BHI) the register says how many
 * arguments the body reads: b8 none, bf those on the stack.
 */
function isPreambleOpcode(opcode: number | undefined): boolean {
  return opcode !== undefined && (opcode & 0xf8) === 0xb8;
}

/** The hash that an instruction of a preamble holds; undefined where it is none. */
export function preambleHash(bytes: Uint8Array, at: number): number | undefined {
  return at >= 0 && at + PREAMBLE_BYTES <= bytes.length && isPreambleOpcode(bytes[at])
    ? word(bytes, at + 1)
    : undefined;
}

/**
 * Where in what stands before a function (bytes [from, to)) the instruction with its type's hash begins; undefined for none. It is the first one
 * where -fpatchable-function-entry asks for NOPs behind it; else Clang aligns the function by NOPs before it (a kernel without CONFIG_CALL_PADDING).
 */
export function preambleAt(bytes: Uint8Array, from: number, to: number): number | undefined {
  return [from, to - PREAMBLE_BYTES].find((at) => at >= from && preambleHash(bytes, at) !== undefined);
}

/** What an indirect call looks for, and where in the code. */
export interface TypeCheck {
  offset: Offset;
  hash: number;
}

/** REX.B, then `b8 + r` for %r10d, or %r11d where the callee's address is in %r10. */
const REX_B = 0x41;
const MOVES = [0xba, 0xbb];
const ADD = 0x03;
const CHECK_BYTES = 10;

/** The checks in some code of a processor. */
export function typeChecks(machine: number, code: Uint8Array): TypeCheck[] {
  return CHECKS.get(machine)?.(code) ?? [];
}

const CHECKS: ReadonlyMap<number, (code: Uint8Array) => TypeCheck[]> = new Map([
  [EM_X86_64, x86Checks],
  [EM_AARCH64, armChecks],
]);

/** `add disp8(%callee), %r10d` must follow: the first six bytes are an ordinary constant elsewhere. */
function x86Checks(code: Uint8Array): TypeCheck[] {
  const found: TypeCheck[] = [];
  for (let at = code.indexOf(REX_B); at >= 0 && at + CHECK_BYTES <= code.length; at = code.indexOf(REX_B, at + 1)) {
    const register = MOVES.indexOf(code[at + 1]!);
    if (register < 0 || (code[at + 6]! & 0xfe) !== 0x44 || code[at + 7] !== ADD) continue;
    const modrm = code[at + 8]!;
    if (modrm >>> 6 === 1 && ((modrm >>> 3) & 7) === register + 2)
      found.push({ offset: at, hash: -word(code, at + 2) >>> 0 });
  }
  return found;
}

/** `ldur w16, [xCallee, #-4]; movk w17, #low; movk w17, #high, lsl #16`. */
function armChecks(code: Uint8Array): TypeCheck[] {
  const found: TypeCheck[] = [];
  for (let at = 0; at + 12 <= code.length; at += 4) {
    const [load, low, high] = [word(code, at), word(code, at + 4), word(code, at + 8)];
    if ((load & 0xfffffc1f) >>> 0 !== 0xb85fc010) continue;
    if ((low & 0xffe0001f) >>> 0 !== 0x72800011 || (high & 0xffe0001f) >>> 0 !== 0x72a00011) continue;
    found.push({ offset: at, hash: (((low >>> 5) & 0xffff) | (((high >>> 5) & 0xffff) << 16)) >>> 0 });
  }
  return found;
}

/** Hashes of `int (void)` and `void (void)`, which modules' init and exit functions have. */
export interface EntryHashes {
  init: number;
  exit: number;
  /** Where in the padding before a function the instruction that holds one begins, where it is not the first. */
  at?: number;
}

/**
 * As Clang and GCC compute them: the low half of xxHash64 of the type's mangled name, `_ZTSFivE` and `_ZTSFvvE`; with normalised integers
 * (CONFIG_CFI_ICALL_NORMALIZE_INTEGERS, which Rust needs) of `_ZTSFu3i32vE.normalized` and `_ZTSFvvE.normalized`.
 */
export const COMPUTED: Readonly<Record<'plain' | 'normalised', EntryHashes>> = {
  plain: { init: 0x36b1c5a6, exit: 0xa540670c },
  normalised: { init: 0x6fbb3035, exit: 0xe5c47d60 },
};

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
