/**
 * Code for arm64 names several variables of a section by the address of one (GCC's -fsection-anchors, Clang's GlobalMerge). What it means is
 * told by distances in the code: bytes, relocation and the name there may be the same while another variable is meant.
 */
import { describe, expect, test } from 'vitest';
import { EM_AARCH64 } from '../../../src/elf/constants';
import { refuseAnchors } from '../../../src/stages/assess/anchors';
import { referencesIn } from '../../../src/stages/extract/resolve';
import { diffObjects, type ObjectDiff } from '../../support/diff-objects';
import { object, relocated, u32, type ObjectBuilder } from '../../support/elf-builder';

const ABS64 = 257;
const PAGE = 275;
const LOW = 277;
const NOPS = [u32(0xd503201f), u32(0xd503201f)];

/** A function that takes the address of the section's start, and these words behind it. */
const reader = (builder: ObjectBuilder, name: string, section: string, ...words: number[]): ObjectBuilder =>
  builder
    .func(name, [...NOPS, u32(0x90000001), u32(0x91000021), ...words.map(u32), u32(0xd65f03c0)], {
      relas: [
        { off: 8, type: PAGE, sym: { section } },
        { off: 12, type: LOW, sym: { section } },
      ],
    })
    .special('__patchable_function_entries', relocated(8, ABS64, name));
/** `ldr w0, [x1, #at]` */
const load = (at: number): number => 0xb9400020 + (at << 8);

/** Variables of four bytes, one behind the other, in .data or, by GCC, in .rodata. */
function variables(names: string, section: string): ObjectBuilder {
  const builder = object({ machine: EM_AARCH64 })
    .file('x.c')
    .section('.comment', { body: new Uint8Array(Buffer.from('GCC: (Debian) 12.2.0\0')) });
  for (const name of names.split(' '))
    if (section === '.data') builder.data(name, [u32(name.charCodeAt(0))], { section, bind: 'local', align: 4 });
    else builder.rodata(name, [u32(name.charCodeAt(0))], { section, bind: 'local', align: 4 });
  return builder;
}

/** `f` reaches places of the section by its start; `other` is changed, to have something that goes in. */
const diff = (orig: string, patched: string, at: number[], then = at, section = '.data'): ObjectDiff =>
  diffObjects(
    reader(variables(orig, section), 'f', section, ...at.map(load)),
    reader(variables(patched, section), 'f', section, ...then.map(load)),
  );

/** What the copy of `f` refers to: names and distances. */
function meant({ patched }: ObjectDiff): string[] {
  const [f] = patched.identity.named('f');
  return referencesIn(patched, patched.rangeOf(f!)).map((one) =>
    one.kind === 'symbol' ? `${patched.name(one.symbol)} ${one.addend}` : one.kind,
  );
}

describe.each(['.data', '.rodata'])('%s', (section) => {
  // Unseen, `f` went on reading `two` of the running kernel where PATCHED reads `odd`.
  test('another variable by the same bytes is a change', () => {
    expect(diff('one two', 'one odd two', [4], [4], section).changed).toEqual({ f: 'reference' });
    expect(diff('one two', 'one two odd', [4], [4], section).changed).toEqual({});
  });

  test('so is another one among several', () => {
    expect(diff('one two six', 'one two odd six', [0, 4, 8], undefined, section).changed).toEqual({ f: 'reference' });
    expect(diff('one two six', 'one two six odd', [0, 4, 8], undefined, section).changed).toEqual({});
  });

  test('who reaches one variable refers to it, whatever lies at the place that is named', () => {
    const moved = diff('one two', 'odd one two', [4], [8], section);
    expect(moved.changed).toEqual({ f: 'code' });
    expect(meant(moved)).toEqual(['two -8', 'two -8']);
    expect(moved.told).toEqual([]);
  });
});

describe('several by one address', () => {
  test('go with each other where they lie so in the running kernel', () => {
    // Refused, every fix to such a function of a unit without -fdata-sections was out of reach.
    const shifted = diff('one two', 'one two', [0, 4], [4, 0]);
    expect(shifted.changed).toEqual({ f: 'code' });
    expect(shifted.told).toEqual([]);
    expect(meant(shifted)).toEqual(['one 0', 'one 0']);
  });

  test.each<[string, string, string, number[], number[]]>([
    ['one of them is new', 'one two', 'one odd two', [0, 4], [0, 4]],
    ['something lies between them in PATCHED alone', 'one two', 'one odd two', [0, 4], [0, 8]],
    ['they changed places', 'one two', 'two one', [0, 4], [4, 0]],
  ])('are refused where %s', (_, orig, patched, at, then) => {
    expect(diff(orig, patched, at, then).told).toContain('section-anchors f');
  });

  test('are refused where they may be copied', () => {
    expect(diff('one two', 'one two', [0, 4], [4, 0], '.rodata').told).toEqual(['section-anchors f']);
  });
});

test('a table that only its neighbour’s address leads to has readers', () => {
  // Its new values went to nobody: `f` was no reader, and the table without readers stayed.
  const build = (value: number): ObjectBuilder =>
    reader(
      variables('one', '.rodata').rodata('table', [u32(value), u32(2)], {
        section: '.rodata',
        bind: 'local',
        align: 4,
      }),
      'f',
      '.rodata',
      load(4),
    );
  const changed = diffObjects(build(1), build(7));
  expect(changed.data.changed).toEqual(['table']);
  expect(changed.changed).toEqual({ f: 'table' });
  expect(
    refuseAnchors({ ...changed, objectName: 'vmlinux', pairing: changed.correlation.pairing } as never, new Set()),
  ).toEqual([]);
});

test('data without a name behind a named neighbour is what is reached', () => {
  // A `list[]` that GCC copies from .rodata has no symbol. Taken for the end of the one before it, its new values were no change.
  const build = (value: number): ObjectBuilder =>
    reader(variables('one', '.rodata').section('.rodata', { body: [u32(value), u32(2)] }), 'f', '.rodata', load(4));
  expect(diffObjects(build(1), build(7)).changed).toEqual({ f: 'table' });
  expect(diffObjects(build(7), build(7)).changed).toEqual({});
});
