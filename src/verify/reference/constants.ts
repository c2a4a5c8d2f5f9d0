/** What must stand in a module where the kernel's own code has a placeholder that is filled in at boot. */

export interface RuntimeConstant {
  /** `ptr`, `shift`, `mask`, or one that this does not know. */
  kind: string;
  variable: string;
}

/** The instruction that reads the variable instead: null bytes are filled in. */
export interface Load {
  /** Bytes from the function's start: of the instruction, and of its relocated field. */
  start: number;
  field: number;
  /** Empty where nothing can take the placeholder's place. */
  bytes: ReadonlyArray<number | null>;
}

const NOP3 = [0x0f, 0x1f, 0x00];
const FIELD = [null, null, null, null];

/** `at` is where the placeholder begins in the object's code. */
export function loadInstead(kind: string, theirs: Uint8Array, at: number): Load {
  const none: Load = { start: at, field: at, bytes: [] };
  if (kind === 'ptr' && at >= 2) {
    // movabs $0x0123456789abcdef,%reg is 10 bytes, and so is mov X(%rip),%reg with a 3-byte NOP.
    return {
      start: at - 2,
      field: at + 1,
      bytes: [theirs[at - 2] === 0x49 ? 0x4c : 0x48, 0x8b, modrm(theirs[at - 1]!), ...FIELD, ...NOP3],
    };
  }
  if (kind === 'mask' && at >= 2 && theirs[at - 2] === 0x81) {
    // and $0x12345678,%reg and and X(%rip),%reg are of one length.
    const rex = at >= 3 && theirs[at - 3] === 0x41;
    return {
      start: at - (rex ? 3 : 2),
      field: at,
      bytes: [...(rex ? [0x44] : []), 0x23, modrm(theirs[at - 1]!), ...FIELD],
    };
  }
  return none;
}

/** A %rip operand, and the register of three bits. */
function modrm(register: number): number {
  return 0x05 | ((register & 7) << 3);
}
