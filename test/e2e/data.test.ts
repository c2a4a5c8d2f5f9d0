/**
 * `--set-data` on Debian's stock kernel: a table and a variable in use get the patch's values while the livepatch is there, and have the old ones when it is gone;
 * a livepatch that replaces this one takes over what it set; where the value is another by now, nothing goes in. What shows only here: the kernel's order of callbacks.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { Trial } from '../boot/init';
import { boot } from '../boot/qemu';
import { complaints, readReport } from '../boot/report';
import { initramfs } from '../boot/root';
import { skipWithout, stockKernel, type Built } from './building';

const { folder, kernel, reason, built, patch, edited, unpackSources } = stockKernel();

beforeAll(() => {
  if (reason === undefined) unpackSources(['fs/pipe.c', 'fs/proc/meminfo.c']);
});

/** The size, the mode of one entry, the function of another: it shows pages as the time of so many jiffies. */
const pipes = (text: string): string => {
  const [before, hard, soft] = text.split(/(?="pipe-user-pages-(?:hard|soft)",)/);
  return [
    before!.replace('pipe_max_size = 1048576', 'pipe_max_size = 2097152'),
    hard!.replace('0644', '0600'),
    soft!.replace('proc_doulongvec_minmax', 'proc_doulongvec_ms_jiffies_minmax'),
  ].join('');
};
const SET = ['--set-data', 'fs_pipe_sysctls', '--set-data', 'pipe_max_size'];
const VALUES = 'cat /proc/sys/fs/pipe-max-size /proc/sys/fs/pipe-user-pages-soft';

function written({ status, result, path }: Built, name: string, run: string): Trial {
  expect({ status, said: result.diagnostics, diff: result.diff?.diagnostics }).toMatchObject({ status: 0 });
  const moduleName = `livepatch_${name}`;
  return { name, moduleName, module: readFileSync(path), run, livepatch: true, sites: [] };
}

test('set, put back, taken over, and kept out', { timeout: 600_000 }, async (context) => {
  skipWithout(context, reason);
  const table = edited('data', 'fs/pipe.c', pipes);
  const data = built('data', [table], SET);
  expect(data.result.diagnostics.map(({ code }) => code)).toEqual(['data-set', 'data-set']);
  expect(data.result.diagnostics[0]!.message).toMatch(
    /\+0x48 .*; \+0x88 \(8 bytes\) proc_doulongvec_minmax -> proc_doulongvec_ms_jiffies_minmax$/,
  );
  const text = patch('text', 'fs/proc/meminfo.c', '"Buffers:        "', '"BUFFERS:        "');
  const both = built('replaced', [table, text], [...SET, '--since', data.path]);
  expect(both.result.since).toMatchObject({ module: 'livepatch_data', dropped: [], data: [], mayReplace: true });
  // The kernel calls no callbacks of a livepatch that is replaced.
  const without = built('without', [text], ['--since', data.path]);
  expect(without.result.since!.data).toEqual(['fs_pipe_sysctls+0x48', 'fs_pipe_sysctls+0x88', 'pipe_max_size+0x0']);
  const back = built('back', [table], [...SET, '--since', both.path]);
  expect(back.result.since).toMatchObject({ dropped: [{ object: 'vmlinux', name: 'meminfo_proc_show' }] });
  // The first livepatch is there before the second comes, and can be unloaded once that is in.
  const first = [
    `if [ -e /sys/module/livepatch_replaced ]; then rmmod livepatch_data 2>/dev/null`,
    `else insmod /trial/data.ko; while [ "$(cat /sys/kernel/livepatch/livepatch_data/transition)" != 0 ]; do sleep 0.1; done; fi`,
  ].join('\n');
  const trials = [
    written(data, 'data', VALUES),
    written(both, 'replaced', `${first}\n${VALUES}\nls /sys/kernel/livepatch`),
    { ...written(data, 'busy', `echo 65536 >/proc/sys/fs/pipe-max-size; ${VALUES}`), moduleName: 'livepatch_data' },
  ];
  const { log, report, hung } = await boot({
    image: kernel.image,
    initramfs: initramfs(trials, folder),
    append: '',
    cpu: 'max',
    cpus: 2,
    folder: join(folder, 'boot'),
  });
  const told = readReport(report);
  expect({ done: told.done, hung }, log.slice(-6000)).toEqual({ done: true, hung: false });
  const [old, set] = [
    ['1048576', '16384'],
    ['2097152', '65536'],
  ].map((lines) => lines.join('\n'));
  const loaded = ['loaded', 'patched', 'unpatched', 'unloaded'];
  expect(told.trials.get('data'), log.slice(-6000)).toMatchObject({
    steps: loaded,
    before: old,
    after: set,
    restored: old,
  });
  expect(told.trials.get('replaced'), log.slice(-6000)).toMatchObject({
    steps: loaded,
    before: `${set}\nlivepatch_data`,
    after: `${set}\nlivepatch_replaced`,
    restored: old,
  });
  const busy = told.trials.get('busy')!;
  expect(busy.steps[0]).toMatch(/^refused/);
  expect(busy.restored).toBe(busy.before);
  expect(log).toMatch(/pipe_max_size.* does not hold the value that the livepatch changes/);
  // That one is kept out, the kernel says loudly.
  const kept = /^busy: .*livepatch: (?:pre-patch callback failed|failed to enable patch)/;
  expect(complaints(log).filter((line) => !kept.test(line))).toEqual([]);
});
