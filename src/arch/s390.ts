import { EM_S390 } from '../elf';
import type { Arch } from './arch';
import { Filling } from './filling';
import { PLAIN, plainDisassembler } from './plain';
import { relocationNames } from './relocation-names';

const PC32DBL = 19;
const ADDR64 = 22;
const GOTENT = 26;
const BRANCHES = new Set([17, 18, 20]); // PC16DBL, PLT16DBL, PLT32DBL
/** Types whose field is relative to its own place: PC32, PC16DBL to PLT32DBL, GOTPCDBL, PC64, GOTENT, the 12- and 24-bit ones. */
const PC_RELATIVE = new Set([5, 16, 17, 18, PC32DBL, 20, 21, 23, GOTENT, 62, 63, 64, 65]);
/** Those that count in halfwords: their field stands 2 bytes into the instruction that they are relative to. */
const HALFWORDS = new Set([17, 18, PC32DBL, 20, 21, GOTENT, 62, 63, 64, 65]);
/** Thunks of indirect branches (CC_USING_EXPOLINE), which each module is linked with. */
const EXPOLINE = '__s390_indirect_jump_r';
/** `brcl 0,0`: the six bytes that -mhotpatch and -mnop-mcount put in front. */
const ENTRY_NOP = [0xc0, 0x04, 0x00, 0x00, 0x00, 0x00];

export const s390: Arch = {
  ...PLAIN,
  machine: EM_S390,
  name: 's390',
  relocationName: relocationNames('R_390_'),
  address64: ADDR64,
  filling: new Filling([[0x07, 0x07], [0x07, 0x00], ENTRY_NOP]),
  isPcRelative: (type) => PC_RELATIVE.has(type),
  bias: (type) => (HALFWORDS.has(type) ? -2 : 0),
  dataBias: (type) => (HALFWORDS.has(type) ? -2 : 0),
  isModulesOwn: (name) => name.startsWith(EXPOLINE),
  // `larl` takes an address with the type that older compilers also call with: c0x0 against brasl c0x5, brcl c0x4.
  isBranch(bytes, start, field, type) {
    if (type !== PC32DBL) return BRANCHES.has(type);
    const low = field - 2 >= start && bytes[field - 2] === 0xc0 ? bytes[field - 1]! & 0xf : 0;
    return low === 4 || low === 5;
  },
  // The two top bits of the first byte give 2, 4, 4 or 6 bytes. `lghi r3, line`: r2 to r6 are arguments.
  disassembler: () =>
    plainDisassembler(
      (bytes, offset) => [2, 4, 4, 6][bytes[offset]! >>> 6]!,
      (bytes) =>
        bytes[0] === 0xa7 && bytes[1]! >= 0x29 && bytes[1]! <= 0x69 && (bytes[1]! & 0xf) === 9
          ? { argument: (bytes[1]! >>> 4) - 1, value: (bytes[2]! << 8) | bytes[3]! }
          : undefined,
    ),
  isFunctionPointer: (type) => type === GOTENT,
  ftraceSite: ({ content, start }) => (ENTRY_NOP.every((byte, i) => content[start + i] === byte) ? start : undefined),
};
