/** A disk that is full in the middle. Failures there come in odd places: in a log, in a file half written; one must not end klpflow, the other not stay in the tree. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run, succeed } from '../../src/kbuild/command';
import { copySource, sourceOf } from '../../src/kbuild/source';
import { Swap } from '../../src/kbuild/swap';
import { smallKernel } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

test('a log that cannot be written is no reason to stop', async () => {
  const ended = await run({ program: 'echo', args: ['said'], cwd: folder, log: '/dev/full' });
  expect(ended).toEqual({ status: 0, stdout: 'said\n', stderr: '' });
});

test('a program without space says so by its code', async () => {
  const command = { program: 'cp', args: ['/proc/version', '/dev/full'], cwd: folder };
  await expect(succeed(command, 'writing')).rejects.toMatchObject({ code: 'no-space' });
});

test('a patched file that cannot be written leaves the tree as it was', () => {
  const tree = join(folder, 'tree');
  mkdirSync(join(tree, 'taken.c.new'), { recursive: true });
  for (const name of ['first.c', 'taken.c']) writeFileSync(join(tree, name), 'original');
  const swap = new Swap(tree, folder);
  const files = ['first.c', 'taken.c'].map((path) => ({ path, original: 'original', patched: 'patched' }));
  // A folder stands where the second would be written.
  expect(() => swap.put(files)).toThrow(/EISDIR/);
  swap.takeBack();
  for (const name of ['first.c', 'taken.c']) expect(readFileSync(join(tree, name), 'utf8')).toBe('original');
  expect(existsSync(join(tree, 'first.c.new'))).toBe(false);
});

test('of a source that is read-only the copy can be written', async () => {
  const { source } = smallKernel(join(folder, 'kernel'));
  const copy = join(folder, 'copy');
  mkdirSync(copy);
  // The premise: this one is read-only.
  expect(statSync(join(source, 'fs/answer.c')).mode & 0o200).toBe(0);
  await copySource(await sourceOf(source, undefined), copy, {});
  expect(statSync(join(copy, 'fs/answer.c')).mode & 0o200).toBe(0o200);
});
