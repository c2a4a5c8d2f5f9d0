/**
 * `npm run test:live -- --count N --seed S [--jobs J] [--keep FOLDER] [--runtime FOLDER]`: random patches of random programs, each made a
 * livepatch by klpflow, applied to the running original, and compared with the patched program. Exit code 1 if one was wrong.
 * `--keep` shrinks and keeps what is wrong; with `--all` it keeps everything as it is. `--pair FILE` tries what was kept.
 * `--arch arm64`: for another processor, emulated. `--only KIND,KIND`: programs of these constructs. `--gcc gcc-13`, `--clang clang-22`, `--flags='-march=x86-64-v3'`, `--clang-flags=...`: made by others, or otherwise.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { kindsOf } from './constructs';
import { keep, writePair } from './keep';
import { PATCHES, attempt, type Tried } from './loop';
import { Report } from './report';
import type { Compilers } from './program';
import { missing, targetOf, type Target } from './target';
import { Trial, type Pair } from './trial';

const OPTIONS = {
  count: { type: 'string', default: '150' },
  seed: { type: 'string', default: '1' },
  first: { type: 'string', default: '0' },
  jobs: { type: 'string', default: '2' },
  keep: { type: 'string' },
  runtime: { type: 'string', default: '' },
  job: { type: 'string' },
  only: { type: 'string' },
  arch: { type: 'string', default: 'x86-64' },
  gcc: { type: 'string' },
  clang: { type: 'string' },
  flags: { type: 'string', default: '' },
  'clang-flags': { type: 'string', default: '' },
  pair: { type: 'string', multiple: true },
  json: { type: 'boolean', default: false },
  all: { type: 'boolean', default: false },
} as const;

const { values } = parseArgs({ options: OPTIONS });
const [count, seed, first, jobs] = [values.count, values.seed, values.first, values.jobs].map(Number) as [
  number,
  number,
  number,
  number,
];

const target = targetOf(values.arch);
const compilers: Compilers = {
  target,
  gcc: values.gcc ?? target.gcc,
  clang: values.clang ?? target.clang,
  flags: words(values.flags),
  clangFlags: words(values['clang-flags']),
};
/** Flags as a shell would divide them that knows no quotes. */
function words(text: string): string[] {
  return text.split(' ').filter((flag) => flag !== '');
}

const kinds = values.only?.split(',') ?? kindsOf(target.name);

/** The child: its share of the patches, a line of JSON each. */
async function work(job: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `klpflow-live-${job}-`));
  const trial = new Trial(folder, values.runtime, target);
  try {
    for (let index = first; index < first + count; index++) {
      if (Math.floor(index / PATCHES) % jobs !== job) continue;
      const { made, ...tried } = await attempt(trial, seed, index, kinds, compilers);
      console.log(JSON.stringify(tried));
      if (values.keep !== undefined && values.all)
        writePair(trial, made.pair, join(values.keep, `${seed}-${index}`), JSON.stringify(tried));
      else if (values.keep !== undefined && !values.all) await keep(trial, { ...tried, made }, seed, values.keep);
      if (index % PATCHES === PATCHES - 1) trial.forget();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Patches between two signs of life. */
const HEARTBEAT = 500;

/** The parent: shares out, and adds up. */
async function lead(): Promise<void> {
  const reason = missing(target, [compilers.gcc, compilers.clang]);
  if (reason !== undefined) throw new Error(reason);
  const report = new Report(seed);
  const started = performance.now();
  let tried = 0;
  const ends = Array.from(
    { length: jobs },
    (_, job) =>
      new Promise<void>((resolve, reject) => {
        const child = spawn(process.execPath, [...process.argv.slice(1), '--job', String(job)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        createInterface(child.stdout).on('line', (line) => {
          report.add(JSON.parse(line) as Tried);
          if (++tried % HEARTBEAT === 0) console.error(`${tried} of ${count} patches tried`);
        });
        child.on('close', (code, signal) =>
          code === 0 ? resolve() : reject(new Error(`a process of the trial ended with ${code ?? signal}`)),
        );
      }),
  );
  await Promise.all(ends);
  report.seconds = (performance.now() - started) / 1000;
  console.log(values.json ? JSON.stringify(report.summary()) : report.text());
  if (report.failed) process.exitCode = 1;
}

/** Kept pairs again. With `--keep` their objects and programs are left there. */
async function again(files: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'klpflow-live-pair-'));
  try {
    // One for each processor: what was read once is never written again.
    const trials = new Map<Target, Trial>();
    for (const file of files) {
      const pair = JSON.parse(readFileSync(file, 'utf8')) as Pair;
      const of = targetOf(pair.target ?? 'x86-64');
      const trial = trials.get(of) ?? new Trial(join(folder, of.name), values.runtime, of);
      trials.set(of, trial);
      const judged = await trial.judge(pair);
      console.log(
        values.json
          ? JSON.stringify({ file, ...judged })
          : judged.outcomes
              .map(({ dialect, end, why }) => `${file}: ${dialect}: ${[end, ...why].join(': ')}`)
              .join('\n'),
      );
      if (values.keep !== undefined) writePair(trial, pair, values.keep, '');
      if (judged.outcomes.some(({ end }) => end === 'wrong')) process.exitCode = 1;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

void (values.pair !== undefined ? again(values.pair) : values.job === undefined ? lead() : work(Number(values.job)));
