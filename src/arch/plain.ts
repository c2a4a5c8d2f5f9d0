import type { Arch } from './arch';
import { ZEROS } from './filling';
import type { Disassembler, Instruction } from './instructions';

/**
 * What holds for processors whose instructions have no bytes behind a relocated field, and whose relocations name every branch
 * that leaves a section: a reference is its symbol and addend. What linking writes is the instruction word around the offset, or
 * two of them.
 */
export const PLAIN = {
  none: 0,
  tails: [0],
  gapByte: 0,
  filling: ZEROS,
  namelessHash: 0,
  linked: () => [-3, 8],
  linkedAddress: () => undefined,
  fill: () => undefined,
  shortBranch: () => undefined,
  siteOffsets: [0],
  forEachPossibleBranch: () => undefined,
  nearRelocation: () => undefined,
  withoutGot: () => undefined,
  modules: null,
  instructionAlign: 1,
  isLandingPad: () => false,
  alternativeCallback: 0,
  patchableSites: true,
  erasedCall: null,
  distancesUsed: null,
  isSiblingCall: () => false,
  isModulesOwn: () => false,
  isPcRelative: () => false,
  bias: () => 0,
  dataBias: () => 0,
  tail: () => 0,
  touches: () => 0,
  isHint: () => false,
  leadIn: () => 0,
  localEntry: () => 0,
  isFunctionPointer: () => false,
  isLoadersOwn: () => false,
} as const satisfies Partial<Arch>;

/**
 * Decodes where instruction lengths follow from the first byte: enough to say which instruction differs, in hex. Branches within
 * a section keep their displacement in the bytes, so moved code counts as changed.
 */
export function plainDisassembler(
  lengthAt: (bytes: Uint8Array, offset: number) => number,
  constantArgument: Disassembler['constantArgument'],
): Disassembler {
  return {
    decode(bytes) {
      const list: Instruction[] = [];
      for (let offset = 0; offset < bytes.length; ) {
        const length = Math.min(lengthAt(bytes, offset), bytes.length - offset);
        list.push({
          offset,
          length,
          target: undefined,
          memory: undefined,
          opcodeLength: length,
          branch: 0,
          flow: false,
          runsOn: false,
          padding: false,
          invalid: false,
        });
        offset += length;
      }
      return list;
    },
    format: (bytes, offset) =>
      `.inst ${Buffer.from(bytes.subarray(offset, offset + lengthAt(bytes, offset))).toString('hex')}`,
    constantArgument,
    filledArgument: () => 0,
    storedByte: () => [],
    access: () => 'unknown',
    kept: () => ['unknown'],
  };
}

/** The little-endian word at an offset, -1 past the end. */
export function wordAt(bytes: Uint8Array, offset: number): number {
  if (offset < 0 || offset + 4 > bytes.length) return -1;
  return (bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24)) >>> 0;
}
