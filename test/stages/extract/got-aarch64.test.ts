/** Addresses that Clang reads from the GOT on arm64: those of weak undefined symbols. A module has no GOT, and its loader refuses the types. */
import { expect, test } from 'vitest';
import { EM_AARCH64 } from '../../../src/elf/constants';
import { object, relocated, u32, type ObjectBuilder } from '../../support/elf-builder';
import { extractObjects } from '../../support/extract-objects';

const NOP = 0xd503201f;
const ADRP_X8 = 0x90000008;
/** `ldr x9, [x8]` */
const LOAD = 0xf9400109;

/** f changes; it reads the address of `maybe` by a pair with these types and words. */
const used = (
  exports: string[],
  { load = LOAD, addend = 0, type = 312 }: { load?: number; addend?: number; type?: number } = {},
): ReturnType<typeof extractObjects> => {
  const build = (value: number): ObjectBuilder =>
    object({ machine: EM_AARCH64 })
      .file('x.c')
      .undef('maybe', 'weak')
      .func('f', [NOP, NOP, ADRP_X8, load, 0x52800000 + (value << 5), 0xd65f03c0].map(u32), {
        relas: [
          { off: 8, type: 311, sym: 'maybe' },
          { off: 12, type, sym: 'maybe', addend },
        ],
      })
      .special('__patchable_function_entries', relocated(8, 257, 'f'));
  return extractObjects(build(1), build(2), { exports });
};

test('an address is computed, not read', () => {
  // Left as a load, or with one of both halves, the code would call what lies in the function's own bytes.
  const made = used(['maybe']);
  expect(made.told).toEqual([]);
  expect(made.relas('f')).toEqual(
    expect.arrayContaining(['+0x8 ADR_PREL_PG_HI21 maybe', '+0xc ADD_ABS_LO12_NC maybe']),
  );
  // add x9, x8, #0
  expect(made.hex('f').slice(24, 32)).toBe('09010091');
});

test.each([
  ['a load of half a slot', { load: 0xb9400109 }],
  ['a place behind the slot', { addend: 8 }],
  ['a slot of the GOT by its distance from the start', { type: 313 }],
])('%s stays refused', (_, otherwise) => {
  expect(used(['maybe'], otherwise).told).toContain('unsupported-relocation f');
});

test('what the running kernel lacks is refused', () => {
  expect(used([]).told).not.toEqual([]);
});
