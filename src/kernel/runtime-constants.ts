import { EM_AARCH64, EM_X86_64, R_X86_64_PC32, type Offset } from '../elf';
import type { LoadInstead, Rewrite } from './load-instead';
import { AARCH64_REWRITES } from './runtime-constants-aarch64';

/**
 * Runtime constants (Linux 6.11, "runtime constants: add default dummy infrastructure"): immediates that boot code
 * overwrites, in the kernel's own text only. A copy in a module would keep the placeholder, so where the instruction has room
 * it reads the variable instead.
 */
export interface RuntimeConstant {
  /** `ptr`, `shift`, `mask`, or what a later kernel has. */
  kind: string;
  variable: string;
}

/** What a section `runtime_<kind>_X` lists. */
export function runtimeConstantOf(section: string): RuntimeConstant | undefined {
  const match = /^runtime_([^_]+)_(.+)$/.exec(section);
  return match === null ? undefined : { kind: match[1]!, variable: match[2]! };
}

/** By processor and kind. */
const REWRITES: ReadonlyMap<number, Readonly<Record<string, Rewrite>>> = new Map<
  number,
  Readonly<Record<string, Rewrite>>
>([
  [EM_X86_64, { ptr: loadPointer, mask: andVariable }],
  [EM_AARCH64, AARCH64_REWRITES],
]);

/** What reads the variable in place of a constant of this kind in `code` of a processor; undefined where nothing can. */
export function loadInstead(
  machine: number,
  kind: string,
  code: Uint8Array,
  instruction: { offset: Offset; length: number },
  site: number,
): LoadInstead | undefined {
  const known = REWRITES.get(machine);
  return known !== undefined && Object.hasOwn(known, kind) ? known[kind]!(code, instruction, site) : undefined;
}

const POINTER = [0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01];
const NOP3 = [0x0f, 0x1f, 0x00];

/** `mov $placeholder, %r` is `REX B8+r imm64`: 10 bytes, as `mov X(%rip), %r` and a nop are. */
function loadPointer(
  all: Uint8Array,
  { offset, length }: { offset: Offset; length: number },
  site: number,
): LoadInstead | undefined {
  const code = all.subarray(offset, offset + length);
  const at = site - offset;
  const [rex, opcode = 0] = code;
  if (
    at !== 2 ||
    code.length !== 10 ||
    (rex !== 0x48 && rex !== 0x49) ||
    (opcode & 0xf8) !== 0xb8 ||
    !holds(code, at, POINTER)
  )
    return undefined;
  return {
    bytes: [rex === 0x49 ? 0x4c : 0x48, 0x8b, 0x05 | ((opcode & 7) << 3), 0, 0, 0, 0, ...NOP3],
    fields: [{ at: 3, type: R_X86_64_PC32, addend: -4 }],
    size: 8,
  };
}

const MASK = [0x78, 0x56, 0x34, 0x12];

/**
 * `and $placeholder, %r32` is `[41] 81 /4 imm32`, as long as `and X(%rip), %r32`, `[44] 23 /r disp32`; flags and what becomes of the upper half are
 * the same. The short form for %eax, `25 imm32`, has no room.
 */
function andVariable(
  all: Uint8Array,
  { offset, length }: { offset: Offset; length: number },
  site: number,
): LoadInstead | undefined {
  const code = all.subarray(offset, offset + length);
  const at = site - offset;
  const extended = code[0] === 0x41;
  const [opcode, modrm = 0] = code.subarray(extended ? 1 : 0);
  if (
    at !== (extended ? 3 : 2) ||
    code.length !== at + 4 ||
    opcode !== 0x81 ||
    (modrm & 0xf8) !== 0xe0 ||
    !holds(code, at, MASK)
  )
    return undefined;
  return {
    bytes: [...(extended ? [0x44] : []), 0x23, 0x05 | ((modrm & 7) << 3), 0, 0, 0, 0],
    fields: [{ at, type: R_X86_64_PC32, addend: -4 }],
    size: 4,
  };
}

function holds(code: Uint8Array, at: number, placeholder: readonly number[]): boolean {
  return placeholder.every((byte, i) => code[at + i] === byte);
}
