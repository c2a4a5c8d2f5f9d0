import type { Disassembler, Instruction } from './instructions';

/**
 * Processors whose instruction lengths follow from their first byte: enough to say which instruction differs, in hex.
 * Branches within a section keep their displacement in the bytes, so moved code counts as changed.
 */
export function plainDisassembler(lengthAt: (bytes: Uint8Array, offset: number) => number, isLineLoad: Disassembler['isLineLoad']): Disassembler {
  return {
    decode(bytes) {
      const list: Instruction[] = [];
      for (let offset = 0; offset < bytes.length; ) {
        const length = Math.min(lengthAt(bytes, offset), bytes.length - offset);
        list.push({ offset, length, target: undefined, opcodeLength: length, invalid: false });
        offset += length;
      }
      return list;
    },
    format: (bytes, offset) => `.inst ${Buffer.from(bytes.subarray(offset, offset + lengthAt(bytes, offset))).toString('hex')}`,
    isLineLoad,
  };
}

/** s390: the two top bits of the first byte give 2, 4, 4 or 6 bytes. */
export const s390Disassembler = (): Disassembler =>
  plainDisassembler((bytes, offset) => [2, 4, 4, 6][bytes[offset]! >>> 6]!, (a, b) => a[0] === 0xa7 && b[0] === 0xa7 && a[1] === b[1] && (a[1] === 0x39 || a[1] === 0x49));

/** aarch64: `mov w2, #line`. */
export const aarch64Disassembler = (): Disassembler =>
  plainDisassembler(() => 4, (a, b) => (a[0]! & 0x1f) === 2 && (b[0]! & 0x1f) === 2 && a[3] === 0x52 && b[3] === 0x52);

/** ppc64le: `li r4, line` and `li r5, line`. */
export const ppc64Disassembler = (): Disassembler =>
  plainDisassembler(() => 4, (a, b) => a[3] === 0x38 && b[3] === 0x38 && a[2] === b[2] && (a[2] === 0x80 || a[2] === 0xa0));

export const loongarchDisassembler = (): Disassembler => plainDisassembler(() => 4, () => false);
