/**
 * `npm run demo:kernel`: Debian's stock kernel, its packages fetched from the archive, a patch of what /proc/meminfo shows, `klpflow build`, and a guest that boots
 * that very kernel and loads the livepatch. Exit code 0 only if the new text was seen while it was there, and the old one before and after.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot } from '../test/boot/qemu';
import { readReport } from '../test/boot/report';
import { BUSYBOX, missingForBoots, rootOf } from '../test/boot/root';
import { CACHE, debianKernel, type Packages } from '../test/e2e/packages';

/** The command line beside this file in dist/. */
const MAIN = join(__dirname, 'main.js');
const FILE = 'fs/proc/meminfo.c';
const [OLD, NEW] = ['"MemFree:        "', '"MemFree (new):  "'];

async function main(): Promise<number> {
  const missing = missingForBoots();
  if (missing !== undefined) return fail(missing);
  console.log(`1. Debian's kernel: its image, headers and source, some 300 MB, into ${CACHE} (kept for the next time)`);
  const kernel = debianKernel();
  if (typeof kernel === 'string')
    return fail(`${kernel}\n   Does this machine have Debian's archive, and was "apt-get update" run?`);
  console.log(`   ${kernel.release}\n`);
  const folder = mkdtempSync(join(tmpdir(), 'klpflow-demo-'));
  try {
    const patch = writePatch(kernel, folder);
    console.log(`2. A patch of ${FILE}:\n\n${readFileSync(patch, 'latin1').replace(/^/gm, '   ')}`);
    const module = join(folder, 'livepatch-meminfo.ko');
    const files = ['--source', kernel.source, '--root', kernel.root, '--run-dir', join(CACHE, 'runs'), '-o', module];
    const args = ['build', patch, ...files];
    console.log(
      `3. $ klpflow ${args.join(' ')}\n   (the first time a minute or two: the source is unpacked and prepared, which serves every later patch)\n`,
    );
    const built = spawnSync(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
    if (built.status !== 0) return fail(`klpflow build ended with ${built.status ?? built.signal}`);
    console.log('\n4. A guest boots that very kernel and loads the livepatch');
    return await shown(kernel, module, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writePatch(kernel: Packages, folder: string): string {
  const sources = join(folder, 'sources');
  mkdirSync(sources);
  spawnSync('tar', ['-xf', kernel.source, '-C', sources, '--strip-components=1', '--wildcards', `*/${FILE}`]);
  const before = join(sources, FILE);
  const [after, patch] = [join(folder, 'meminfo.c'), join(folder, 'meminfo.patch')];
  writeFileSync(after, readFileSync(before, 'latin1').replace(OLD, NEW), 'latin1');
  const labels = ['--label', `a/${FILE}`, '--label', `b/${FILE}`];
  writeFileSync(patch, spawnSync('diff', ['-u', ...labels, before, after], { encoding: 'latin1' }).stdout, 'latin1');
  return patch;
}

async function shown({ image }: Packages, module: string, folder: string): Promise<number> {
  const trial = {
    name: 'demo',
    moduleName: 'livepatch_meminfo',
    module: readFileSync(module),
    run: 'grep -i ^memfree /proc/meminfo',
    livepatch: true,
    sites: [],
  };
  const guest = { image, append: '', cpu: 'max', cpus: 2, folder: join(folder, 'boot') };
  const { report, log } = await boot({ ...guest, initramfs: rootOf([trial], { busybox: BUSYBOX }) });
  const told = readReport(report).trials.get('demo');
  for (const [when, text] of [
    ['before', told?.before],
    ['while it is loaded', told?.after],
    ['after it is disabled', told?.restored],
  ])
    console.log(`   ${when!.padEnd(22)}${text ?? '(nothing)'}`);
  const works =
    told?.steps.join() === 'loaded,patched,unpatched,unloaded' &&
    /^MemFree \(new\):/.test(told.after ?? '') &&
    [told.before, told.restored].every((text) => /^MemFree:/.test(text ?? ''));
  return works ? 0 : fail(`the guest did not show that; its last words:\n${log.slice(-2000)}`);
}

function fail(why: string): number {
  console.error(why);
  return 1;
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
