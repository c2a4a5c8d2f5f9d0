/** Switches of position-independent code: tables of distances from their own start, whose relocations name places beyond the labels. */
import { expect, test } from 'vitest';
import { SHF_ALLOC } from '../../../src/elf/constants';
import { body, diffObjects, lea, movEax } from '../../support/diff-objects';
import { object, relocated, type ObjectBuilder } from '../../support/elf-builder';

const PC32 = 2;
const LENGTH_OF_F = 31;

/** f in .text behind `before`, with a table of labels at some offsets; `gap` bytes and then g behind it. */
const build = (before: number, labels: readonly number[], gap: number): ObjectBuilder => {
  const start = Math.ceil((19 + before) / 16) * 16;
  return object()
    .file('x.c')
    .func('before', body(movEax(1), new Uint8Array(before).fill(0xf4)), { section: '.text', at: 0 })
    .func('f', body(lea({ section: '.rodata' }), movEax(2), movEax(3)), { section: '.text', at: start })
    .func('g', body(movEax(4)), { section: '.text', at: start + LENGTH_OF_F + gap })
    .section('.rodata', {
      flags: SHF_ALLOC,
      align: 4,
      body: labels.map((label, i) => relocated(4, PC32, { section: '.text' }, start + label + 4 * i)),
    });
};

// The gap behind f shrinks as f moves: what the last entries seem to name is another place, or g.
test('a table whose function moved is the same', () => {
  expect(diffObjects(build(0, [4, 16, 21, 26], 8), build(40, [4, 16, 21, 26], 2)).changed).toEqual({ before: 'code' });
});

test('another label is a change', () => {
  expect(diffObjects(build(0, [4, 16, 21, 26], 8), build(40, [4, 16, 21, 25], 2)).changed).toMatchObject({
    before: 'code',
    f: 'table',
  });
  expect(diffObjects(build(0, [4, 16, 21, 26], 8), build(0, [4, 16, 26, 21], 8)).changed).toEqual({ f: 'table' });
});

test('labels of another function are a change', () => {
  expect(
    diffObjects(build(0, [4, 9], 8), build(40, [4 + LENGTH_OF_F + 2, 9 + LENGTH_OF_F + 2], 2)).changed,
  ).toMatchObject({ f: 'table' });
});
