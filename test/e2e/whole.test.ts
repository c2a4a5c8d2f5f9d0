/**
 * Scope `whole` on a small real kernel with the compiler and linker of its own build, and the scripts of others with klpflow's wrappers in their tools' place. What shows
 * only here: a kernel's own make asked for vmlinux.o and modules, its objects taken over, a second patch after the first, and a kernel that takes signed modules only.
 * Nightly: KLPFLOW_E2E_SMALL names a tarball (linux-source-7.2.tar.xz or later, which has klp-build), KLPFLOW_E2E_LLVM (`-22`) builds with Clang and ThinLTO instead of GCC.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test, type TestContext } from 'vitest';
import type { BuildResult } from '../../src/index';
import { complaints } from '../boot/report';
import { missingForBoots } from '../boot/root';
import { MAIN } from '../support/run-klpflow';
import { patchOf } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';
import { bootSmall, buildOf, expectWorking, trialOf, writePatch, type Fix, type SmallTrial } from './small-trials';
import { COMPILER, wholeTree, type SmallTree } from './small-tree';

const folder = tempFolder();
const found = missingForBoots() ?? wholeTree();
const tree = found as SmallTree;
const runs = join(folder, 'runs');
const trials: SmallTrial[] = [];

const skipWithout = (context: TestContext): void => void (typeof found === 'string' && context.skip(found));
const patch = (name: Fix): string => join(folder, `${name}.patch`);
const module = (name: string): string => join(folder, `livepatch-${name}.ko`);

beforeAll(() => {
  if (typeof found !== 'string')
    for (const fix of ['free', 'buffers', 'module'] as const) writePatch(folder, tree, fix);
});

/** `klpflow build` with the objects of a tree that was built. */
function run(
  name: string,
  patches: readonly string[],
  more: readonly string[],
  objects = tree.folder,
): ReturnType<typeof buildOf> {
  return buildOf(patches, { objects, runs, module: module(name), more });
}

/** A livepatch of a fix, which must be written. */
function built(name: string, fix: Fix, more: readonly string[] = [], objects = tree.folder): BuildResult {
  const { status, result } = run(name, [patch(fix)], more, objects);
  expect({ name, status }, JSON.stringify(result).slice(0, 4000)).toEqual({ name, status: 0 });
  trials.push(trialOf(name, module(name), [fix], tree));
  return result;
}

test('vmlinux.o and a module with their patches, out of the objects of a built tree', (context) => {
  skipWithout(context);
  const result = built('free', 'free');
  expect(result).toMatchObject({ scope: { name: 'whole' }, verification: { ok: true } });
  expect(result.diff!.evidence).toMatchObject({ code: { proven: true }, positions: { proven: true } });
  expect(result.diff!.objects[0]!.functions.changed.map(({ name }) => name)).toEqual(['meminfo_proc_show']);
  built('module', 'module');
});

test('a second patch has nothing of the first, and compiles one unit', (context) => {
  skipWithout(context);
  const result = built('buffers', 'buffers', ['--sign-key', tree.key, '--sign-cert', tree.key]);
  expect(result.units).toEqual([{ source: 'fs/proc/meminfo.c', owner: 'vmlinux', changed: true }]);
  const strings = readFileSync(module('buffers')).toString('latin1');
  expect([strings.includes('BUFFERS:'), strings.includes('MEMFREE:')]).toEqual([true, false]);
  // With ThinLTO the linker had what it compiled for the first patch.
  const kept = readdirSync(join(runs, 'builds')).map((build) => join(runs, 'builds', build, 'linked'));
  expect(kept.filter((path) => existsSync(path))).toHaveLength(COMPILER.length === 0 ? 0 : 1);
});

test('two builds without a patch are the same', (context) => {
  skipWithout(context);
  const comment = join(folder, 'comment.patch');
  const [file, from] = ['fs/proc/meminfo.c', '#include <linux/fs.h>'];
  writeFileSync(comment, patchOf(tree.folder, file, from, `/* */ ${from}`));
  const { status, result } = run('comment', [comment], []);
  expect({ status, verdict: result.verdict }).toEqual({ status: 3, verdict: 'unchanged' });
});

/** A copy of the tree in which klp-build may work, and its first stage as done: the tree was built as that builds one. */
function copied(): string {
  const copy = join(folder, 'klp-build');
  if (existsSync(copy)) return copy;
  execFileSync('cp', ['-a', '--reflink=auto', tree.folder, copy]);
  for (const file of ['vmlinux', 'vmlinux.o', 'fs/binfmt_misc.o', 'fs/constructs.o']) {
    const to = join(copy, 'klp-tmp/1-orig', file);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(copy, file), to);
  }
  for (const file of ['timestamp', '1-orig/.complete']) writeFileSync(join(copy, 'klp-tmp', file), '');
  return copy;
}

test('without its image: what runs is not proven, what is written works all the same', (context) => {
  skipWithout(context);
  const copy = copied();
  rmSync(join(copy, 'arch/x86/boot/bzImage'));
  const result = built('imageless', 'free', [], copy);
  expect(result.kernel).toMatchObject({ release: expect.stringMatching(/-small$/), image: null });
  expect(result.diff!.evidence).toMatchObject({ code: { proven: false }, layouts: { proven: false } });
  expect(result.verification).toMatchObject({ ok: true });
});

test("klp-build of the kernel's own scripts, with the wrappers in its path", { timeout: 7_200_000 }, (context) => {
  skipWithout(context);
  for (const program of ['recountdiff', 'gawk'])
    if (spawnSync('which', [program]).status !== 0) context.skip(`klp-build needs ${program}`);
  const [bin, source] = [join(folder, 'bin'), copied()];
  execFileSync(process.execPath, [MAIN, 'wrappers', bin]);
  const path = module('script');
  const { status, stdout, stderr } = spawnSync(
    'scripts/livepatch/klp-build',
    ['-T', '-S', 'patched', '-o', path, patch('free')],
    {
      cwd: source,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${bin}:${process.env['PATH']}`, ...environment() },
      maxBuffer: 1 << 28,
    },
  );
  expect({ status }, (stdout + stderr).slice(-4000)).toEqual({ status: 0 });
  // It was klpflow that compared: objtool's own says otherwise.
  expect(readFileSync(join(source, 'tools/objtool/objtool'), 'utf8')).toContain('Written by klpflow wrappers');
  expect(readFileSync(join(source, 'klp-tmp/4-diff/diff.log'), 'utf8')).toContain(
    'changed function: meminfo_proc_show',
  );
  trials.push(trialOf('script', path, ['free'], tree));
});

/** make's variables, which the script takes from its environment. */
function environment(): Record<string, string> {
  return Object.fromEntries(COMPILER.map((variable) => variable.split('=', 2) as [string, string]));
}

test('each is loaded, works, is taken back and unloaded', { timeout: 1_200_000 }, async (context) => {
  skipWithout(context);
  const booted = await bootSmall(tree, trials, folder);
  expectWorking(trials, booted);
  expect(complaints(booted.log)).toEqual([]);
});

test('a kernel that takes signed modules only takes the one that is signed with its key', {
  timeout: 1_200_000,
}, async (context) => {
  skipWithout(context);
  expect(existsSync(tree.key)).toBe(true);
  const signed = trials.filter(({ name }) => name === 'buffers' || name === 'free');
  const { report, log } = await bootSmall(tree, signed, folder, 'module.sig_enforce=1');
  expect(report.trials.get('free')!.steps[0]).toMatch(/^refused /);
  const { steps, after } = report.trials.get('buffers')!;
  expect(steps, log.slice(-3000)).toEqual(['loaded', 'patched', 'unpatched', 'unloaded']);
  expect(after).toContain('BUFFERS');
});
