/** What the tests of small kernels share: fixes of vmlinux and of a module, and that a livepatch of them works in a guest. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { BuildResult } from '../../src/index';
import type { Trial } from '../boot/init';
import { boot } from '../boot/qemu';
import { readReport, type Report } from '../boot/report';
import { initramfs } from '../boot/root';
import { MAIN } from '../support/run-klpflow';
import { patchOf } from '../support/small-kernel';
import { COMPILER, type SmallTree } from './small-tree';

const FIXES = {
  free: ['fs/proc/meminfo.c', '"MemFree:        "', '"MEMFREE:        "'],
  buffers: ['fs/proc/meminfo.c', '"Buffers:        "', '"BUFFERS:        "'],
  stack: ['fs/proc/task_mmu.c', '"[stack]"', '"[STACK]"'],
  module: ['fs/binfmt_misc.c', '"enabled\\n" :', '"ENABLED\\n" :'],
} as const;

export type Fix = keyof typeof FIXES;

const MEMINFO = 'grep -i -e ^memfree -e ^buffers /proc/meminfo | sed "s/:.*//"';
const BINFMT = 'mkdir -p /mnt; mount -t binfmt_misc none /mnt && cat /mnt/status; umount /mnt';
/** What the two show without a livepatch, and what each fix makes of it. */
const SHOWN: Record<Fix, [run: string, before: string, after: string]> = {
  free: [MEMINFO, 'MemFree\nBuffers', 'MEMFREE\nBuffers'],
  buffers: [MEMINFO, 'MemFree\nBuffers', 'MemFree\nBUFFERS'],
  stack: ['grep -i -F "[stack]" /proc/self/maps | sed "s/.* //"', '[stack]', '[STACK]'],
  module: [BINFMT, 'enabled', 'ENABLED'],
};

/** The patch of a fix, as a file. */
export function writePatch(folder: string, { folder: tree }: SmallTree, fix: Fix): string {
  const [file, from, to] = FIXES[fix];
  const path = join(folder, `${fix}.patch`);
  writeFileSync(path, patchOf(tree, file, from, to));
  return path;
}

/** `klpflow build` with the objects of a tree that was built: how it ended, and what it says. */
export function buildOf(
  patches: readonly string[],
  { objects, runs, module, more = [] }: { objects: string; runs: string; module: string; more?: readonly string[] },
): { status: number | null; result: BuildResult } {
  const words = ['--objects', objects, '--run-dir', runs, '-o', module, '--json', '--progress', 'none', ...more];
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'build', ...patches, ...words, ...COMPILER], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  expect(stdout, stderr).toMatch(/^\{/);
  return { status, result: JSON.parse(stdout) as BuildResult };
}

export interface SmallTrial extends Trial {
  fixes: readonly Fix[];
}

/** A livepatch of one or several fixes, to be loaded; a module that it patches is there before. */
export function trialOf(name: string, path: string, fixes: readonly Fix[], { folder: tree }: SmallTree): SmallTrial {
  const module = readFileSync(path);
  const moduleName = /(?:^|\0)name=([^\0]+)\0/.exec(module.toString('latin1'))![1]!;
  const run = fixes.map((fix) => SHOWN[fix][0]).join('; ');
  const own = { name, moduleName, module, run, livepatch: true, sites: [], fixes };
  if (!fixes.includes('module')) return own;
  const content = readFileSync(join(tree, 'fs/binfmt_misc.ko'));
  return { ...own, targets: { modules: [{ name: 'binfmt_misc', content }], late: false, reload: false } };
}

/** Boots the tree's kernel with them. */
export async function bootSmall(
  { image }: SmallTree,
  trials: readonly Trial[],
  folder: string,
  append = '',
): Promise<{ report: Report; log: string }> {
  const place = join(folder, append === '' ? 'boot' : 'boot-more');
  const settings = { image, initramfs: initramfs(trials, folder), append, cpu: 'max', cpus: 2, folder: place };
  const ran = await boot(settings);
  const report = readReport(ran.report);
  expect({ done: report.done, hung: ran.hung }, ran.log.slice(-6000)).toEqual({ done: true, hung: false });
  return { report, log: ran.log };
}

/** Each was loaded, showed what its fixes make, was taken back, and unloaded. */
export function expectWorking(trials: readonly SmallTrial[], { report, log }: { report: Report; log: string }): void {
  for (const { name, targets, fixes } of trials) {
    const { steps, before, after, restored } = report.trials.get(name)!;
    const [come, left] = targets === undefined ? [[], []] : [['come'], ['left']];
    const all = [...come, 'loaded', 'patched', 'unpatched', 'unloaded', ...left];
    expect({ name, steps }, log.slice(-6000)).toEqual({ name, steps: all });
    for (const fix of fixes)
      expect({ name, before, after, restored }).toMatchObject({
        name,
        before: expect.stringContaining(SHOWN[fix][1]),
        after: expect.stringContaining(SHOWN[fix][2]),
        restored: before,
      });
  }
}
