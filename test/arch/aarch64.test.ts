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
