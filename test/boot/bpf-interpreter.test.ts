/**
 * `___bpf_prog_run` of Debian's 6.12 kernel as a livepatch: every BPF instruction that it interprets is a jump through a table of labels.
 * With the kernel's table, which is equal, the first one led into the old body for good, so that the module loaded, was enabled, and
 * patched nothing: only a program that is run tells.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { CORPUS, kernelFiles, skipWithout } from '../support/corpus';
import { BPF_PROG_RUN, REAL_KERNEL, editedObject } from '../support/real-functions';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';
import { boot } from './qemu';
import { complaints, readReport } from './report';
import { initramfs } from './root';
import { IMAGES, missing } from './suite';

const folder = tempFolder();

beforeEach((context) => skipWithout(context, missing(REAL_KERNEL)));

test('a program that the patched ___bpf_prog_run interprets takes the patched mask', async () => {
  const { orig, patched } = editedObject(BPF_PROG_RUN, folder);
  const { symvers, vmlinux, btf, template } = kernelFiles(REAL_KERNEL);
  const out = join(folder, 'livepatch_bpf.ko');
  const inputs = { '--symvers': symvers, '--vmlinux': vmlinux, '--btf': btf, '--template': template };
  const options = { ...inputs, '--run-dir': join(folder, 'run'), '--progress': 'none' };
  const ran = await running(['diff', orig, patched, '-o', out, ...Object.entries(options).flat()]);
  expect(ran.status, ran.stdout + ran.stderr).toBe(0);

  const module = readFileSync(out);
  const moduleName = /\0name=([^\0]+)\0/.exec(module.toString('latin1'))![1]!;
  // The compiled program would never come to the interpreter.
  const run = 'echo 0 >/proc/sys/net/core/bpf_jit_enable; cat /proc/sys/net/core/bpf_jit_enable; /bin/guest bpf';
  const booted = await boot({
    image: join(CORPUS, REAL_KERNEL, IMAGES[REAL_KERNEL]),
    initramfs: initramfs([{ name: 'bpf', moduleName, module, run, livepatch: true, sites: [] }], folder),
    append: '',
    cpu: 'max',
    cpus: 1,
    folder: join(folder, 'boot'),
  });
  const tail = [booted.qemu, booted.log, booted.report].map((text) => text.slice(-6000)).join('\n-----\n');
  const { done, trials } = readReport(booted.report);
  expect({ done, hung: booted.hung }, tail).toEqual({ done: true, hung: false });
  expect(trials.get('bpf'), tail).toMatchObject({
    steps: ['loaded', 'patched', 'unpatched', 'unloaded'],
    before: '0\nreturned 71',
    after: '0\nreturned 10',
    restored: '0\nreturned 71',
  });
  expect(complaints(booted.log)).toEqual([]);
}, 700_000);
