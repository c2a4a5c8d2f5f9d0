/**
 * Patches of Debian's stock kernel, from `klpflow build` to a guest that boots that very kernel: loaded, seen at work, taken back, unloaded. What shows only here:
 * a kernel's own make and tools, an image and modules that somebody else compiled.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { BuildResult } from '../../src/index';
import { unpackModule } from '../../src/kbuild/module-file';
import { moduleBelow } from '../../src/pipeline/module-beside';
import type { Trial } from '../boot/init';
import { boot } from '../boot/qemu';
import { complaints, readReport } from '../boot/report';
import { initramfs } from '../boot/root';
import { skipWithout, stockKernel } from './building';
import { MAIN } from '../support/run-klpflow';

const { folder, sources, kernel, reason, built, patch, edited, unpackSources } = stockKernel();

const trials: Trial[] = [];

/** A build that must work, and what a guest shall show of it. */
function livepatch(
  name: string,
  patches: readonly string[],
  run: string,
  targets: Trial['targets'] = undefined,
  more: readonly string[] = [],
): BuildResult {
  const { status, result, path } = built(name, patches, more);
  expect({
    name,
    status,
    said: result.diagnostics,
    diff: result.diff?.diagnostics.filter(({ severity }) => severity === 'refusal'),
  }).toMatchObject({ name, status: 0 });
  trials.push({
    name,
    moduleName: `livepatch_${name.replaceAll('-', '_')}`,
    module: readFileSync(path),
    run,
    livepatch: true,
    sites: [],
    ...(targets === undefined ? {} : { targets }),
  });
  return result;
}

const MEMINFO = 'grep -i ^buffers /proc/meminfo';
/** A module of one unit that shows what it does. */
const BINFMT = 'mkdir -p /mnt; mount -t binfmt_misc none /mnt && cat /mnt/status; umount /mnt';
const PIPES = 'cat /proc/sys/fs/pipe-max-size';
const LOADAVG = 'sed -n 2p /proc/loadavg; sed -n 2p /proc/loadavg; echo read';
/** Full of WARN, pr_debug and calls that are told their line. */
const MOVED = ['kernel/workqueue.c', 'kernel/module/main.c'];
let binfmt: Buffer;

beforeAll(async () => {
  if (reason !== undefined) return;
  unpackSources([
    'fs/proc/meminfo.c',
    'fs/binfmt_misc.c',
    'arch/x86/entry/vdso/vclock_gettime.c',
    'fs/proc/nommu.c',
    'fs/proc/internal.h',
    'fs/pipe.c',
    'fs/proc/loadavg.c',
    ...MOVED,
  ]);
  const shipped = moduleBelow(join(kernel.root, 'lib/modules', kernel.release, 'kernel'), 'binfmt_misc')!;
  await unpackModule(shipped, join(folder, 'binfmt_misc.ko'));
  binfmt = readFileSync(join(folder, 'binfmt_misc.ko'));
});

const target = (): NonNullable<Trial['targets']> => ({
  modules: [{ name: 'binfmt_misc', content: binfmt }],
  late: false,
  reload: false,
});

test('a text of vmlinux', (context) => {
  skipWithout(context, reason);
  const result = livepatch(
    'text',
    [patch('text', 'fs/proc/meminfo.c', '"Buffers:        "', '"BUFFERS:        "')],
    MEMINFO,
  );
  expect(result.diff!.evidence).toMatchObject({
    release: { name: kernel.release },
    code: { proven: true },
    positions: { proven: true },
    versions: { proven: true },
    layouts: { proven: true },
  });
  expect(result.verification).toMatchObject({ ok: true });
});

test('signed: what the kernel finds at its end does not keep it from being loaded', (context) => {
  skipWithout(context, reason);
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const names = ['-subj', '/CN=klpflow', '-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...names], { stdio: 'pipe' });
  const signing = ['--sign-key', key, '--sign-cert', certificate];
  const result = livepatch('signed', [join(folder, 'text.patch')], MEMINFO, undefined, signing);
  const path = join(folder, 'livepatch-signed.ko');
  const module = readFileSync(path);
  expect(module.subarray(-28).toString()).toBe('~Module signature appended~\n');
  expect(result.output).toMatchObject({
    bytes: module.length,
    sha256: createHash('sha256').update(module).digest('hex'),
  });
  expect(result.evidence).toContainEqual(expect.objectContaining({ what: 'signature', proven: false }));
  execFileSync(process.execPath, [MAIN, 'verify', path, '--vmlinux', kernel.image], { stdio: 'pipe' });
});

test('a text of a module, proven against its file', (context) => {
  skipWithout(context, reason);
  const result = livepatch(
    'module',
    [patch('module', 'fs/binfmt_misc.c', '"enabled\\n"', '"ENABLED\\n"')],
    BINFMT,
    target(),
  );
  expect(result.diff!.objects.map(({ name }) => name)).toEqual(['binfmt_misc']);
  expect(result.diff!.evidence).toMatchObject({
    code: { proven: true, by: expect.stringContaining('binfmt_misc.ko') },
  });
});

test('both in one livepatch', (context) => {
  skipWithout(context, reason);
  const patches = ['text', 'module'].map((name) => join(folder, `${name}.patch`));
  const result = livepatch('both', patches, `${MEMINFO}; ${BINFMT}`, target());
  expect(result.diff!.objects.map(({ name }) => name)).toEqual(['vmlinux', 'binfmt_misc']);
});

test('a new variable of vmlinux that only a module of the same patch uses', (context) => {
  skipWithout(context, reason);
  const patches = [
    edited('status', 'fs/proc/meminfo.c', (text) =>
      text
        .replace('#include <linux/fs.h>', '$&\n#include <linux/export.h>')
        .replace(
          'static int meminfo_proc_show',
          'char shared_status[] = "SHARED\\n";\nEXPORT_SYMBOL_GPL(shared_status);\n\n$&',
        ),
    ),
    edited('reader', 'fs/binfmt_misc.c', (text) =>
      text
        .replace('"enabled\\n"', 'shared_status')
        .replace('#include <linux/fs.h>', '$&\nextern char shared_status[];'),
    ),
  ];
  const result = livepatch('shared', patches, BINFMT, target());
  // The premise: no function of vmlinux is another.
  expect(result.diff!.objects.map(({ name, functions }) => [name, functions.changed.length])).toEqual([
    ['vmlinux', 0],
    ['binfmt_misc', expect.any(Number)],
  ]);
});

test('a header: units that include it are compiled, those whose code changes are patched', (context) => {
  skipWithout(context, reason);
  const header = patch('header', 'fs/proc/internal.h', 'PROC_NUMBUF 13', 'PROC_NUMBUF 21');
  const result = livepatch(
    'header',
    [header],
    'ls -1 /sys/kernel/livepatch/*/vmlinux 2>/dev/null; echo 10 >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj',
  );
  expect(result.units.length).toBeGreaterThan(10);
  expect(result.units.filter(({ changed }) => changed).map(({ source }) => source)).toEqual(
    expect.arrayContaining(['fs/proc/base.c', 'fs/proc/task_mmu.c']),
  );
  expect(result.diff!.objects[0]!.functions.changed.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['oom_score_adj_write', 'clear_refs_write']),
  );
});

/** docs/commands.md has both of these. */
test('a variable is given another value by callbacks, and the old one back', (context) => {
  skipWithout(context, reason);
  const pipes = edited('pipes', 'fs/pipe.c', (text) =>
    text
      .replace('#include <linux/mm.h>', '$&\n#include <linux/livepatch_helpers.h>')
      .replace('if (size > (1U << 31))', 'if (size > (1U << 30))')
      .replace(
        'unsigned int round_pipe_size',
        [
          'static int larger_pipes(struct klp_object *obj)',
          '{',
          '\tpipe_max_size = 2097152;',
          '\treturn 0;',
          '}',
          'KLP_PRE_PATCH_CALLBACK(larger_pipes);',
          '',
          'static void pipes_as_before(struct klp_object *obj)',
          '{',
          '\tpipe_max_size = 1048576;',
          '}',
          'KLP_POST_UNPATCH_CALLBACK(pipes_as_before);',
          '',
          '$&',
        ].join('\n'),
      ),
  );
  livepatch('pipes', [pipes], PIPES);
});

test('a struct grows by a shadow variable', (context) => {
  skipWithout(context, reason);
  const reads = edited('reads', 'fs/proc/loadavg.c', (text) =>
    text
      .replace('#include <linux/fs.h>', '$&\n#include <linux/livepatch_helpers.h>')
      .replace('static int loadavg_proc_show', '#define READS 1\n\n$&')
      .replace('unsigned long avnrun[3];', '$&\n\tint *reads;')
      .replace(
        '\treturn 0;\n',
        [
          '\treads = klp_shadow_get_or_alloc(task_active_pid_ns(current), READS, sizeof(*reads),',
          '\t\t\t\t\tGFP_KERNEL, NULL, NULL);',
          '\tif (reads)',
          '\t\tseq_printf(m, "read %d times\\n", ++*reads);',
          '$&',
        ].join('\n'),
      )
      .replace(
        'static int __init proc_loadavg_init',
        [
          'static void forget_reads(struct klp_object *obj)',
          '{',
          '\tklp_shadow_free_all(READS, NULL);',
          '}',
          'KLP_POST_UNPATCH_CALLBACK(forget_reads);',
          '',
          '$&',
        ].join('\n'),
      ),
  );
  livepatch('reads', [reads], LOADAVG);
});

test('refused: code of the vDSO, and a file that this kernel leaves out', (context) => {
  skipWithout(context, reason);
  const vdso = patch(
    'vdso',
    'arch/x86/entry/vdso/vclock_gettime.c',
    '#include <linux/time.h>',
    '#include <linux/timex.h>',
  );
  expect(built('vdso', [vdso])).toMatchObject({
    status: 2,
    result: { diagnostics: [{ code: 'unit-not-patchable' }], output: null },
  });
  const left = patch('left', 'fs/proc/nommu.c', '#include <linux/init.h>', '#include <linux/cache.h>');
  expect(built('left', [left])).toMatchObject({
    status: 2,
    result: { diagnostics: [{ code: 'unit-not-built' }], output: null },
  });
});

test('lines that move change nothing, in files full of WARN and dynamic debug', (context) => {
  skipWithout(context, reason);
  const moved = MOVED.map((file, i) => edited(`moved-${i}`, file, (text) => `\n\n\n${text}`));
  for (const file of MOVED) expect(readFileSync(join(sources, file), 'latin1')).toMatch(/\bWARN[^]*\bpr_debug/);
  const { status, result } = built('moved', moved);
  expect({ status, verdict: result.verdict }).toEqual({ status: 3, verdict: 'unchanged' });
  // Not because the compiler made the same of both.
  expect(result.units.map(({ source, changed }) => [source, changed])).toEqual(MOVED.map((file) => [file, true]));
  expect(result.diff!.objects[0]!.functions.ignored.length).toBeGreaterThan(10);
});

test('a second patch compiles what it touches, in seconds', (context) => {
  skipWithout(context, reason);
  const { result } = built('second', [
    patch('second', 'fs/proc/meminfo.c', '"MemFree:        "', '"MEMFREE:        "'),
  ]);
  expect(result.verdict).toBe('patchable');
  expect(result.run.seconds).toBeLessThan(60);
});

test('each is loaded, works, is taken back and unloaded', { timeout: 600_000 }, async (context) => {
  skipWithout(context, reason);
  expect(trials.map(({ name }) => name)).toEqual(expect.arrayContaining(['text', 'module', 'both']));
  const {
    log,
    report: told,
    hung,
  } = await boot({
    image: kernel.image,
    initramfs: initramfs(trials, folder),
    append: '',
    cpu: 'max',
    cpus: 2,
    folder: join(folder, 'boot'),
  });
  const report = readReport(told);
  expect({ done: report.done, hung, release: report.release }, log.slice(-6000)).toEqual({
    done: true,
    hung: false,
    release: kernel.release,
  });
  for (const { name, targets } of trials) {
    const { steps, before, after, restored } = report.trials.get(name)!;
    const [come, left] = targets === undefined ? [[], []] : [['come'], ['left']];
    expect({ name, steps }, log.slice(-6000)).toEqual({
      name,
      steps: [...come, 'loaded', 'patched', 'unpatched', 'unloaded', ...left],
    });
    expect({ name, restored }).toEqual({ name, restored: before });
    const texts = {
      text: [/^Buffers:/m, /^BUFFERS:/m],
      signed: [/^Buffers:/m, /^BUFFERS:/m],
      module: [/^enabled$/m, /^ENABLED$/m],
      shared: [/^enabled$/m, /^SHARED$/m],
    };
    if (name === 'pipes') expect([before, after]).toEqual(['1048576', '2097152']);
    if (name === 'reads') expect([before, after]).toEqual(['read', 'read 1 times\nread 2 times\nread']);
    if (name === 'header') expect(after).toMatch(/^oom_score_adj_write,\d+$/m);
    for (const [part, [was, is]] of Object.entries(texts)) {
      if (name !== part && (name !== 'both' || !['text', 'module'].includes(part))) continue;
      expect({ name, before }).toEqual({ name, before: expect.stringMatching(was!) });
      expect({ name, after }).toEqual({ name, after: expect.stringMatching(is!) });
    }
  }
  expect(complaints(log)).toEqual([]);
  expect(existsSync(join(folder, 'livepatch-text.ko'))).toBe(true);
});
