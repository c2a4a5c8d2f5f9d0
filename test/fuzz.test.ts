/**
 * Damaged input of every kind, thousands of times. What this guards against are the ends that nobody wants from a file that somebody
 * else made: a crash, an error that calls itself a bug of klpflow, an endless loop, memory without bound, a read past the end of a table.
 *
 * The same mutants every time. `KLPFLOW_FUZZ_COUNT=200000` makes more; `KLPFLOW_FUZZ_SEED=unit:1234` makes one again (with a count, as
 * many from there on).
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { bundle, options, root } from '../scripts/bundle.mjs';
import { CORPUS, skipWithout, unavailable, unpack } from './support/corpus';
import { inlinePool } from './support/inline-plugin';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const BUNDLE = join(root, `dist/fuzz-${process.pid}`);
const MAIN = join(BUNDLE, 'main.js');
const UNITS = join(CORPUS, 'kpatch-unit');

/** A mutant that keeps a processor busy for so long hangs; so does one that keeps none busy. */
const HANGS_CPU_SECONDS = 30;
const HANGS_SECONDS = 300;
/** Forty times what the largest unit takes. */
const MOST_BYTES = 2 ** 31;

interface Plan {
  /** Mutants, of 26,000 in all. */
  count: number;
  /** What some of them must end in: otherwise the damage was too much, or too little, to prove anything. */
  ends: string[];
}

const PLANS: Record<string, Plan> = {
  unit: { count: 6000, ends: ['malformed-elf', 'extracted', 'refused', 'module-with-findings'] },
  kpatch: { count: 1500, ends: ['malformed-elf', 'exit-0', 'exit-1', 'exit-2'] },
  object: { count: 2500, ends: ['malformed-elf', 'read'] },
  link: { count: 2500, ends: ['malformed-elf', 'not-klpflow-object', 'refused', 'module-with-findings'] },
  verify: { count: 2000, ends: ['malformed-elf', 'findings', 'ok'] },
  module: {
    count: 2200,
    ends: ['malformed-elf', 'made', 'finished', 'template', 'malformed-kpatch-object', 'not-a-module'],
  },
  text: {
    count: 2500,
    ends: [
      'malformed-symvers',
      'malformed-symbol-list',
      'unusable-listing',
      'symvers',
      'listing',
      'parent',
      'verified',
    ],
  },
  types: { count: 1500, ends: ['malformed-elf', 'no-btf', 'types', 'verified'] },
  image: { count: 1000, ends: ['malformed-elf', 'unusable-listing', 'the-kernel', 'another-kernel'] },
  vmlinuz: { count: 2000, ends: ['malformed-elf', 'malformed-image', 'unusable-image', 'read'] },
  shipped: {
    count: 2000,
    ends: ['malformed-elf', 'malformed-image', 'not-a-module', 'the-module', 'another'],
  },
  record: { count: 300, ends: ['right'] },
};
const ALL = Object.values(PLANS).reduce((sum, { count }) => sum + count, 0);

const [onlySubject, onlySeed] = (process.env['KLPFLOW_FUZZ_SEED'] ?? '').split(':');
const wanted = process.env['KLPFLOW_FUZZ_COUNT'];

beforeAll(async () => {
  await bundle('test/support/fuzz/main.ts', MAIN, { plugins: [inlinePool, ...options.plugins] });
});
afterAll(() => rmSync(BUNDLE, { recursive: true, force: true }));

interface Fuzzed {
  /** Mutants by how they ended. */
  outcomes: Record<string, number>;
  failures: string[];
}

/** Runs mutants in a process of their own, which is ended where it hangs or grows. What ends it is the failure of the seed under way. */
async function fuzz(
  subject: string,
  first: number,
  count: number,
  { corpus = UNITS, guard = false, mostBytes = MOST_BYTES } = {},
): Promise<Fuzzed> {
  const scratch = join(folder, `${subject}${guard ? '-guarded' : ''}`);
  mkdirSync(scratch, { recursive: true });
  const child = spawn(
    process.execPath,
    [
      `--max-old-space-size=${Math.floor(mostBytes / 2 ** 21)}`,
      MAIN,
      scratch,
      corpus,
      subject,
      String(first),
      String(count),
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, KLPFLOW_FUZZ_GUARD: guard ? '1' : '0' },
    },
  );
  let [stdout, stderr, ended] = ['', '', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  let since = { seed: '', cpu: 0, at: Date.now() };
  const watchdog = setInterval(() => {
    const seed = seedOf(scratch);
    const { cpu, bytes } = usageOf(child.pid!);
    if (seed !== since.seed) since = { seed, cpu, at: Date.now() };
    if (cpu - since.cpu > HANGS_CPU_SECONDS || Date.now() - since.at > HANGS_SECONDS * 1000) ended = 'hangs';
    if (bytes > mostBytes) ended = `takes ${bytes} bytes`;
    if (ended !== '') child.kill('SIGKILL');
  }, 250);
  const status = await new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  clearInterval(watchdog);
  const lines = stdout
    .split('\n')
    .flatMap((line) =>
      line === ''
        ? []
        : [JSON.parse(line) as { seed?: string; done?: string[]; outcome?: string; outcomes?: Record<string, number> }],
    );
  const failures = lines
    .filter(({ seed }) => seed !== undefined)
    .map(
      ({ seed, done, outcome }) =>
        `KLPFLOW_FUZZ_SEED=${seed} npx vitest run test/fuzz.test.ts\n  ${done!.join('; ')}\n  ${outcome}`,
    );
  const outcomes = lines.at(-1)?.outcomes;
  if (outcomes === undefined)
    failures.push(
      `KLPFLOW_FUZZ_SEED=${subject}:${seedOf(scratch)} npx vitest run test/fuzz.test.ts\n  the process ended with ${String(status)}${ended === '' ? '' : `: it ${ended}`}\n  ${stderr.slice(-2000)}`,
    );
  return { outcomes: outcomes ?? {}, failures };
}

function seedOf(scratch: string): string {
  try {
    return readFileSync(join(scratch, 'seed'), 'latin1').trim();
  } catch {
    return '';
  }
}

/** Processor seconds and resident bytes of a process; zeros once it is gone. */
function usageOf(pid: number): { cpu: number; bytes: number } {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ');
    // Clock ticks are 10 ms and pages 4 KiB on every Linux that runs Node on x86-64.
    return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, bytes: Number(fields[21]) * 4096 };
  } catch {
    return { cpu: 0, bytes: 0 };
  }
}

const total = ({ outcomes }: Fuzzed): number => Object.values(outcomes).reduce((sum, number) => sum + number, 0);

function onlyOneIsWanted(context: TestContext, subject: string): void {
  if (onlySubject !== undefined && onlySubject !== '' && onlySubject !== subject)
    context.skip(`KLPFLOW_FUZZ_SEED asks for ${onlySubject}`);
}

describe('damaged', () => {
  test.for(Object.entries(PLANS))(
    '%s: a typed error or a result, in no time',
    { timeout: 3_600_000 },
    async ([subject, { count, ends }], context) => {
      onlyOneIsWanted(context, subject);
      const found =
        onlySeed === undefined
          ? await fuzz(subject, 1, Math.ceil(wanted === undefined ? count : (Number(wanted) * count) / ALL))
          : await fuzz(subject, Number(onlySeed), Number(wanted ?? 1));
      expect(found.failures.slice(0, 10).join('\n\n')).toBe('');
      if (onlySeed !== undefined) return;
      expect(total(found)).toBeGreaterThanOrEqual(wanted === undefined ? count : 1);
      if (wanted === undefined)
        for (const end of ends)
          expect(found.outcomes[end] ?? 0, `${end} of ${JSON.stringify(found.outcomes)}`).toBeGreaterThan(0);
    },
  );

  // A column that is read past its end gives undefined, which counts as 0 in the next sum: nothing else tells.
  test.for(['unit', 'kpatch', 'link', 'image'])(
    '%s: no element of a column past its end',
    { timeout: 600_000 },
    async (subject, context) => {
      onlyOneIsWanted(context, subject);
      const found = await fuzz(
        subject,
        onlySeed === undefined ? 500_000 : Number(onlySeed),
        onlySeed === undefined ? 150 : 1,
        { guard: true },
      );
      expect(found.failures.slice(0, 10).join('\n\n')).toBe('');
      if (onlySeed === undefined) expect(total(found)).toBe(150);
    },
  );

  test('no mutant is made twice, and all of them make 20,000', () => {
    expect(ALL).toBeGreaterThanOrEqual(20_000);
  });

  test('objects of real kernels on five processors were among the units', (context) => {
    skipWithout(context, unavailable('kpatch-unit', false));
  });

  test('large: the tables of an object of 92 MB', { timeout: 3_600_000 }, async (context) => {
    onlyOneIsWanted(context, 'large');
    skipWithout(context, unavailable('linux-7.2-thinlto', true));
    const { orig } = unpack('linux-7.2-thinlto', 'string-change');
    const found = await fuzz('large', Number(onlySeed ?? 1), onlySeed === undefined ? 100 : Number(wanted ?? 1), {
      corpus: orig,
      mostBytes: 2 ** 32,
    });
    expect(found.failures.slice(0, 10).join('\n\n')).toBe('');
    if (onlySeed === undefined)
      for (const end of ['malformed-elf', 'scanned'])
        expect(found.outcomes[end] ?? 0, JSON.stringify(found.outcomes)).toBeGreaterThan(10);
  });
});
