/**
 * Livepatches of an arm64 kernel in that kernel. With KASLR, QEMU's default there, modules lie too far from the kernel for a branch, so that every call goes
 * through what the module loader builds in `.plt`; without it calls are direct. What a wrong module does otherwise shows only here: a late branch oopses, a
 * hash that is missing stops the first indirect call, an ftrace entry beside its place turns ftrace off.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ARM64, CORPUS, expectedOf, skipWithout, unavailable, type BootExpected } from '../support/corpus';
import { tempFolder } from '../support/temp-folder';
import type { Trial } from './init';
import { MACHINES, boot, type Booted } from './qemu';
import { complaints, readReport, type Report } from './report';
import { rootOf } from './root';
import {
  IMAGES,
  livepatches,
  patchablePairs,
  expectEnd,
  stepsOf,
  templateTrial,
  unexpected,
  withoutReload,
} from './suite';

/** Debian's busybox-static for arm64: `.ci/run` puts it there. */
const BUSYBOX = process.env['KLPFLOW_BUSYBOX_ARM64'] ?? '/usr/local/share/klpflow/busybox-arm64';

function missing(): string | undefined {
  const absent = unavailable(ARM64, true);
  if (absent !== undefined) return absent;
  if (spawnSync('qemu-system-aarch64', ['--version']).error !== undefined)
    return 'there is no qemu-system-aarch64 here (Debian package qemu-system-arm)';
  return existsSync(BUSYBOX)
    ? undefined
    : `there is no ${BUSYBOX} here (bin/busybox of Debian package busybox-static:arm64; KLPFLOW_BUSYBOX_ARM64 names another place)`;
}

/**
 * What else shows a pair. The patched system call says that the log has room for 64 bytes: busybox then reads the last 16 KiB of it, not all.
 */
const SHOWN: Readonly<Record<string, Partial<BootExpected>>> = {
  'switch-case': { before: '^(1[7-9]|[2-9][0-9])[0-9]{3}$', after: '^1[0-6][0-9]{3}$' },
};
const shownBy = (pair: string): BootExpected => ({ ...expectedOf(ARM64, pair).boot!, ...SHOWN[pair] });

const folder = tempFolder();
const reason = missing();
beforeEach((context) => {
  // Out of another architecture's archive, which not every machine reaches: no failure of this one.
  if (reason?.includes(BUSYBOX)) context.skip(reason);
  skipWithout(context, reason);
});
const pairs = reason === undefined ? patchablePairs(ARM64) : [];
let trials: Trial[] = [];
let unmade = new Map<string, string>();

beforeAll(async () => {
  if (reason !== undefined) return;
  const made = await livepatches(ARM64, pairs, folder);
  trials = [templateTrial(ARM64, folder), ...made.trials].map((trial) => ({ ...trial, sites: [] }));
  unmade = made.unmade;
}, 400_000);

test('every patchable pair gives a module', () => {
  expect(pairs.length).toBeGreaterThan(7);
  expect([...unmade]).toEqual([]);
});

describe.each([
  { name: 'KASLR', append: '', cpu: 'max,pauth-impdef=on', cpus: 2, far: true, reload: true },
  { name: 'nokaslr', append: 'nokaslr', cpu: 'cortex-a53', cpus: 1, far: false, reload: false },
])('$name', ({ append, cpu, cpus, far, reload }) => {
  let booted: Booted;
  let report: Report;

  beforeAll(async () => {
    if (reason !== undefined) return;
    booted = await boot({
      image: join(CORPUS, ARM64, IMAGES[ARM64]),
      initramfs: rootOf(
        trials.map((trial) => (reload ? trial : withoutReload(trial))),
        { busybox: BUSYBOX, report: MACHINES.arm64.report },
      ),
      append,
      cpu,
      cpus,
      folder: join(folder, `boot-${append}`),
      machine: 'arm64',
    });
    report = readReport(booted.report);
  }, 400_000);

  test('the guest comes to its end', () => {
    expectEnd(booted, report, trials);
  });

  test('calls of the kernel are as far as the variant says', () => {
    // A run with pages near the kernel says nothing of branches that have to be bridged.
    const pages = Number(/(\d+) pages in range for non-PLT usage/.exec(booted.log)?.[1]);
    expect(pages > 0).toBe(!far);
  });

  test('the kernel has nothing to say against the modules', () => {
    expect(booted.log).toContain('klpflow trial');
    expect(complaints(booted.log)).toEqual([]);
  });

  describe.each(pairs.length === 0 ? ['none'] : pairs)('%s', (pair) => {
    test('patches, is taken back and unloaded', () => {
      const trial = report.trials.get(pair);
      const said = booted.log.replaceAll('\r', '').split(`klpflow trial ${pair}\n`)[1]?.split('klpflow trial')[0] ?? '';
      expect(trial?.steps, said).toEqual(stepsOf(ARM64, pair, reload));
      expect(unexpected(shownBy(pair), trial!), said).toEqual([]);
    });
  });
});
