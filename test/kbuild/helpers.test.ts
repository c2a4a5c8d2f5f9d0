/** Macros of the header that comes with klpflow for kernels before 6.19: what they say to the compiler, in the kernel's own words for calls and system calls. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from '../support/temp-folder';

const INCLUDE = join(__dirname, '../../include');
const folder = tempFolder();

test('a static call is called through its key, a system call is defined without what tracers know of it', () => {
  mkdirSync(join(folder, 'linux'));
  writeFileSync(join(folder, 'linux/livepatch.h'), '');
  const text = [
    '#define KLP_OBJNAME vmlinux',
    '#define STATIC_CALL_KEY(name) key_##name',
    '#define STATIC_CALL_TRAMP(name) tramp_##name',
    '#define __SYSCALL_DEFINEx(count, name, ...) defined##count(name, __VA_ARGS__)',
    '#include <linux/livepatch_helpers.h>',
    'KLP_STATIC_CALL(pick)(1)',
    'KLP_SYSCALL_DEFINE2(pipe2, int *, files, int, flags)',
  ].join('\n');
  const args = ['-E', '-P', `-I${folder}`, `-I${INCLUDE}`, '-x', 'c', '-'];
  const { stdout, stderr } = spawnSync('gcc', args, { input: text, encoding: 'utf8' });
  expect(stderr).toBe('');
  const lines = stdout.trim().split('\n');
  expect(lines).toEqual(['((typeof(tramp_pick) *)key_pick.func)(1)', 'defined2(_pipe2, int *, files, int, flags)']);
});
