import type { Disassembler, Instruction } from './instructions';

/**
 * Processors whose instruction lengths follow from their first byte: enough to say which instruction differs, in hex.
 * Branches within a section keep their displacement in the bytes, so moved code counts as changed.
 */
export function plainDisassembler(lengthAt: (bytes: Uint8Array, offset: number) => number, loadedArgument: Disassembler['loadedArgument']): Disassembler {
  return {
    decode(bytes) {
      const list: Instruction[] = [];
      for (let offset = 0; offset < bytes.length; ) {
        const length = Math.min(lengthAt(bytes, offset), bytes.length - offset);
        list.push({ offset, length, target: undefined, opcodeLength: length, flow: false, padding: false, invalid: false });
        offset += length;
      }
      return list;
    },
    format: (bytes, offset) => `.inst ${Buffer.from(bytes.subarray(offset, offset + lengthAt(bytes, offset))).toString('hex')}`,
    loadedArgument,
  };
}

/** s390: the two top bits of the first byte give 2, 4, 4 or 6 bytes. */
export const s390Disassembler = (): Disassembler =>
  plainDisassembler((bytes, offset) => [2, 4, 4, 6][bytes[offset]! >>> 6]!, (a, b) => (a[0] !== 0xa7 || b[0] !== 0xa7 || a[1] !== b[1] ? 0 : a[1] === 0x39 ? 2 : a[1] === 0x49 ? 3 : 0));

/** aarch64: `mov w2, #line`. */
export const aarch64Disassembler = (): Disassembler =>
  plainDisassembler(() => 4, (a, b) => ((a[0]! & 0x1f) === 2 && (b[0]! & 0x1f) === 2 && a[3] === 0x52 && b[3] === 0x52 ? 3 : 0));

/** ppc64le: `li r4, line` and `li r5, line`. */
export const ppc64Disassembler = (): Disassembler =>
  plainDisassembler(() => 4, (a, b) => (a[3] !== 0x38 || b[3] !== 0x38 || a[2] !== b[2] ? 0 : a[2] === 0x80 ? 2 : a[2] === 0xa0 ? 3 : 0));

export const loongarchDisassembler = (): Disassembler => plainDisassembler(() => 4, () => 0);
