/**
 * `npm run test:scale`: huge synthetic pairs, each compared from scratch with one worker and with two, every answer graded
 * against what was put in. Exit code 0 only if all are right. A table says what a million symbols and a million relocations cost.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { grade, type Answer, type Manifest } from '../src/synth';
import type { TaskName } from '../src/pipeline/types';
import { measure, type Measurement } from './measure';
import { CASES, DEFAULT_CASES, type ScaleCase } from './scale-cases';
import { growthTable, runsTable, scalingTable, type ScaleRun } from './scale-table';

/** The command line beside this file in dist/. */
const MAIN = join(__dirname, 'main.js');

const USAGE = `Writes huge synthetic pairs, compares them and grades the answers.

  npm run test:scale -- [options]

  --cases NAME,...  which (default ${DEFAULT_CASES.join(',')})
  --workers N,...   how many threads, each a run of its own (default 1,2)
  --runs N          how often each runs (default 1)
  --folder DIR      where pairs and run directories go for the time of their case (default: the temporary directory)
  --keep DIR        pairs stay in this folder, and those that an earlier run left there are used again
  --json FILE       also write every figure as JSON

${CASES.map(({ name, gigabytes, text }) => `  ${name.padEnd(14)} ${text}; ${gigabytes} GB of disk`).join('\n')}
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: DEFAULT_CASES.join(',') },
      workers: { type: 'string', default: '1,2' },
      runs: { type: 'string', default: '1' },
      folder: { type: 'string', default: tmpdir() },
      keep: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const chosen = values.cases.split(',').map((name) => {
    const found = CASES.find((entry) => entry.name === name);
    if (found === undefined)
      throw new Error(`no case ${name}; there are ${CASES.map((entry) => entry.name).join(', ')}`);
    return found;
  });
  const scratch = values.keep ?? mkdtempSync(join(values.folder, 'klpflow-scale-'));
  mkdirSync(scratch, { recursive: true });
  const runs: ScaleRun[] = [];
  let wrong = 0;
  try {
    for (const entry of chosen)
      wrong += await runCase(
        entry,
        join(scratch, entry.name),
        values.workers.split(',').map(Number),
        Number(values.runs),
        runs,
        values.keep !== undefined,
      );
  } finally {
    if (values.keep === undefined) rmSync(scratch, { recursive: true, force: true });
  }
  console.log(
    `\n${runsTable(runs)}\n\nCPU seconds for each million symbols and each million relocations of both objects\n${growthTable(runs)}\n\nscan and digest alone\n${scalingTable(runs)}`,
  );
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ schema: 'klpflow/scale@1', runs }, null, 2)}\n`);
  console.log(wrong === 0 ? 'all answers are right' : `${wrong} answers are wrong`);
  return wrong === 0 ? 0 : 1;
}

/** Writes the pair, compares it and removes it unless it is kept. Returns the number of wrong answers. */
async function runCase(
  { name, flags, gigabytes }: ScaleCase,
  folder: string,
  workers: readonly number[],
  times: number,
  runs: ScaleRun[],
  keep: boolean,
): Promise<number> {
  mkdirSync(folder, { recursive: true });
  try {
    const made = await writtenPair(name, flags, gigabytes, folder);
    const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
    const { bytes, symbols, relas, sections } = manifest.orig;
    console.log(
      `${name}: ${(bytes / 1e6).toFixed(0)} MB, ${manifest.functions.total} functions, ${sections} sections, ${symbols} symbols, ${relas} relocations an object, written in ${made.seconds.toFixed(1)} s with ${(made.peakAnonBytes / 1e6).toFixed(0)} MB`,
    );
    let wrong = 0;
    // In turn: a machine that slows down or warms up does so for all of them.
    for (let time = 0; time < times; time++) {
      for (const count of workers) {
        const [run, trace] = [join(folder, 'run'), join(folder, 'trace.json')];
        rmSync(trace, { force: true });
        const asked = await measure([
          process.execPath,
          MAIN,
          'diff',
          join(folder, 'orig.o'),
          join(folder, 'patched.o'),
          '--run-dir',
          run,
          '--workers',
          String(count),
          '--json',
          '--progress',
          'none',
          '--trace-out',
          trace,
        ]);
        rmSync(run, { recursive: true, force: true });
        if (!asked.stdout.startsWith('{'))
          throw new Error(`${name}: diff ended with ${asked.exitCode ?? 'a signal'}: ${asked.stderr}`);
        const answer = JSON.parse(asked.stdout) as Answer & {
          run?: Pick<ScaleRun, 'stages' | 'mainCpuSeconds' | 'neededBytes'>;
        };
        const complaints =
          answer.objects === undefined
            ? [`no result: ${answer.diagnostics.map(({ message }) => message).join('; ')}`]
            : grade(manifest, answer);
        for (const complaint of complaints.slice(0, 20)) console.log(`  WRONG  ${complaint}`);
        wrong += complaints.length === 0 ? 0 : 1;
        const both = manifest.patched;
        runs.push({
          name,
          workers: count,
          bytes: bytes + both.bytes,
          symbols: symbols + both.symbols,
          relas: relas + both.relas,
          right: complaints.length === 0,
          seconds: asked.seconds,
          cpuSeconds: asked.userSeconds + asked.systemSeconds,
          peakAnonBytes: asked.peakAnonBytes,
          stages: answer.run?.stages ?? [],
          mainCpuSeconds: answer.run?.mainCpuSeconds ?? 0,
          neededBytes: answer.run?.neededBytes ?? 0,
          parallel: parallelTasks(trace),
          written: {
            seconds: made.seconds,
            cpuSeconds: made.userSeconds + made.systemSeconds,
            peakAnonBytes: made.peakAnonBytes,
          },
        });
        console.log(
          `  ${count} worker${count === 1 ? ' ' : 's'}: ${asked.seconds.toFixed(2)} s, ${(asked.peakAnonBytes / 1e6).toFixed(0)} MB, ${complaints.length === 0 ? 'right' : 'WRONG'}`,
        );
      }
    }
    return wrong;
  } finally {
    if (!keep) rmSync(folder, { recursive: true, force: true });
  }
}

/** What writing the pair took, now or when it was written. */
async function writtenPair(
  name: string,
  flags: readonly string[],
  gigabytes: number,
  folder: string,
): Promise<Measurement> {
  const figures = join(folder, 'written.json');
  if (existsSync(figures)) return JSON.parse(readFileSync(figures, 'utf8')) as Measurement;
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < gigabytes * 1e9)
    throw new Error(
      `${name} needs ${gigabytes} GB of disk in ${folder}: ${((bavail * bsize) / 1e9).toFixed(0)} GB are free`,
    );
  const made = await measure([process.execPath, MAIN, 'synth', ...flags, '-o', folder]);
  if (made.exitCode !== 0) throw new Error(`${name}: synth ended with ${made.exitCode ?? 'a signal'}: ${made.stderr}`);
  writeFileSync(figures, JSON.stringify(made));
  return made;
}

/** Tasks of scan and digest, which run on all threads, of two objects that were never seen. */
const PARALLEL = new Set<string>(['readTable', 'digest', 'special'] satisfies TaskName[]);

/** What those tasks took, from a run's trace; a run that failed has none. */
function parallelTasks(trace: string): ScaleRun['parallel'] {
  if (!existsSync(trace)) return { cpuSeconds: 0, seconds: 0 };
  const { traceEvents } = JSON.parse(readFileSync(trace, 'utf8')) as {
    traceEvents: Array<{ name: string; ts: number; dur: number; tdur: number }>;
  };
  const tasks = traceEvents.filter(({ name }) => PARALLEL.has(name));
  const end = Math.max(...tasks.map(({ ts, dur }) => ts + dur));
  return {
    cpuSeconds: tasks.reduce((sum, { tdur }) => sum + tdur, 0) / 1e6,
    seconds: (end - Math.min(...tasks.map(({ ts }) => ts))) / 1e6,
  };
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);
