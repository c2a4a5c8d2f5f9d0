/**
 * Scope `whole` on a small real kernel with the compiler and linker of its own build, and the scripts of others with klpflow's wrappers in their tools' place. What shows
 * only here: a kernel's own make asked for vmlinux.o and modules, its objects taken over, a second patch after the first, and a kernel that takes signed modules only.
 * Nightly: KLPFLOW_E2E_SMALL names a tarball, KLPFLOW_E2E_LLVM (`-22`) builds with Clang and ThinLTO instead of GCC.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test, type TestContext } from 'vitest';
import type { BuildResult } from '../../src/index';
import type { Trial } from '../boot/init';
import { boot } from '../boot/qemu';
import { complaints, readReport, type Report } from '../boot/report';
import { initramfs, missingForBoots } from '../boot/root';
import { MAIN } from '../support/run-klpflow';
import { patchOf } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';
import { smallTree, type SmallTree } from './small-tree';

const LLVM = process.env['KLPFLOW_E2E_LLVM'];
const [NAME, VARIABLES, OPTIONS] =
  LLVM === undefined
    ? (['gcc', [], []] as const)
    : ([`llvm${LLVM}`, [`LLVM=${LLVM}`], ['CONFIG_LTO_CLANG_THIN=y']] as const);

const folder = tempFolder();
const found = missingForBoots() ?? smallTree(NAME, OPTIONS, VARIABLES);
const tree = found as SmallTree;
const runs = join(folder, 'runs');
const trials: Trial[] = [];

const skipWithout = (context: TestContext): void => void (typeof found === 'string' && context.skip(found));
const MEMINFO = 'grep -i -e ^memfree -e ^buffers /proc/meminfo | sed "s/:.*//"';
const BINFMT = 'mkdir -p /mnt; mount -t binfmt_misc none /mnt && cat /mnt/status; umount /mnt';
const FIXES = {
  free: ['fs/proc/meminfo.c', '"MemFree:        "', '"MEMFREE:        "'],
  buffers: ['fs/proc/meminfo.c', '"Buffers:        "', '"BUFFERS:        "'],
  module: ['fs/binfmt_misc.c', '"enabled\\n" :', '"ENABLED\\n" :'],
} as const;
const patch = (name: keyof typeof FIXES): string => join(folder, `${name}.patch`);

beforeAll(() => {
  if (typeof found === 'string') return;
  for (const [name, [file, from, to]] of Object.entries(FIXES))
    writeFileSync(join(folder, `${name}.patch`), patchOf(tree.folder, file, from, to));
});

function built(name: string, patches: readonly string[], more: readonly string[] = []): BuildResult {
  const path = join(folder, `livepatch-${name}.ko`);
  const words = ['--objects', tree.folder, '--run-dir', runs, '-o', path, '--json', '--progress', 'none', ...more];
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'build', ...patches, ...words, ...VARIABLES], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  expect({ name, status }, stderr + stdout.slice(0, 4000)).toEqual({ name, status: 0 });
  return JSON.parse(stdout) as BuildResult;
}

function trial(name: string, path: string, run: string, targets: Trial['targets'] = undefined): Trial {
  const module = readFileSync(path);
  const moduleName = /(?:^|\0)name=([^\0]+)\0/.exec(module.toString('latin1'))![1]!;
  return { name, moduleName, module, run, livepatch: true, sites: [], ...(targets === undefined ? {} : { targets }) };
}

async function booted(some: readonly Trial[], append = ''): Promise<{ report: Report; log: string }> {
  const place = join(folder, append === '' ? 'boot' : 'boot-more');
  const ran = await boot({
    image: tree.image,
    initramfs: initramfs(some, folder),
    append,
    cpu: 'max',
    cpus: 2,
    folder: place,
  });
  const report = readReport(ran.report);
  expect({ done: report.done, hung: ran.hung }, ran.log.slice(-6000)).toEqual({ done: true, hung: false });
  return { report, log: ran.log };
}

test('vmlinux.o and a module with their patches, out of the objects of a built tree', (context) => {
  skipWithout(context);
  const result = built('free', [patch('free')]);
  expect(result).toMatchObject({ scope: { name: 'whole' }, verification: { ok: true } });
  expect(result.diff!.evidence).toMatchObject({ code: { proven: true }, positions: { proven: true } });
  expect(result.diff!.objects[0]!.functions.changed.map(({ name }) => name)).toEqual(['meminfo_proc_show']);
  built('module', [patch('module')]);
  trials.push(trial('free', join(folder, 'livepatch-free.ko'), MEMINFO));
  const content = readFileSync(join(tree.folder, 'fs/binfmt_misc.ko'));
  const targets = { modules: [{ name: 'binfmt_misc', content }], late: false, reload: false };
  trials.push(trial('module', join(folder, 'livepatch-module.ko'), BINFMT, targets));
});

test('a second patch has nothing of the first, and compiles one unit', (context) => {
  skipWithout(context);
  const result = built('buffers', [patch('buffers')], ['--sign-key', tree.key, '--sign-cert', tree.key]);
  expect(result.units).toEqual([{ source: 'fs/proc/meminfo.c', owner: 'vmlinux', changed: true }]);
  const strings = readFileSync(join(folder, 'livepatch-buffers.ko')).toString('latin1');
  expect([strings.includes('BUFFERS:'), strings.includes('MEMFREE:')]).toEqual([true, false]);
  trials.push(trial('buffers', join(folder, 'livepatch-buffers.ko'), MEMINFO));
});

test('two builds without a patch are the same', (context) => {
  skipWithout(context);
  const comment = join(folder, 'comment.patch');
  writeFileSync(
    comment,
    patchOf(tree.folder, 'fs/proc/meminfo.c', '#include <linux/fs.h>', '/* */ #include <linux/fs.h>'),
  );
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      MAIN,
      'build',
      comment,
      '--objects',
      tree.folder,
      '--run-dir',
      runs,
      '-o',
      join(folder, 'no.ko'),
      '--json',
      ...VARIABLES,
    ],
    { encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  expect({ status, verdict: (JSON.parse(stdout) as BuildResult).verdict }).toEqual({ status: 3, verdict: 'unchanged' });
});

/** A copy of the tree in which klp-build may work, and its first stage as done: the tree was built as that builds one. */
function copied(): string {
  const copy = join(folder, 'klp-build');
  execFileSync('cp', ['-a', '--reflink=auto', tree.folder, copy]);
  for (const file of ['vmlinux', 'vmlinux.o', 'fs/binfmt_misc.o']) {
    const to = join(copy, 'klp-tmp/1-orig', file);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(copy, file), to);
  }
  for (const file of ['timestamp', '1-orig/.complete']) writeFileSync(join(copy, 'klp-tmp', file), '');
  return copy;
}

test("klp-build of the kernel's own scripts, with the wrappers in its path", { timeout: 7_200_000 }, (context) => {
  skipWithout(context);
  for (const program of ['recountdiff', 'gawk'])
    if (spawnSync('which', [program]).status !== 0) context.skip(`klp-build needs ${program}`);
  const [bin, source] = [join(folder, 'bin'), copied()];
  execFileSync(process.execPath, [MAIN, 'wrappers', bin]);
  const path = join(folder, 'livepatch-script.ko');
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
  trials.push(trial('script', path, MEMINFO));
});

/** make's variables, which the script takes from its environment. */
function environment(): Record<string, string> {
  return Object.fromEntries(VARIABLES.map((variable) => variable.split('=', 2) as [string, string]));
}

test('each is loaded, works, is taken back and unloaded', { timeout: 1_200_000 }, async (context) => {
  skipWithout(context);
  const { report, log } = await booted(trials);
  for (const { name, targets } of trials) {
    const { steps, before, after, restored } = report.trials.get(name)!;
    const [come, left] = targets === undefined ? [[], []] : [['come'], ['left']];
    const all = [...come, 'loaded', 'patched', 'unpatched', 'unloaded', ...left];
    expect({ name, steps }, log.slice(-6000)).toEqual({ name, steps: all });
    const was = name === 'module' ? 'enabled' : 'MemFree\nBuffers';
    const is = { free: 'MEMFREE\nBuffers', script: 'MEMFREE\nBuffers', buffers: 'MemFree\nBUFFERS', module: 'ENABLED' };
    expect({ name, before, after, restored }).toMatchObject({
      name,
      before: expect.stringContaining(was),
      after: expect.stringContaining(is[name as keyof typeof is]),
      restored: before,
    });
  }
  expect(complaints(log)).toEqual([]);
});

test('a kernel that takes signed modules only takes the one that is signed with its key', {
  timeout: 1_200_000,
}, async (context) => {
  skipWithout(context);
  expect(existsSync(tree.key)).toBe(true);
  const signed = trials.filter(({ name }) => name === 'buffers' || name === 'free');
  const { report, log } = await booted(signed, 'module.sig_enforce=1');
  expect(report.trials.get('free')!.steps[0]).toMatch(/^refused /);
  const { steps, after } = report.trials.get('buffers')!;
  expect(steps, log.slice(-3000)).toEqual(['loaded', 'patched', 'unpatched', 'unloaded']);
  expect(after).toContain('BUFFERS');
});
