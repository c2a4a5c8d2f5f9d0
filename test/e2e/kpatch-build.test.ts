/**
 * kpatch-build of Debian sid, unchanged, with klpflow's programs in its tools' place, on a small kernel without IBT: a livepatch of vmlinux and of a module. What shows only
 * here: its own make with its compiler's wrapper, the objects that it finds, the link of its hook, and a module that loads.
 * Nightly: KLPFLOW_E2E_KPATCH names a tarball (linux-source-6.12.tar.xz).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { complaints } from '../boot/report';
import { missingForBoots } from '../boot/root';
import { MAIN } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';
import { CACHE, debianPackage } from './packages';
import { bootSmall, expectWorking, trialOf, writePatch } from './small-trials';
import { smallTree, type SmallTree } from './small-tree';
import { useTrixiePackages } from './trixie';

/** What klpflow stands in for. */
const PROGRAMS = ['create-diff-object', 'create-klp-module'];

const tarball = process.env['KLPFLOW_E2E_KPATCH'];
const folder = tempFolder();
/** One place for all runs: units are compiled by a program of this folder, so that another path is another command. */
const kpatch = join(CACHE, 'kpatch-with-klpflow');
const tools = join(kpatch, 'lib/kpatch');

/** kpatch-build as it is shipped, and the wrappers among its programs. @returns why it is not there */
function install(): string | undefined {
  if (tarball === undefined) return 'no kpatch-build: KLPFLOW_E2E_KPATCH names no tarball of a kernel';
  const found = useTrixiePackages() ?? debianPackage('kpatch-build');
  if (typeof found === 'string') return found;
  rmSync(kpatch, { recursive: true, force: true });
  cpSync(join(found.folder, 'usr'), kpatch, { recursive: true });
  execFileSync(process.execPath, [MAIN, 'wrappers', tools]);
  // Whatever is compared and made, klpflow does it: kpatch's own are not there.
  for (const name of PROGRAMS) rmSync(join(tools, `${name}.real`));
  return undefined;
}

const OPTIONS = [
  'CONFIG_DEBUG_INFO_DWARF5=y',
  '# CONFIG_DEBUG_INFO_NONE is not set',
  '# CONFIG_X86_KERNEL_IBT is not set',
];

test('a livepatch of vmlinux and a module by kpatch-build, loaded and taken back', {
  timeout: 7_200_000,
}, async (context) => {
  const reason = missingForBoots() ?? install();
  if (reason !== undefined) return context.skip(reason);
  // What boots is built as any kernel: with a section a function the linker would put its code beside what the boot expects.
  const shipped = smallTree({ name: 'kpatch-shipped', tarball, options: OPTIONS, variables: [] });
  if (typeof shipped === 'string') return context.skip(shipped);
  // As kpatch-build builds one, so that it compiles nothing again but what the patches touch. It works in the tree itself.
  const flags = `-I${join(kpatch, 'share/kpatch/patch')} -ffunction-sections -fdata-sections -gz=none`;
  const compilers = { CC: 'gcc', LD: 'ld' };
  const wrapped = Object.entries(compilers).map(([name, program]) => `${name}=${join(tools, 'kpatch-cc')} ${program}`);
  const variables = [...wrapped, `KCFLAGS=${flags}`];
  const tree = smallTree({ name: 'kpatch', tarball, options: OPTIONS, variables }) as SmallTree;
  expect(readFileSync(join(tree.folder, '.config'), 'utf8')).not.toContain('CONFIG_X86_KERNEL_IBT=y');

  const patches = (['free', 'module'] as const).map((fix) => writePatch(folder, shipped, fix));
  const out = join(folder, 'out');
  mkdirSync(out);
  const words = ['-s', tree.folder, '-v', join(shipped.folder, 'vmlinux'), '-n', 'livepatch-fixes', '-o', out];
  const { status, stdout, stderr } = spawnSync(join(kpatch, 'bin/kpatch-build'), [...words, ...patches], {
    encoding: 'utf8',
    env: { ...process.env, CACHEDIR: join(folder, 'kpatch') },
    maxBuffer: 1 << 28,
  });
  const log = join(folder, 'kpatch/build.log');
  const said = stdout + stderr + (existsSync(log) ? readFileSync(log, 'utf8').slice(-4000) : '');
  expect({ status }, said).toEqual({ status: 0 });
  for (const changed of ['meminfo.o: changed function: meminfo_proc_show', 'binfmt_misc.o: changed function:'])
    expect(stdout).toContain(changed);

  const trials = [trialOf('kpatch', join(out, 'livepatch-fixes.ko'), ['free', 'module'], shipped)];
  const booted = await bootSmall(shipped, trials, folder);
  expectWorking(trials, booted);
  expect(complaints(booted.log)).toEqual([]);
});
