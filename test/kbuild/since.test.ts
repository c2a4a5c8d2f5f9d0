/** `--since`: whether the kernel lets a livepatch take the place of a loaded one, as klp_is_patch_compatible decides, and what it would leave behind. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compareSince, tellSince, type SinceReport } from '../../src/kbuild/since';
import type { ModuleOptions } from '../../src/livepatch/ko';
import { verify } from '../../src/verify';
import { sample } from '../support/livepatch-sample';
import { STRUCTS, TARGET, bytesOf } from '../support/target-kernel';
import { tempFolder } from '../support/temp-folder';
import { writeModule } from '../../src/livepatch/ko';
import { writeFileSync } from 'node:fs';

const folder = tempFolder();
/** As every kernel has them: the verifier knows no others without its types. */
const KERNEL = {
  ...TARGET,
  structs: {
    ...STRUCTS,
    klp_patch: { size: 200, offsets: { mod: 0, objs: 8, states: 16, replace: 24 } },
    klp_object: { size: 168, offsets: { name: 0, funcs: 8, callbacks: 16 } },
    klp_callbacks: { size: 40, offsets: { pre_patch: 0, post_patch: 8, pre_unpatch: 16, post_unpatch: 24 } },
    klp_func: { size: 152, offsets: { old_name: 0, new_func: 8, old_sympos: 16 } },
    klp_state: { size: 24, offsets: { id: 0, version: 8 } },
  },
};

function written(name: string, options: Partial<ModuleOptions> = {}, object = 'vmlinux'): string {
  const path = join(folder, `${name}.ko`);
  writeFileSync(path, bytesOf(writeModule([sample(object).object], KERNEL, { name, version: '1', ...options })));
  return path;
}

function since(old: string, path: string): SinceReport {
  return compareSince(old, { made: verify({ module: path }), shipped: undefined });
}

const two = [
  { id: 7, version: 1 },
  { id: 9, version: 4 },
];

test('it may, where it replaces and knows each state in no lower version', () => {
  const old = written('first', { states: two });
  const report = since(old, written('second', { states: [{ id: 7, version: 2 }, two[1]!, { id: 11, version: 1 }] }));
  expect(report).toMatchObject({ module: 'first', dropped: [], mayReplace: true, reasons: [] });
  expect(report.states).toEqual([
    { id: 7, old: 1, new: 2 },
    { id: 11, old: null, new: 1 },
  ]);
  // Callbacks of what is replaced are not called.
  expect(report.callbacks.map((one) => one.function)).toContain('before');
  expect(tellSince(report).map(({ code }) => code)).toEqual(['since-left']);
});

test.each<[string, Partial<ModuleOptions>, RegExp]>([
  ['a state less', { states: [two[0]!] }, /changed state 9, of which the new one does not know/],
  ['a lower version', { states: [two[0]!, { id: 9, version: 3 }] }, /state 9 is of version 4 there, and of 3/],
  ['without replacing', { states: two, replace: false }, /made with --no-replace/],
  ['the same name', { states: two, name: 'first' }, /both modules are called first/],
])('it may not: %s', (what, options, why) => {
  const report = since(written('first', { states: two }), written(what.replaceAll(' ', '_'), options));
  expect(report.mayReplace).toBe(false);
  expect(report.reasons).toEqual([expect.stringMatching(why)]);
  expect(tellSince(report)[0]!.code).toBe('since-refused');
});

test('functions of an object that the new one leaves out are told', () => {
  const report = since(written('first', {}, 'tun'), written('second'));
  expect(report.dropped.length).toBeGreaterThan(0);
  expect(report.dropped.every(({ object }) => object === 'tun')).toBe(true);
  expect(tellSince(report).map(({ code }) => code)).toContain('since-dropped');
});

test('what is no livepatch is told, and a damaged one', () => {
  writeFileSync(join(folder, 'text.ko'), 'no module');
  expect(() => since(join(folder, 'text.ko'), written('second'))).toThrow(expect.objectContaining({ code: 'not-elf' }));
});
