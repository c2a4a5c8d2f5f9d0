/**
 * GCC names several variables of a section by the address of one (-fsection-anchors): a copy whose relocation names that one reads what lies behind it.
 * `warn_at(__FILE__, __LINE__, __func__)` printed the middle of another name.
 */
import { describe, expect, test } from 'vitest';
import { archOf } from '../../src/arch';
import { EM_AARCH64 } from '../../src/elf';

const ADD_LO12 = 277;
const { distancesUsed } = archOf(EM_AARCH64, '');

/** How far from the address that its second word puts into x2 code reads, writes, or hands it on. */
function used(...words: number[]): number[] | null {
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(i * 4, word, true));
  const distances = distancesUsed!(bytes, [
    { offset: 0, type: 275 },
    { offset: 4, type: ADD_LO12 },
  ]);
  expect([...(distances[0] ?? [])]).toEqual([]);
  return distances[1] === null ? null : [...distances[1]!].sort((a, b) => a - b);
}

const ADRP = 0x90000002;
const ADD = 0x91000042;
const RET = 0xd65f03c0;
const CALL = 0x94000000;

describe('an address leads to another variable', () => {
  test.each<[string, number[], number[]]>([
    ['by a sum that goes to a call', [0x91004042, CALL], [16]],
    ['by the distance of a load', [0xb9401040], [16]],
    ['by that of a pair', [0xa9410440], [16]],
    ['behind a move to another register', [0xaa0203f3, 0x91004262, CALL], [16]],
    ['behind a call, by a register that calls keep', [0xaa0203f3, 0xd2800002, CALL, 0xb9401260], [16]],
    ['by way of the stack', [0xf9000be2, 0xf9400be0, 0x91004001, 0xd2800000, 0xd2800002, 0xb9400021], [0, 16]],
    ['by way of the frame', [0x910043fd, 0xf9000be2, 0xf94003a0, 0xb9401001], [0, 16]],
    ['on one of two ways', [0x34000060, 0xd2800002, 0x14000002, 0x91004042, CALL], [16]],
    ['before it, too', [0xd1001042, CALL], [-4]],
    ['to who gets it back', [0x91004040], [16]],
    ['to who is jumped to', [0x91004042, 0x14000100], [16]],
    ['kept in memory', [0x91004041, 0xd2800002, 0xf9000061], [16]],
    ['compared', [0x91004041, 0xd2800002, 0xeb0100bf], [16]],
    ['counted from by an index, and what is reached from there', [0x91004041, 0x8b050021, 0xb85f8021], [8, 16]],
    ['by the register of a load', [0x91004041, 0xf8657821], [16]],
    ['by an exclusive access', [0x91004041, 0xc85f7c21], [16]],
  ])('%s', (_, words, distances) => {
    expect(used(ADRP, ADD, ...words, RET)).toEqual(distances);
  });
});

describe('it stays within its own', () => {
  test.each<[string, number[], number[]]>([
    ['a load within', [0xb9400c40], [12]],
    ['a register that has become another', [0xaa0303e2, 0x91004042], []],
    ['one that a call takes', [CALL, 0xb9401040], [0]],
    ['a pointer that a loop moves over all of it', [0xb8404440, 0x35ffffe0], [0, 4]],
  ])('%s', (_, words, distances) => {
    expect(used(ADRP, ADD, ...words, RET)).toEqual(distances);
  });

  test('code that takes too long to follow tells nothing', () => {
    // Without a bound, some kilobytes of branches that each may go anywhere would take hours.
    const words = Array.from({ length: 4096 }, (_, i) => (i % 2 === 0 ? 0x91000442 + ((i % 32) << 10) : 0xd61f0000));
    const started = performance.now();
    expect(used(ADRP, ADD, ...words)).toBeNull();
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});
