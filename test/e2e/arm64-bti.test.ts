/**
 * An arm64 kernel with BTI and ftrace by CALL_OPS, built here with Clang. An indirect branch there must find a landing pad, and the module loader calls what is far away by one. A static
 * function whose address nobody takes may have none: Clang 19 gives each one, older ones do not, so one function is compiled as those would. A livepatch that left its call to the loader
 * oopses, and only where KASLR puts it far from the kernel. Nightly: KLPFLOW_E2E_BTI names a tarball (linux-source-7.3.tar.xz), KLPFLOW_E2E_BTI_LLVM the Clang (`-19`: 7.3 turns BTI off for
 * 21 and later).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { MACHINES, boot } from '../boot/qemu';
import { complaints, readReport } from '../boot/report';
import { rootOf } from '../boot/root';
import { MAIN } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';
import { expectWorking, trialOf, type SmallTrial } from './small-trials';
import { smallTree, type SmallTree } from './small-tree';

const BUSYBOX = process.env['KLPFLOW_BUSYBOX_ARM64'] ?? '/usr/local/share/klpflow/busybox-arm64';
const VARIABLES = ['ARCH=arm64', `LLVM=${process.env['KLPFLOW_E2E_BTI_LLVM'] ?? '-19'}`];
const BTI = ['ARM64_PTR_AUTH', 'ARM64_PTR_AUTH_KERNEL', 'ARM64_BTI', 'ARM64_BTI_KERNEL'];
const OTHERS = ['ARM64_LSE_ATOMICS', 'ARM64_USE_LSE_ATOMICS', 'ARM64_VHE', 'STACKPROTECTOR', 'STACKPROTECTOR_STRONG'];
const UNIT = 'fs/proc/task_mmu.c';
/** Compiled without a landing pad. */
const BARE = 'show_vma_header_prefix';
/** `ret x16` and `br x16`. */
const [RET_X16, BR_X16] = [Buffer.from('00025fd6', 'hex'), Buffer.from('00021fd6', 'hex')];

const folder = tempFolder();
const found = existsSync(BUSYBOX)
  ? smallTree({
      name: 'arm64-bti',
      machine: 'arm64',
      tarball: process.env['KLPFLOW_E2E_BTI'],
      edit: (tree) => {
        const source = join(tree, UNIT);
        const attribute = '__attribute__((target("branch-protection=pac-ret")))';
        writeFileSync(source, readFileSync(source, 'utf8').replace(`static void ${BARE}(`, `${attribute} $&`));
      },
      options: [...BTI, ...OTHERS].map((name) => `CONFIG_${name}=y`),
      variables: [...VARIABLES, 'KCFLAGS=-ffunction-sections -fdata-sections'],
    })
  : `there is no ${BUSYBOX}`;
const tree = found as SmallTree;
const skipWithout = (context: TestContext): void => void (typeof found === 'string' && context.skip(found));
const [orig, patched, module] = ['orig.o', 'patched.o', 'livepatch-stack.ko'].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];
let trial: SmallTrial;

/** Both builds of vmlinux.o, in one tree: its paths stand in the objects. */
function buildBoth(): void {
  const make = (): void => {
    const words = ['-s', ...VARIABLES, 'KCFLAGS=-ffunction-sections -fdata-sections', 'vmlinux_o'];
    execFileSync('make', words, { cwd: tree.folder, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 });
  };
  copyFileSync(join(tree.folder, 'vmlinux.o'), orig);
  const source = join(tree.folder, UNIT);
  const text = readFileSync(source, 'utf8');
  writeFileSync(source, text.replace('"[stack]"', '"[STACK]"'));
  try {
    make();
    copyFileSync(join(tree.folder, 'vmlinux.o'), patched);
  } finally {
    writeFileSync(source, text);
    make();
  }
}

async function booted(
  trials: readonly SmallTrial[],
  append: string,
  name: string,
): Promise<Awaited<ReturnType<typeof boot>>> {
  return boot({
    image: tree.image,
    initramfs: rootOf(trials, { busybox: BUSYBOX, report: MACHINES.arm64.report }),
    append,
    cpu: 'max,pauth-impdef=on',
    cpus: 2,
    folder: join(folder, name),
    machine: 'arm64',
  });
}

beforeAll(() => {
  if (typeof found === 'string') return;
  buildBoth();
  const ran = spawnSync(
    process.execPath,
    [
      ...[MAIN, 'diff', orig, patched, '-o', module, '--vmlinux', join(tree.folder, 'vmlinux'), '--progress', 'none'],
      ...['--symvers', join(tree.folder, 'Module.symvers'), '--template', join(tree.folder, 'fs/binfmt_misc.ko')],
      ...['--run-dir', join(folder, 'run')],
    ],
    { encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  expect(ran.status, ran.stdout + ran.stderr).toBe(0);
  trial = trialOf('stack', module, ['stack'], tree);
});

test('the kernel is one with BTI whose functions ftrace calls by CALL_OPS', (context) => {
  skipWithout(context);
  const config = readFileSync(join(tree.folder, '.config'), 'utf8');
  for (const name of ['ARM64_BTI_KERNEL', 'DYNAMIC_FTRACE_WITH_CALL_OPS']) expect(config).toContain(`CONFIG_${name}=y`);
});

test('a static function without a landing pad is called by a veneer that needs none', (context) => {
  skipWithout(context);
  const bytes = readFileSync(module);
  expect(bytes.includes(`__klp_veneer_${BARE}`)).toBe(true);
  expect(bytes.includes(RET_X16)).toBe(true);
});

describe.each([
  { name: 'KASLR', append: '', far: true },
  { name: 'nokaslr', append: 'nokaslr', far: false },
])('$name', ({ name, append, far }) => {
  test('the livepatch loads, takes effect, is taken back and unloaded', async (context) => {
    skipWithout(context);
    const { log, report } = await booted([trial], append, `boot-${name}`);
    expect(log).toContain('Branch Target Identification');
    const pages = Number(/(\d+) pages in range for non-PLT usage/.exec(log)?.[1]);
    expect(pages > 0).toBe(!far);
    expectWorking([trial], { report: readReport(report), log });
    expect(complaints(log)).toEqual([]);
  });
});

test('the kernel does check: with a branch in the place of the return, it oopses', async (context) => {
  skipWithout(context);
  const wrong = Buffer.from(readFileSync(module));
  for (let at = wrong.indexOf(RET_X16); at >= 0; at = wrong.indexOf(RET_X16, at + 4)) BR_X16.copy(wrong, at);
  const { log } = await booted([{ ...trial, module: wrong }], '', 'boot-wrong');
  expect(log).toMatch(/Oops - BTI/);
});
