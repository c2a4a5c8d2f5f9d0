/**
 * GCC names several variables of a section by the address of one (-fsection-anchors): a copy whose relocation names that one reads what lies behind it.
 * `warn_at(__FILE__, __LINE__, __func__)` printed the middle of another name.
 */
import { describe, expect, test } from 'vitest';
import { archOf } from '../../src/arch';
import { EM_AARCH64 } from '../../src/elf';

const ADD_LO12 = 277;
const { leavesObject } = archOf(EM_AARCH64, '');

/** Where code leaves an object of 16 bytes whose address its second word puts into x2. */
function left(...words: number[]): number | undefined {
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(i * 4, word, true));
  return leavesObject!(bytes, [
    { offset: 0, type: 275, before: 0, behind: 16 },
    { offset: 4, type: ADD_LO12, before: 0, behind: 16 },
  ]);
}

const ADRP = 0x90000002;
const ADD = 0x91000042;
const RET = 0xd65f03c0;

describe('an address leads to another variable', () => {
  test.each<[string, number[], number]>([
    ['by a sum', [0x91004042], 8],
    ['by the distance of a load', [0xb9401040], 8],
    ['by that of a pair', [0xa9410440], 8],
    ['behind a move to another register', [0xaa0203f3, 0x91004262], 12],
    ['behind a call, by a register that calls keep', [0xaa0203f3, 0x94000000, 0xb9401260], 16],
    ['by way of the stack', [0xf9000be2, 0xf9400be0, 0x91004000], 16],
    ['on one of two ways', [0x34000060, 0xd2800002, 0x14000002, 0x91004042], 20],
    ['before it, too', [0xd1001042], 8],
  ])('%s', (_, words, at) => {
    expect(left(ADRP, ADD, ...words, RET)).toBe(at);
  });
});

describe('it stays within its own', () => {
  test.each<[string, number[]]>([
    ['a load within', [0xb9400c40]],
    ['a register that has become another', [0xaa0303e2, 0x91004042]],
    ['one that a call takes', [0x94000000, 0xb9401040]],
    ['a pointer that a loop moves over all of it', [0xb8404440, 0x35ffffe0]],
  ])('%s', (_, words) => {
    expect(left(ADRP, ADD, ...words, RET)).toBeUndefined();
  });
});
