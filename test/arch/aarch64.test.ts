/** A64 instructions as far as decisions need them: what reaches a place by its distance, and what becomes of constants that boot writes into code. */
import { expect, test } from 'vitest';
import { archOf } from '../../src/arch';
import { EM_AARCH64 } from '../../src/elf';
import { loadInstead } from '../../src/kernel/runtime-constants';

const arch = archOf(EM_AARCH64, 'test');
const words = (...list: number[]): Uint8Array => new Uint8Array(Uint32Array.from(list).buffer);
const inHex = (bytes: readonly number[]): string[] =>
  Array.from({ length: bytes.length / 4 }, (_, i) =>
    Buffer.from(bytes.slice(i * 4, i * 4 + 4))
      .readUInt32LE()
      .toString(16)
      .padStart(8, '0'),
  );

// A distance that is read wrong leads a copy anywhere. Encodings by the GNU assembler.
test.each<[text: string, word: number, distance: number, type: string]>([
  ['b .-4', 0x17ffffff, -4, 'R_AARCH64_JUMP26'],
  ['bl .+0x7fffffc', 0x95ffffff, 0x7fffffc, 'R_AARCH64_CALL26'],
  ['b.ne .+0x100', 0x54000801, 0x100, 'R_AARCH64_CONDBR19'],
  ['cbz x3, .-0x100000', 0xb4800003, -0x100000, 'R_AARCH64_CONDBR19'],
  ['cbnz w0, .+8', 0x35000040, 8, 'R_AARCH64_CONDBR19'],
  ['tbz x1, #40, .-0x8000', 0xb6440001, -0x8000, 'R_AARCH64_TSTBR14'],
  ['tbnz w9, #5, .+0x7ffc', 0x372bffe9, 0x7ffc, 'R_AARCH64_TSTBR14'],
  ['adr x0, .+3', 0x70000000, 3, 'R_AARCH64_ADR_PREL_LO21'],
  ['adr x7, .-1', 0x70ffffe7, -1, 'R_AARCH64_ADR_PREL_LO21'],
  ['ldr x2, .+0x40', 0x58000202, 0x40, 'R_AARCH64_LD_PREL_LO19'],
])('%s', (_, word, distance, type) => {
  const code = words(0xd503201f, word);
  const instruction = arch.disassembler().decode(code)[1]!;
  expect((instruction.target ?? instruction.memory)! - 4).toBe(distance);
  expect(arch.relocationName(arch.nearRelocation(code, instruction)!.type)).toBe(type);
  const targets: number[] = [];
  arch.forEachPossibleBranch(code, 0, 8, (target) => targets.push(target));
  expect(targets).toEqual([4 + distance]);
});

test('what has no distance is left alone', () => {
  // ldr x1, [x2, #8]; add x0, x1, #1; adrp x0, .; ret
  const code = words(0xf9400441, 0x91000420, 0x90000000, 0xd65f03c0);
  for (const instruction of arch.disassembler().decode(code)) {
    expect([instruction.target, instruction.memory]).toEqual([undefined, undefined]);
    expect(arch.nearRelocation(code, instruction)).toBeUndefined();
  }
});

test('control runs on behind all but what leaves for good', () => {
  // b, bl, ret, br, brk, udf; b.eq, cbz, nop
  const runsOn = (word: number): boolean => arch.disassembler().decode(words(word))[0]!.runsOn;
  expect([0x14000002, 0x94000002, 0xd65f03c0, 0xd61f0200, 0xd4210000, 0].map(runsOn)).toEqual(Array(6).fill(false));
  expect([0x54000040, 0xb4000040, 0xd503201f].map(runsOn)).toEqual([true, true, true]);
});

// What people read where code differs; by the GNU disassembler's own output.
test.each<[word: number, text: string]>([
  [0xa9bf7bfd, 'stp x29, x30, [sp, #-16]!'],
  [0xa8c17bfd, 'ldp x29, x30, [sp], #16'],
  [0xd503233f, 'paciasp'],
  [0xd538d088, 'mrs x8, tpidr_el1'],
  [0x910003fd, 'mov x29, sp'],
  [0x91002108, 'add x8, x8, #0x8'],
  [0xf100211f, 'cmp x8, #0x8'],
  [0x928002a8, 'mov x8, #0xffffffffffffffea'],
  [0x72ad6beb, 'movk w11, #0x6b5f, lsl #16'],
  [0x9248f92c, 'and x12, x9, #0xff7fffffffffffff'],
  [0x8a8a2128, 'and x8, x9, x10, asr #8'],
  [0x2a1f03e0, 'mov w0, wzr'],
  [0xd349fee8, 'lsr x8, x23, #9'],
  [0x93407d02, 'sxtw x2, w8'],
  [0xd378dd2a, 'lsl x10, x9, #8'],
  [0x9a8803e2, 'csel x2, xzr, x8, eq'],
  [0x1a9f17e0, 'cset w0, eq'],
  [0x9bc97d08, 'umulh x8, x8, x9'],
  [0x9bab7d49, 'umull x9, w10, w11'],
  [0x1b0adc8a, 'msub w10, w4, w10, w23'],
  [0xf9427d29, 'ldr x9, [x9, #1272]'],
  [0xb85fc110, 'ldur w16, [x8, #-4]'],
  [0xf840098c, 'ldtr x12, [x12]'],
  [0x39165274, 'strb w20, [x19, #1428]'],
  [0xf868d9a8, 'ldr x8, [x13, w8, sxtw #3]'],
  [0xc8dffd08, 'ldar x8, [x8]'],
  [0xf8bfc108, 'ldapr x8, [x8]'],
  [0xb829011f, 'stadd w9, [x8]'],
  [0xd4304500, 'brk #0x8228'],
  [0xd63f0100, 'blr x8'],
  [0x37280088, 'tbnz w8, #5, 0x10'],
  [0x4ea11c20, '.inst 0x4ea11c20'],
])('%i is %s', (word, text) => {
  expect(arch.disassembler().format(words(word), 0)).toBe(text);
});

const POINTER = [0xd299bde0, 0xf2b13560, 0xf2c8ace0, 0xf2e02460];
const instead = (kind: string, code: Uint8Array) => loadInstead(EM_AARCH64, kind, code, { offset: 0, length: 4 }, 0);

// The placeholder in a copy is an address that nothing has, or a shift by 12.
test('a pointer is loaded by two instructions in the place of four', () => {
  const load = instead('ptr', words(...POINTER.map((word) => word | 8)))!;
  // adrp x8, X; ldr x8, [x8, :lo12:X]; nop; nop
  expect(inHex(load.bytes)).toEqual(['90000008', 'f9400108', 'd503201f', 'd503201f']);
  expect({ fields: load.fields, size: load.size, aside: load.aside }).toEqual({
    fields: [
      { at: 0, type: 275, addend: 0 },
      { at: 4, type: 286, addend: 0 },
    ],
    size: 8,
    aside: undefined,
  });
});

test('a shift and a mask are done aside, with a register that is free', () => {
  // lsr w9, w22, #12: adrp x9, X; ldr w9, [x9, :lo12:X]; lsr w9, w22, w9; b
  const shift = instead('shift', words(0x530c7ec9))!;
  expect([inHex(shift.bytes), inHex(shift.aside!.bytes)]).toEqual([
    ['14000000'],
    ['90000009', 'b9400129', '1ac926c9', '14000000'],
  ]);
  expect(shift.aside!.fields.map(({ at, type }) => [at, type])).toEqual([
    [0, 275],
    [4, 285],
  ]);
  // ubfx w8, w8, #0, #32: str x16, [sp, #-16]!; adrp x16, X; ldr w16, [x16, :lo12:X]; and w8, w8, w16; ldr x16, [sp], #16; b
  const mask = instead('mask', words(0x53007d08))!;
  expect(inHex(mask.aside!.bytes)).toEqual(['f81f0ff0', '90000010', 'b9400210', '0a100108', 'f84107f0', '14000000']);
  expect(mask.aside!.fields.map(({ at }) => at)).toEqual([4, 8]);
  // Of w16 itself another one is saved.
  expect(inHex(instead('shift', words(0x530c7e10))!.aside!.bytes)[0]).toBe('f81f0ff1');
});

test('what is no placeholder is not rewritten', () => {
  expect(instead('ptr', words(...POINTER.map((word, i) => word | (i === 2 ? 9 : 8))))).toBeUndefined();
  expect(instead('ptr', words(...POINTER.map((word) => word | 31)))).toBeUndefined();
  expect(instead('ptr', words(POINTER[0]!))).toBeUndefined();
  // lsr w9, w22, #11; lsr wzr, w1, #12; a kind that nobody knows
  expect(instead('shift', words(0x530b7ec9))).toBeUndefined();
  expect(instead('shift', words(0x530c7c3f))).toBeUndefined();
  expect(instead('factor', words(0x530c7ec9))).toBeUndefined();
});
