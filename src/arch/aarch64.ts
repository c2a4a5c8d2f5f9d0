import { EM_AARCH64 } from '../elf';
import type { Arch } from './arch';
import { distancesUsed } from './aarch64-anchors';
import { withoutGot } from './aarch64-got';
import { NOP, decodeWords, distanceOf, formOf } from './aarch64-decode';
import { AARCH64_MODULES, ABS64, CALL26, CONDBR19, JUMP26, POINTERS, TSTBR14 } from './aarch64-relocations';
import { textOf } from './aarch64-text';
import { Filling } from './filling';
import { PLAIN, plainDisassembler, wordAt } from './plain';
import { relocationNames } from './relocation-names';

/** `bti c`, which comes before the NOPs of an entry where branch targets are protected. */
const BTI_C = 0xd503245f;
/** `bti c`, `bti jc`, `paciasp`, `pacibsp`. */
const LANDING_PADS = new Set([BTI_C, 0xd50324df, 0xd503233f, 0xd503237f]);
const BRANCHES = new Set([TSTBR14, CONDBR19, JUMP26, CALL26]);

/** Two NOPs before the function (-fpatchable-function-entry=4,2); other numbers of them are alignment. */
function padding(content: Uint8Array, start: number): number {
  let words = 0;
  while (words * 4 < start && wordAt(content, words * 4) === NOP) words++;
  return words === 2 && start === 8 ? 8 : 0;
}

export const aarch64: Arch = {
  ...PLAIN,
  linked: (type) => [0, AARCH64_MODULES.fields.get(type) ?? (type === 0 ? 0 : 4)],
  // A branch has 26 bits of distance in words; what takes two instructions to name is not told by one of them.
  linkedAddress: (type, code, at, place, addend) =>
    type === JUMP26 || type === CALL26 ? place + ((code.getUint32(at, true) << 6) >> 6) * 4 - addend : undefined,
  fill(type, code, at, place, address) {
    if (type === JUMP26 || type === CALL26)
      code.setUint32(at, (code.getUint32(at, true) & 0xfc000000) | (((address - place) >> 2) & 0x03ffffff), true);
    else if (type === ABS64) code.setBigInt64(at, BigInt(address), true);
  },
  // -fpatchable-function-entry=4,2: two of the four NOPs stand before the symbol.
  siteOffsets: [-8, 0, 4],
  machine: EM_AARCH64,
  name: 'aarch64',
  relocationName: relocationNames('R_AARCH64_'),
  address64: ABS64,
  modules: AARCH64_MODULES,
  instructionAlign: 4,
  // ARM64_CB_BIT of arch/arm64/include/asm/alternative-macros.h.
  alternativeCallback: 0x8000,
  namelessHash: 4,
  isLandingPad: (code) => LANDING_PADS.has(wordAt(code, 0)),
  filling: new Filling([[0x1f, 0x20, 0x03, 0xd5]]),
  isBranch: (_bytes, _start, _field, type) => BRANCHES.has(type),
  isFunctionPointer: (type) => POINTERS.has(type),
  forEachPossibleBranch(bytes, start, end, visit) {
    for (let at = start; at + 4 <= end; at += 4) {
      const word = wordAt(bytes, at);
      const form = formOf(word);
      if (form !== undefined) visit(at + distanceOf(word, form));
    }
  },
  nearRelocation(bytes, { offset }) {
    const form = formOf(wordAt(bytes, offset));
    return form === undefined ? undefined : { type: form.type, at: 0, addend: 0 };
  },
  // `mov w2, #line`, not shifted: w0 to w7 are arguments.
  disassembler: () => ({
    ...plainDisassembler(
      () => 4,
      (bytes) => {
        const word = wordAt(bytes, 0);
        return word >>> 21 === 0x294 && (word & 0x1f) < 8
          ? { argument: (word & 0x1f) + 1, value: (word >>> 5) & 0xffff }
          : undefined;
      },
    ),
    decode: decodeWords,
    format: (bytes, offset) => textOf(wordAt(bytes, offset), offset),
  }),
  leadIn: padding,
  distancesUsed,
  withoutGot,

  // ftrace is told where the padding begins; without padding, the first of two NOPs, behind `bti c`.
  ftraceSite({ content, start, patchable }) {
    if (patchable !== true) return undefined;
    const before = padding(content, start);
    const bti = wordAt(content, start) === BTI_C ? 4 : 0;
    if (wordAt(content, start + bti) !== NOP || wordAt(content, start + bti + 4) !== NOP) return undefined;
    return before > 0 ? start - before : start + bti;
  },
};
