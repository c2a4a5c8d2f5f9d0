/**
 * Code that the assembler made shorter in the kernel's unit: `event_enable_count_probe` of Debian's 6.1, whose jump over a tail call leads less far there. The
 * silent failures: ORIG that is the kernel's and is refused, and one whose branch leads elsewhere within the function and passes for it.
 */
import { expect, test } from 'vitest';
import { archOf } from '../../src/arch';
import { EM_X86_64 } from '../../src/elf';
import { relaxed } from '../../src/stages/running-kernel/image/relaxed';

const { disassembler } = archOf(EM_X86_64, 'test');
const decoder = disassembler();
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** test %eax,%eax; je to the ret; jmp near_one; ...; ret. The tail call has five bytes in ORIG. */
const ORIG = hex('85c0 7407 ffc0 e900000000 83c001 c3');
const SHIPPED = hex('85c0 7404 ffc0 eb50 83c001 c3');
/** Offset of the tail call and of its field. */
const CALL = 6;

function compare(orig: Buffer, theirs: Buffer, field = CALL + 1, call = CALL): ReturnType<typeof relaxed> {
  const linked = new Uint8Array(orig.length).fill(1, field, field + 4);
  const own = { bytes: orig, instructions: decoder.decode(orig), start: 0, linked, branches: new Map([[call, field]]) };
  return relaxed(own, { bytes: theirs, instructions: decoder.decode(theirs) });
}

test('a branch over one that became short leads to the same instruction', () => {
  // The premise: the distances differ by what the tail call lost.
  expect(ORIG[3]! - SHIPPED[3]!).toBe(3);
  expect(compare(ORIG, SHIPPED)).toEqual([{ at: CALL, end: CALL + 5, field: CALL + 1, shift: -3 }]);
});

test('one that leads to another instruction, or tests something else, is another function', () => {
  const elsewhere = Buffer.from(SHIPPED);
  elsewhere[3] = 7;
  expect(compare(ORIG, elsewhere)).toMatchObject({ at: 2 });
  // As far as in ORIG: then it leads past what it should.
  const unmoved = Buffer.from(SHIPPED);
  unmoved[3] = ORIG[3]!;
  expect(compare(ORIG, unmoved)).toMatchObject({ at: 2 });
  const condition = Buffer.from(SHIPPED);
  condition[2] = 0x75;
  expect(compare(ORIG, condition)).toMatchObject({ at: 2 });
  const behind = Buffer.from(SHIPPED);
  behind[10] = 2;
  expect(compare(ORIG, behind)).toEqual({ at: 13, shift: -3 });
});

test('a branch that is near only because another became short is short, too', () => {
  // je over 126 bytes and the tail call: 131 are too far for one byte, 128 - 3 + 2 are not.
  const body = Buffer.alloc(123, 0x90).toString('hex');
  const orig = hex(`0f8480000000 ${body} e900000000 c3`);
  const theirs = hex(`747d ${body} eb50 c3`);
  const call = 6 + 123;
  expect(compare(orig, theirs, call + 1, call)).toEqual([
    { at: 0, end: 6, field: -1, shift: -4 },
    { at: call, end: call + 5, field: call + 1, shift: -7 },
  ]);
  const other = Buffer.from(theirs);
  other[1] = 0x7c;
  expect(compare(orig, other, call + 1, call)).toMatchObject({ at: 0 });
});

test('code that is longer in the kernel is no shorter form of it', () => {
  expect(compare(SHIPPED, ORIG)).toMatchObject({ at: expect.any(Number) as number });
  expect(compare(ORIG, SHIPPED.subarray(0, 8))).toMatchObject({ at: 11 });
});
