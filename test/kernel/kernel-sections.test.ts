/**
 * The table of sections that the kernel knows by name, against what `verify` knows by itself: two who were wrong alike would pass a module
 * whose tables the kernel misreads. And what is recorded by number: a new row in the middle would give old records another meaning.
 */
import { expect, test } from 'vitest';
import { SECTIONS } from '../../src/kernel/sections';
import { SPECIAL_SECTIONS, specialNumber } from '../../src/kernel/special-sections';
import { TABLES, type Table } from '../../src/verify/tables';

/** Verify also reads these of a module, where they are code's own (seals are made by objtool, layouts are two tables). */
const NOT_ADDRESSES = new Set(['.ibt_endbr_seal', '.orc_unwind_ip']);

test('verify and the table of sections say the same of every table', () => {
  const compared = Object.values<Table>(TABLES).flatMap(({ names, size, struct }) =>
    names.map((name) => {
      const { entries, addresses } = SECTIONS[name] ?? {};
      if (struct !== undefined) {
        expect(entries?.struct, name).toBe(struct);
        expect(entries?.sizes, name).toContain(size);
      } else if (!NOT_ADDRESSES.has(name)) expect(addresses?.size, name).toBe(size);
      return name;
    }),
  );
  // The premise: all that have entries, but for ppc64's, which verify does not check.
  expect(SPECIAL_SECTIONS.map(({ name }) => name).filter((name) => !compared.includes(name))).toEqual([
    '__ftr_fixup',
    '__mmu_ftr_fixup',
    '__fw_ftr_fixup',
  ]);
});

test('numbers of special sections and roles stay what records say', () => {
  const numbers = Object.keys(SECTIONS).map((name) => [name, specialNumber(name)] as const);
  expect(Object.fromEntries(numbers.filter(([, number]) => number !== 0))).toEqual({
    '.altinstructions': 1,
    __bug_table: 2,
    __jump_table: 3,
    __ex_table: 4,
    '.static_call_sites': 5,
    '.parainstructions': 6,
    __ftr_fixup: 7,
    __mmu_ftr_fixup: 8,
    __fw_ftr_fixup: 9,
    __mcount_loc: 200,
    '.ibt_endbr_seal': 201,
    '.discard.annotate_data': 202,
    '.llvm.call-graph-profile': 203,
    __llvm_prf_cnts: 204,
    '.orc_unwind_ip': 205,
  });
  expect([specialNumber('runtime_ptr_x'), specialNumber('.gnu.lto_.lto.1'), specialNumber('.text')]).toEqual([
    10, 206, 0,
  ]);
});
