/**
 * Single units of many kernels on five architectures: kpatch's public unit-test objects, with what kpatch's own tool says
 * of them. `diff` speaks another dialect, so some answers differ; each difference is listed here with its reason, and a
 * pair that comes to agree, or ceases to, fails.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { CORPUS, skipWithout, unavailable } from '../support/corpus';
import { EXIT_CODES, klpflow, resultOf } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const runs = tempFolder();

/** One pair in `expected.json`: what kpatch's tool did. */
interface Unit {
  patched: string;
  exit: number;
  /** Any refusal will do. */
  mustFail?: boolean;
  changed: string[];
  new: string[];
}

/** How many pairs there are: none may be lost unseen. */
const PAIRS = { aarch64: 5, loongarch64: 4, ppc64le: 20, s390x: 15, x86_64: 36 };

const INIT = 'kpatch fails on the changed section and names no function of it';
const PART = 'kpatch counts a .part function to its parent and does not list it';

/** Functions that klpflow lists (+) or does not list (-), other than kpatch. What is no difference of dialects says `defect`. */
const LISTED_OTHERWISE: Record<string, { changed?: string; new?: string; why: string }> = {
  'ppc64le/meminfo-init2': { changed: '+proc_meminfo_init', why: INIT },
  's390x/gcc-static-local-var-5': { changed: '+audit_log_start.part.0', new: '+audit_log_end.part.0', why: PART },
  'x86_64/data-read-mostly': {
    changed: '+dev_queue_xmit_nit',
    why: 'this PATCHED holds three more __jump_table entries for it, each with its site as target; kpatch compares no entries',
  },
  'x86_64/ignore-missing-ftracehook-issue-1091': {
    changed: '+blk_trace_remove',
    why: 'KPATCH_IGNORE_FUNCTION belongs to the kpatch dialect',
  },
  'x86_64/meminfo-init': { changed: '+proc_meminfo_init', why: INIT },
  'x86_64/meminfo-init2': { changed: '+proc_meminfo_init', why: INIT },
  'x86_64/static-local-moved-subfunction-issue-1054': { new: '+audit_log_end.part.17', why: PART },
};

/** What klpflow refuses and why kpatch does not, unless it does too. */
const REFUSED: Record<string, { why: string; pairs: string[] }> = {
  'init-change': {
    why: 'kpatch refuses these too',
    pairs: ['ppc64le/meminfo-init2', 'x86_64/meminfo-init', 'x86_64/meminfo-init2'],
  },
  'not-traceable': {
    why: 'blk_trace_remove has no ftrace site; KPATCH_IGNORE_FUNCTION belongs to the kpatch dialect',
    pairs: ['x86_64/ignore-missing-ftracehook-issue-1091'],
  },
  'changed-data': {
    why: 'KPATCH_IGNORE_SECTION belongs to the kpatch dialect',
    pairs: ['aarch64/syscall'],
  },
};

describe.each(Object.entries(PAIRS))('%s', (arch, count) => {
  const folder = join(CORPUS, 'kpatch-unit', arch);
  const missing = unavailable(join('kpatch-unit', arch), false);
  const units = existsSync(folder)
    ? (JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<string, Unit>)
    : {};
  beforeEach((context) => skipWithout(context, missing && `${count} pairs: ${missing}`));

  // Guards against pairs that are no longer run, and against reasons that no longer have a pair.
  test(`${count} pairs, and every listed difference is about one of them`, () => {
    expect(Object.keys(units).length).toBe(count);
    const listed = [...Object.keys(LISTED_OTHERWISE), ...Object.values(REFUSED).flatMap(({ pairs }) => pairs)].filter(
      (pair) => pair.startsWith(`${arch}/`),
    );
    expect(listed.filter((pair) => !(pair.slice(arch.length + 1) in units))).toEqual([]);
  });

  // Guards against a change that is missed on one architecture, and against a unit that ends klpflow.
  test.each(Object.keys(units))(
    "%s: changed and new functions, refusals and verdict are kpatch's, or the listed others",
    async (name) => {
      const unit = units[name]!;
      const pair = `${arch}/${name}`;
      const ran = await klpflow([
        'diff',
        join(folder, `${name}.ORIG.o`),
        join(folder, unit.patched),
        '--run-dir',
        join(runs, arch),
        '--json',
        '--progress',
        'none',
      ]);
      const { schema, verdict, objects, diagnostics } = resultOf(ran);
      expect({ schema, stderr: ran.stderr }).toEqual({ schema: 'klpflow/diff@1', stderr: '' });

      const { changed, new: added } = objects[0]!.functions;
      const { why, ...differs } = LISTED_OTHERWISE[pair] ?? { why: '' };
      expect({ changed: differences(unit.changed, changed), new: differences(unit.new, added) }).toEqual({
        changed: '',
        new: '',
        ...differs,
      });

      const refusals = Object.keys(REFUSED)
        .filter((code) => REFUSED[code]!.pairs.includes(pair))
        .sort();
      const found = new Set<string>(
        diagnostics.filter(({ severity }) => severity === 'refusal' || severity === 'error').map(({ code }) => code),
      );
      expect([...found].sort()).toEqual(refusals);
      // Without a refusal the verdict follows from the lists above: kpatch's exit code 3 says that both are empty.
      if (unit.mustFail !== true) expect(unit.exit).toBe(unit.changed.length + unit.new.length > 0 ? 0 : 3);
      expect(verdict).toBe(
        refusals.length > 0 ? 'refused' : changed.length + added.length > 0 ? 'patchable' : 'unchanged',
      );
      if (unit.mustFail === true) expect(verdict).not.toBe('patchable');
      expect(ran.status).toBe(EXIT_CODES[verdict]);
    },
  );
});

function differences(expected: readonly string[], got: ReadonlyArray<{ name: string }>): string {
  const names = got.map(({ name }) => name);
  const more = names.filter((name) => !expected.includes(name)).map((name) => `+${name}`);
  const less = expected.filter((name) => !names.includes(name)).map((name) => `-${name}`);
  return [...more.sort(), ...less.sort()].join(' ');
}
