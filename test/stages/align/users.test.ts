/** Who refers to something: a pass over all relocations looks only at those that lead near it, and must not miss one that means it from afar. */
import { describe, expect, test } from 'vitest';
import { usersOf } from '../../../src/stages/assess/references';
import { body, diffObjects, lea, symbolsOf } from '../../support/diff-objects';
import { R_X86_64_PC32 } from '../../../src/elf';
import { abs32s, object, relocated, u64, type Body, type Field, type ObjectBuilder } from '../../support/elf-builder';

const SHARED = { section: '.data..read_mostly', bind: 'local' } as const;
const place = (offset: number): Field => abs32s({ section: SHARED.section }, offset);
const words = (count: number): Body => Array.from({ length: count }, (_, i) => u64(i + 1)).flat() as Body;
/** `mov $from, %rbx`, `add $16, %rbx`, `cmp $to, %rbx`, `jne` to the add. */
const loop = (from: number, to: number): Body =>
  [0x48, 0xc7, 0xc3, place(from), 0x48, 0x83, 0xc3, 16, 0x48, 0x81, 0xfb, place(to), 0x75, 0xf3] as Body;

/** Names of who uses the variables, once for each use. */
function users(build: ObjectBuilder, ...names: string[]): string[] {
  const { orig } = diffObjects(build, build);
  const targets = new Set(names.flatMap((name) => symbolsOf(orig, name)));
  expect(targets.size).toBe(names.length);
  return [...usersOf(orig, targets).values()]
    .flat()
    .map(({ symbol }) => orig.name(symbol))
    .sort();
}

/** `far`, the variable in question, and one behind it, in a section that they share. */
const shared = (): ObjectBuilder =>
  object().file('a.c').data('first', words(4), SHARED).data('middle', words(32), SHARED).data('last', words(4), SHARED);
const [FIRST, MIDDLE, END] = [0, 32, 32 + 256];

describe('users of a variable', () => {
  test.each([
    ['by its name', lea('middle'), 1],
    ['by a place in the middle of it', [0xff, 0x04, 0x25, place(MIDDLE + 128)] as Body, 1],
    // `&middle[16].b`, the end of a loop over second members, lies in `last`.
    ['by a place behind its end', loop(MIDDLE + 4, END + 4), 2],
  ])('%s', (_, use, count) => {
    const build = shared()
      .func('f', body(use))
      .func('g', body([0xff, 0x04, 0x25, place(FIRST)]));
    expect(users(build, 'middle')).toEqual(Array.from({ length: count }, () => 'f'));
  });

  test('are told of each of very many', () => {
    // So many in one section are as good as all of it, whatever the places of the first ones are.
    const build = object().file('a.c');
    const names = Array.from({ length: 40 }, (_, i) => `v${i}`);
    for (const name of names) build.data(name, words(64), SHARED);
    names.forEach((name, i) => build.func(`user_of_${name}`, body([0xff, 0x04, 0x25, place(i * 512 + 8)])));
    expect(users(build, ...names)).toEqual(names.map((name) => `user_of_${name}`).sort());
  });

  test('of one in a section of its own count from any distance', () => {
    // `tab - 4096` with an index that begins at 512: of nothing else in that section.
    const build = object()
      .file('a.c')
      .data('tab', words(4), { bind: 'local' })
      .func('f', body(lea({ section: '.data.tab' }, -4096)))
      .func('g', body(lea({ section: '.data.tab' }, 4096)));
    expect(users(build, 'tab')).toEqual(['f', 'g']);
  });

  test('of a function are words of relative tables, however far they lead', () => {
    // A word counts from where its table begins: the relocation of the last one names a place 1,200 bytes behind the label.
    const word = (i: number): Field => relocated(4, R_X86_64_PC32, { section: '.text.both' }, 16 + 4 * i);
    const build = object()
      .file('a.c')
      .func('f', body(new Uint8Array(40).fill(0x90)), { section: '.text.both', bind: 'local' })
      .func('h', body(new Uint8Array(40).fill(0x90)), { section: '.text.both', bind: 'local' })
      .rodata('labels', [...(words(150) as Field[]), word(300)], { bind: 'local' })
      .func('g', body(lea('labels')));
    expect(users(build, 'f')).toEqual(['labels']);
  });
});
