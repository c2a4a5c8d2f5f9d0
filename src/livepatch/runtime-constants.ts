/**
 * Runtime constants (Linux 6.11, "runtime constants: add default dummy infrastructure"): immediates that boot code
 * overwrites, in the kernel's own text only. A copy in a module would keep the placeholder.
 */
const PLACEHOLDER = [0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01];

export type RuntimeConstant = { kind: 'ptr' | 'shift'; variable: string };

/** What a section `runtime_ptr_X` or `runtime_shift_X` lists. */
export function runtimeConstantOf(section: string): RuntimeConstant | undefined {
  const match = /^runtime_(ptr|shift)_(.+)$/.exec(section);
  return match === null ? undefined : { kind: match[1] as 'ptr' | 'shift', variable: match[2]! };
}

/**
 * Whether the 8-byte immediate at `at` is one that can be rewritten to a load of the variable in place:
 * `REX B8+r imm64` with REX 48 or 49 and the placeholder, 10 bytes that become `mov X(%rip), %r` and a nop.
 */
export function isRewritablePointer(code: Uint8Array, at: number): boolean {
  if (at < 2 || at + 8 > code.length) return false;
  const rex = code[at - 2]!;
  const opcode = code[at - 1]!;
  return (rex === 0x48 || rex === 0x49) && (opcode & 0xf8) === 0xb8 && PLACEHOLDER.every((byte, i) => code[at + i] === byte);
}
