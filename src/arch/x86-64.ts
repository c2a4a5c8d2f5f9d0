import {
  EM_X86_64,
  R_X86_64_16,
  R_X86_64_32,
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_8,
  R_X86_64_NONE,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
} from '../elf';
import type { Arch } from './arch';
import { Filling } from './filling';
import { relocationNames } from './relocation-names';
import { withoutGot } from './x86-64-got';
import { X86_64_MODULES } from './module-rules';
import { x86Disassembler } from './x86-64-decode';

const NOP = 0x90;
const ENDBR64 = [0xf3, 0x0f, 0x1e, 0xfa];
const INT3 = 0xcc;
const LEA = 0x8d;
/** Usual opcodes with a memory operand: mov, cmp, add, sub, movslq, movzx and movsx. */
const ACCESSES = new Set([
  0x88, 0x89, 0x8a, 0x8b, 0x38, 0x39, 0x3a, 0x3b, 0x01, 0x03, 0x29, 0x2b, 0x63, 0xb6, 0xb7, 0xbe, 0xbf,
]);
const PC8 = 15;
const PC16 = 13;
const GOTPCREL = 9;
const GOTPC32 = 26;
const GOTPCRELX = 41;
const REX_GOTPCRELX = 42;
const PC_RELATIVE = new Set<number>([
  R_X86_64_PC32,
  R_X86_64_PLT32,
  R_X86_64_PC64,
  PC8,
  PC16,
  GOTPCREL,
  GOTPC32,
  GOTPCRELX,
  REX_GOTPCRELX,
]);

/** Relocations that address something: `mov $f, reg`, `lea f(%rip), reg`, a pointer in data. */
const POINTERS = new Set<number>([R_X86_64_32S, R_X86_64_32, R_X86_64_64, R_X86_64_PC32]);

/** What is not the four bytes of the field. The linker turns `mov x@GOTPCREL(%rip), reg` into `lea`: the opcode, with a REX prefix before it, stands before the field. */
const LINKED: Record<number, readonly [number, number]> = {
  [R_X86_64_NONE]: [0, 0],
  [R_X86_64_64]: [0, 8],
  [R_X86_64_PC64]: [0, 8],
  [R_X86_64_16]: [0, 2],
  [PC16]: [0, 2],
  [R_X86_64_8]: [0, 1],
  [PC8]: [0, 1],
  [GOTPCRELX]: [-2, 4],
  [REX_GOTPCRELX]: [-3, 4],
};

/** One-byte opcodes with a ModRM byte and an 8-bit immediate: imul, group 1, shifts, mov. */
const IMM8 = new Set([0x6b, 0x80, 0x82, 0x83, 0xc0, 0xc1, 0xc6]);
/** With a 32-bit immediate, 16-bit after an operand-size prefix. */
const IMM32 = new Set([0x69, 0x81, 0xc7]);
/** Two-byte (0f) opcodes with a ModRM byte and an 8-bit immediate. */
const IMM8_0F = new Set([0x70, 0x71, 0x72, 0x73, 0xa4, 0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6]);
/** test $imm, r/m: an immediate only for ModRM.reg 0 and 1. */
const TEST8 = 0xf6;
const TEST32 = 0xf7;

/** One-byte opcodes that take a ModRM byte and no immediate. */
function isPlainModrm(opcode: number): boolean {
  return (
    (opcode < 0x40 && (opcode & 7) < 4) ||
    opcode === 0x63 ||
    (opcode >= 0x84 && opcode <= 0x8f) ||
    (opcode >= 0xd0 && opcode <= 0xd3) ||
    (opcode >= 0xd8 && opcode <= 0xdf) ||
    opcode === 0xfe ||
    opcode === 0xff
  );
}

/** Legacy prefixes and REX. */
function isPrefix(byte: number): boolean {
  return (
    (byte & 0xf0) === 0x40 ||
    byte === 0x66 ||
    byte === 0x67 ||
    byte === 0xf0 ||
    byte === 0xf2 ||
    byte === 0xf3 ||
    byte === 0x2e ||
    byte === 0x36 ||
    byte === 0x3e ||
    byte === 0x26 ||
    byte === 0x64 ||
    byte === 0x65
  );
}

/** Tail of a one-byte opcode with a %rip operand; undefined if it takes none. */
function tailOfOneByte(opcode: number, reg: number, operand16: boolean): number | undefined {
  if (IMM8.has(opcode)) return 1;
  if (IMM32.has(opcode)) return operand16 ? -1 : 4;
  if (opcode === TEST8) return reg < 2 ? 1 : 0;
  if (opcode === TEST32) return reg < 2 ? (operand16 ? -1 : 4) : 0;
  return isPlainModrm(opcode) ? 0 : undefined;
}

export const x86_64: Arch = {
  machine: EM_X86_64,
  name: 'x86-64',
  none: R_X86_64_NONE,
  isPcRelative: (type) => PC_RELATIVE.has(type),
  bias: (type) => (type === PC8 ? 1 : type === PC16 ? 2 : type === R_X86_64_PC64 ? 8 : 4),
  // Data counts from its own field.
  dataBias: () => 0,
  linked: (type) => LINKED[type] ?? [0, 4],
  linkedAddress(type, code, at, place, addend) {
    switch (type) {
      case R_X86_64_PC32:
      case R_X86_64_PLT32:
        return place + code.getInt32(at, true) - addend;
      case R_X86_64_32S:
        return code.getInt32(at, true) - addend;
      case R_X86_64_32:
        return code.getUint32(at, true) - addend;
      case R_X86_64_64:
        return Number(code.getBigInt64(at, true)) - addend;
      default:
        return undefined;
    }
  },
  fill(type, code, at, place, address) {
    switch (type) {
      case R_X86_64_PC32:
      case R_X86_64_PLT32:
        code.setInt32(at, address - place, true);
        break;
      case R_X86_64_32S:
      case R_X86_64_32:
        code.setInt32(at, address, true);
        break;
      case R_X86_64_64:
        code.setBigInt64(at, BigInt(address), true);
        break;
      default:
    }
  },
  shortBranch(bytes, start, field) {
    const last = bytes[field - 1]!;
    if (field - 1 >= start && last === 0xe9) return { at: field - 1, opcode: 0xeb };
    return field - 2 >= start && bytes[field - 2] === 0x0f && (last & 0xf0) === 0x80
      ? { at: field - 2, opcode: 0x70 | (last & 0xf) }
      : undefined;
  },
  // The call of -mfentry, behind ENDBR where there is one.
  siteOffsets: [0, 4],
  tails: [0, 1, 2, 4],
  relocationName: relocationNames('R_X86_64_'),
  isHint: () => false,
  disassembler: x86Disassembler,
  withoutGot,
  address64: R_X86_64_64,
  gapByte: NOP,
  // NOPs of any length as GAS and LLVM write them, with prefixes before them, and INT3.
  filling: new Filling(
    [
      [NOP],
      [INT3],
      [0x0f, 0x1f, 0],
      [0x0f, 0x1f, 0x40, 0],
      [0x0f, 0x1f, 0x44, 0, 0],
      [0x0f, 0x1f, 0x80, 0, 0, 0, 0],
      [0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
    ],
    [0x66, 0x2e],
  ),
  localEntry: () => 0,
  namelessHash: 0,
  modules: X86_64_MODULES,
  instructionAlign: 1,
  isLandingPad: (code) => ENDBR64.every((byte, i) => code[i] === byte),
  alternativeCallback: 0,
  patchableSites: false,
  erasedCall: { nop: 0x0f, code: [0xe8, 0, 0, 0, 0], field: 1, type: R_X86_64_PC32, addend: -4 },
  distancesUsed: null,
  isSiblingCall: () => false,
  isModulesOwn: () => false,
  isLoadersOwn: () => false,
  isFunctionPointer: (type) => POINTERS.has(type),

  // Call depth tracking and FineIBT write to the padding: before objtool has named it (__pfx_), it is what fills the section before the function.
  leadIn: (content, start) => (content.subarray(0, start).every((byte) => byte === NOP) ? start : 0),

  // The call of -mfentry comes first, apart from endbr64 and prefixes; objtool --mnop leaves its relocation with type NONE.
  ftraceSite({ relas: [first] }) {
    const called =
      first?.name === '__fentry__' &&
      (first.type === R_X86_64_NONE || first.type === R_X86_64_PC32 || first.type === R_X86_64_PLT32);
    return called && first.offset > 0 ? first.offset - 1 : undefined;
  },

  // Instruction boundaries are not known, so every byte that could be an opcode of a branch is taken for one: e8 e9 rel32,
  // 0f 8x rel32, 7x eb e0-e3 rel8.
  forEachPossibleBranch(bytes, start, end, visit) {
    for (let at = start; at < end; at++) {
      const opcode = bytes[at]!;
      if ((opcode & 0xf0) === 0x70 || opcode === 0xeb || (opcode & 0xfc) === 0xe0) {
        if (at + 2 <= end) visit(at + 2 + ((bytes[at + 1]! << 24) >> 24));
      } else if (
        (opcode === 0xe8 || opcode === 0xe9 || (at > start && (opcode & 0xf0) === 0x80 && bytes[at - 1] === 0x0f)) &&
        at + 5 <= end
      )
        visit(at + 5 + (bytes[at + 1]! | (bytes[at + 2]! << 8) | (bytes[at + 3]! << 16) | (bytes[at + 4]! << 24)));
    }
  },

  // A displacement of one byte has no room for what a relocation writes.
  nearRelocation: (_bytes, { target, length, opcodeLength }) =>
    target === undefined || length - opcodeLength !== 4
      ? undefined
      : { type: R_X86_64_PLT32, at: opcodeLength, addend: -4 },

  isBranch(bytes, start, field, type) {
    if (field - 1 < start) return false;
    const opcode = bytes[field - 1]!;
    // `call *x@GOTPCREL(%rip)` and `jmp *`, which linkers and livepatches turn into direct ones.
    if (type === GOTPCRELX)
      return field - 2 >= start && bytes[field - 2] === 0xff && (opcode === 0x15 || opcode === 0x25);
    if (type !== R_X86_64_PC32 && type !== R_X86_64_PLT32) return false;
    return (
      opcode === 0xe8 ||
      opcode === 0xe9 ||
      (field - 2 >= start && bytes[field - 2] === 0x0f && (opcode & 0xf0) === 0x80)
    );
  },

  /**
   * Reads backwards. Before the field stands a ModRM byte with a %rip operand (mod 0, rm 5), or an opcode of a direct
   * branch (e8, e9, 0f 8x), which never has a tail. The byte before a ModRM byte is the opcode, but which opcode map it
   * belongs to depends on bytes that may already be the previous instruction's: every reading must agree.
   */
  tail(bytes, start, field) {
    if (field - 2 < start) return -1;
    const modrm = bytes[field - 1]!;
    if ((modrm & 0xc7) !== 0x05) {
      if (modrm === 0xe8 || modrm === 0xe9) return 0;
      return bytes[field - 2] === 0x0f && (modrm & 0xf0) === 0x80 ? 0 : -1;
    }
    const opcode = bytes[field - 2]!;
    const reg = (modrm >>> 3) & 7;
    const before = (back: number): number => (field - back >= start ? bytes[field - back]! : -1);
    // GAS writes `66 f0 81` for `lock orw`: the operand size may stand before any other prefix.
    let operand16 = false;
    for (let back = 3; isPrefix(before(back)) && !operand16; back++) operand16 = before(back) === 0x66;
    let tail = tailOfOneByte(opcode, reg, operand16);
    const agree = (reading: number): void => {
      tail = tail === undefined || tail === reading ? reading : -1;
    };
    if (before(3) === 0x0f) agree(IMM8_0F.has(opcode) ? 1 : 0);
    if (before(3) === 0x38 && before(4) === 0x0f) agree(0);
    if (before(3) === 0x3a && before(4) === 0x0f) agree(1);
    // VEX and EVEX prefixes hide the map in their payload.
    if (before(4) === 0xc5 || before(5) === 0xc4 || before(6) === 0x62) agree(-1);
    return tail ?? -1;
  },

  // A %rip operand of anything but lea (8d), prefetch (0f 0d, 0f 18) and the long NOP (0f 1f); disp32(,%index,scale), disp32(%base) and both.
  touches(bytes, start, field, type) {
    if (field - 3 < start) return 0;
    const last = bytes[field - 1]!;
    const before = bytes[field - 2]!;
    if (type === R_X86_64_32S) {
      const hasSib = (before & 0xc7) === 0x84 || ((before & 0xc7) === 0x04 && (last & 7) === 5);
      if (hasSib) return bytes[field - 3] === LEA ? 0 : 1;
      return (last & 0xc0) === 0x80 && (last & 7) !== 4 && ACCESSES.has(before) ? 1 : 0;
    }
    if (type !== R_X86_64_PC32 || (last & 0xc7) !== 0x05 || x86_64.tail(bytes, start, field) < 0) return 0;
    return before !== LEA && (bytes[field - 3] !== 0x0f || (before !== 0x0d && before !== 0x18 && before !== 0x1f))
      ? 2
      : 0;
  },
};
