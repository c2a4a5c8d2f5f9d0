/**
 * Runs that end before they are done, and runs that find what others left. What this guards against: work that is done twice,
 * half a result that is taken for a whole one, and above all an answer that depends on what happened before.
 */
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ProgressEvent, StatusResult } from '../../src';
import { encodeOutcome, loadHash, writeRecords } from '../../src/records';
import { Random } from '../../src/synth/random';
import { EXIT_CODES, errorOf, klpflow, resultOf, running, withoutRun, type Ran } from '../support/run-klpflow';
import { filesOf, halfWritten, smallPair, type SmallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let pair: SmallPair;
/** A run that nothing disturbed: what every other one must answer. */
let fresh: Ran;
let answer: string;

const at = (name: string): string => join(folder, name);
const command = (runDir: string, ...flags: string[]): string[] => [
  'diff',
  pair.orig,
  pair.patched,
  '--run-dir',
  runDir,
  '--json',
  '--progress',
  'json',
  ...flags,
];
/** What was reused of the stages that leave records. */
const reused = ({ events }: Ran): string[] =>
  events
    .filter((event) => event.reused)
    .map(
      ({ stage, object }) => `${stage} ${object === pair.orig ? 'orig' : object === pair.patched ? 'patched' : 'pair'}`,
    )
    .sort();

beforeAll(async () => {
  pair = await smallPair(folder);
  fresh = await running(command(at('fresh')));
  answer = withoutRun(fresh);
  expect(fresh.status).toBe(EXIT_CODES.patchable);
  expect(resultOf(fresh).objects[0]!.functions.changed.length).toBe(18);
});

/** A copy of the run directory of the undisturbed run. */
function runDirOf(name: string): string {
  cpSync(at('fresh'), at(name), { recursive: true });
  return at(name);
}

describe('killed at any moment', () => {
  /** Objects' stages that were told as done. Digests have several events a stage. */
  const doneIn = ({ events }: Ran): string[] =>
    events
      .filter(({ stage, object }) => object !== null && stage !== 'digest')
      .map(({ stage, object }) => `${stage} ${object}`);
  const madeAgain = (ran: Ran, done: ReadonlySet<string>): string[] =>
    doneIn({ ...ran, events: ran.events.filter((event) => !event.reused) }).filter((told) => done.has(told));

  test('after each event: the next run goes on from there and ends the same', async () => {
    // SIGKILL: no handler runs, no buffer is written.
    for (let last = 0; last < fresh.events.length; last++) {
      const runDir = at(`killed ${last}`);
      let seen = 0;
      const killed = await klpflow(command(runDir), () => seen++ === last);
      expect(killed.events.length, `event ${last} of ${fresh.events.length}`).toBeGreaterThan(last);
      const ran = await running(command(runDir));
      expect(madeAgain(ran, new Set(doneIn(killed))), `killed after event ${last}`).toEqual([]);
      expect(ran.status).toBe(EXIT_CODES.patchable);
      expect(withoutRun(ran)).toBe(answer);
    }
  });

  test('each next run one event later, in one run directory', async () => {
    const runDir = at('killed again and again');
    const done = new Set<string>();
    for (let last = 0; ; last++) {
      let seen = 0;
      const ran = await klpflow(command(runDir), () => seen++ === last);
      expect(madeAgain(ran, done), `run ${last}`).toEqual([]);
      for (const told of doneIn(ran)) done.add(told);
      if (ran.signal !== null) continue;
      expect(withoutRun(ran)).toBe(answer);
      break;
    }
    // The next run finds the outcome.
    const next = await running(command(runDir));
    expect(reused(next)).toEqual(['assess pair', 'identify orig', 'identify patched']);
    expect(withoutRun(next)).toBe(answer);
  });

  test('many times in a row at random moments', async () => {
    // Between events too: in the middle of a write, of a rename, of the start.
    const random = new Random(7);
    const runDir = at('killed at random');
    let killed = 0;
    for (let i = 0; i < 12; i++) {
      const after = 60 + random.below(250);
      const ran = await running(command(runDir), { under: ['timeout', '-s', 'KILL', `${after / 1000}`] });
      if (ran.stdout !== '') expect(withoutRun(ran)).toBe(answer);
      else killed++;
      // Lose the outcome now and then, so that there is work to be killed in.
      if (i % 3 === 2) rmSync(join(runDir, 'pairs'), { recursive: true, force: true });
      if (i % 7 === 6) rmSync(join(runDir, 'objects'), { recursive: true, force: true });
    }
    expect(killed).toBeGreaterThan(2);
    expect(withoutRun(await running(command(runDir)))).toBe(answer);
  });

  test('what a killed run left half-written is never a result, and goes away once its writer is dead', async () => {
    const runDir = runDirOf('leftovers');
    const table = filesOf(runDir).find((path) => path.endsWith('table.pb'))!;
    const half = readFileSync(join(runDir, table)).subarray(0, 1000);
    // Names as klpflow makes them: a process that is dead, one that lives (this one), one of another machine.
    const here = await writerName();
    const name = (home: string, pid: number): string => join(runDir, 'tmp', `.table.pb.${home}-${pid}-1.tmp`);
    const [dead, alive, elsewhere, old] = [
      name(here, 2 ** 22 + 1),
      name(here, process.pid),
      name('00000000', 5),
      name('00000001', 5),
    ];
    for (const path of [dead, alive, elsewhere, old]) writeFileSync(path, half);
    const days = new Date(Date.now() - 2 * 24 * 3600 * 1000);
    utimesSync(old, days, days);
    rmSync(join(runDir, table));
    rmSync(join(runDir, 'pairs'), { recursive: true });
    const ran = await running(command(runDir));
    expect(withoutRun(ran)).toBe(answer);
    expect([dead, alive, elsewhere, old].map((path) => existsSync(path))).toEqual([false, true, true, false]);
  });

  /** Where process numbers mean what they mean here, as file names say it. */
  async function writerName(): Promise<string> {
    const runDir = at('writer');
    mkdirSync(join(runDir, 'tmp'), { recursive: true });
    await loadHash();
    let name = '';
    const place = { file: join(runDir, 'never', 'never.pb'), key: '', scratch: join(runDir, 'tmp') };
    writeRecords(
      place,
      'never',
      (function* () {
        name = halfWritten(runDir)[0]!;
        yield new Uint8Array(1);
      })(),
    );
    expect(hostname()).not.toBe('');
    return /\.([0-9a-f]{8})-\d+-0\.tmp$/.exec(name)![1]!;
  }
});

describe('interrupted', () => {
  const interruptAfter = (stage: string, times: number, signal: NodeJS.Signals = 'SIGINT') => {
    let sent = 0;
    return ({ stage: told }: ProgressEvent, child: { kill: (signal: NodeJS.Signals) => boolean }): void => {
      if (told === stage || sent > 0) for (; sent < times; sent++) child.kill(signal);
    };
  };

  test('Ctrl-C: what is under way is finished and recorded, exit code 130, and it says how to go on', async () => {
    // Reading a table takes half a second here, so that both are under way when the signal comes.
    const slow = preload(
      'slow.cjs',
      `
      const open = fs.openSync;
      if (!isMainThread) fs.openSync = (path, ...rest) => { if (String(path).includes('.table.pb.')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500); return open(path, ...rest); };`,
    );
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const runDir = at(`interrupted ${signal}`);
      let identified = 0;
      const ran = await running(
        ['diff', pair.orig, pair.patched, '--run-dir', runDir, '--progress', 'json', '--workers', '2'],
        {
          env: { NODE_OPTIONS: `--require ${slow}` },
          onEvent: ({ stage }, child) =>
            void (stage === 'identify' && ++identified === 2 && setTimeout(() => child.kill(signal), 250)),
        },
      );
      expect(ran).toMatchObject({ status: 130, signal: null, stdout: '' });
      expect(ran.stderr).toContain('interrupted: finishing the tasks under way');
      expect(ran.stderr).toMatch(/\nRun the same command again: it goes on from the last finished shard\.\n$/);
      expect(halfWritten(runDir)).toEqual([]);
      const next = await running(command(runDir));
      expect(reused(next)).toEqual(['identify orig', 'identify patched', 'scan orig', 'scan patched']);
      expect(withoutRun(next)).toBe(answer);
    }
  });

  test('with --json: one error object on stdout, notes of the progress are JSON too', async () => {
    const runDir = at('interrupted json');
    const ran = await running(command(runDir), { onEvent: interruptAfter('identify', 1) });
    expect(ran.status).toBe(130);
    expect(errorOf(ran)).toMatchObject({
      code: 'interrupted',
      hint: 'Run the same command again: it goes on from the last finished shard.',
    });
    for (const line of ran.stderr.trim().split('\n')) expect(() => JSON.parse(line) as unknown, line).not.toThrow();
  });

  test('during the last task: recorded, and still 130', async () => {
    const runDir = at('interrupted late');
    const ran = await running(command(runDir), { onEvent: interruptAfter('assess', 1) });
    // The signal races with the end of the process; where it came too late, the result stands.
    if (ran.status === 130) expect(errorOf(ran).code).toBe('interrupted');
    else expect(ran).toMatchObject({ status: 0, signal: null });
    expect(withoutRun(await running(command(runDir)))).toBe(answer);
  });

  test('twice: the end at once', async () => {
    const runDir = at('interrupted twice');
    // A thread that never comes back stands for a task that takes long. The first signal waits for the handler, the second for the note.
    const stuck = preload(
      'stuck.cjs',
      `
      if (!isMainThread) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      process.on('newListener', (event) => event === 'SIGTERM' && setImmediate(() => fs.writeSync(2, 'ready\\n')));`,
    );
    const ran = await running(command(runDir), {
      env: { NODE_OPTIONS: `--require ${stuck}` },
      onLine: (line, child) => void ((line === 'ready' || line.includes('interrupted')) && child.kill('SIGINT')),
    });
    expect(ran).toMatchObject({ status: 130, signal: null, stdout: '' });
    expect(ran.stderr).toContain('interrupt again to stop at once');
    expect(withoutRun(await running(command(runDir)))).toBe(answer);
  });
});

describe('records that went bad', () => {
  test.each([
    ['cut off', (path: string, random: Random) => truncateSync(path, random.below(statSync(path).size))],
    ['emptied', (path: string) => truncateSync(path, 0)],
    ['with a bit flipped', flip],
    [
      'with other bytes behind',
      (path: string) => writeFileSync(path, Buffer.concat([readFileSync(path), randomBytes(24)])),
    ],
    [
      'replaced by another record',
      (path: string) =>
        copyFileSync(
          join(at('fresh'), filesOf(at('fresh')).find((other) => other.endsWith('table.pb') && !path.endsWith(other))!),
          path,
        ),
    ],
    ['removed', (path: string) => rmSync(path)],
  ])('%s: made again, with the same answer', async (_, spoil) => {
    const random = new Random(3);
    const records = filesOf(at('fresh')).filter((path) => path.endsWith('.pb'));
    const kinds = records
      .map((path) => path.replace(/[0-9a-f]{20,}(-[0-9a-f]+)?/g, 'K').replace(/(digest-0-)\d+/, '$1N'))
      .sort();
    expect(kinds).toEqual([
      'inputs/K.pb',
      'inputs/K.pb',
      'objects/K/digest-0-N.pb',
      'objects/K/digest-0-N.pb',
      'objects/K/special-K.pb',
      'objects/K/special-K.pb',
      'objects/K/table.pb',
      'objects/K/table.pb',
      'pairs/K--K/K.pb',
    ]);
    const runDir = runDirOf(`spoiled ${_}`);
    for (const path of records) spoil(join(runDir, path), random);
    const ran = await running(command(runDir));
    expect(reused(ran)).toEqual([]);
    expect(withoutRun(ran)).toBe(answer);
    expect(filesOf(runDir).filter((path) => path.endsWith('.pb'))).toEqual(records);
  });

  test('one bit in one of them: that one is made again, and the others are used', async () => {
    const records = filesOf(at('fresh')).filter((path) => path.endsWith('.pb') && !path.startsWith('pairs'));
    for (const [i, path] of records.entries()) {
      const runDir = runDirOf(`flipped ${i}`);
      // While the outcome is there nothing else is read.
      rmSync(join(runDir, 'pairs'), { recursive: true });
      flip(join(runDir, path), new Random(i));
      const ran = await running(command(runDir));
      expect(
        ran.events.filter(({ miss }) => miss !== null).map(({ miss }) => miss),
        path,
      ).toEqual(['damaged']);
      expect(withoutRun(ran)).toBe(answer);
    }
  });

  test('an outcome of other code is not taken', async () => {
    // Otherwise a mended stage goes on answering what it got wrong before. What a test writes is of code that is not built.
    const runDir = runDirOf('other code');
    const path = filesOf(runDir).find((name) => name.startsWith('pairs'))!;
    const [, pairKey, key] = /^pairs\/(.*)\/(.*)\.pb$/.exec(path)!;
    await loadHash();
    const wrong = encodeOutcome({ outcome: { objects: [], diagnostics: [] }, options: {} });
    writeRecords({ file: join(runDir, path), key: `${pairKey}:${key}`, scratch: join(runDir, 'tmp') }, 'outcome', [
      wrong,
    ]);
    const status = JSON.parse(
      (await running(['status', pair.orig, pair.patched, '--run-dir', runDir, '--json'])).stdout,
    ) as StatusResult;
    expect(status.outcomes).toMatchObject([{ file: path, state: 'other version' }]);
    expect(withoutRun(await running(command(runDir)))).toBe(answer);
  });

  function flip(path: string, random: Random): void {
    const bytes = readFileSync(path);
    bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    writeFileSync(path, bytes);
  }
});

describe('run directories', () => {
  const marker = 'klpflow-run.json';

  test('of another version, or with a damaged marker: an error that says so; --fresh starts over', async () => {
    for (const [content, says] of [
      ['{"layout":99}', 'made by another version of klpflow (layout 99, this one needs 1)'],
      ['{"lay', 'is damaged'],
      ['', 'is damaged'],
      ['null', 'is damaged'],
    ] as const) {
      const runDir = runDirOf(`marker ${content}`);
      writeFileSync(join(runDir, marker), content);
      for (const argv of [
        command(runDir),
        ['status', pair.orig, '--run-dir', runDir, '--json'],
        ['runs', '--run-dir', runDir, '--json'],
      ]) {
        const ran = await running(argv);
        expect(ran.status).toBe(1);
        expect(errorOf(ran)).toMatchObject({
          code: 'run-dir-unusable',
          message: expect.stringContaining(says),
          hint: expect.stringContaining('--fresh starts over'),
        });
      }
      const again = await running(command(runDir, '--fresh'));
      expect(withoutRun(again)).toBe(answer);
      expect(reused(again)).toEqual([]);
      expect(readFileSync(join(runDir, marker), 'utf8')).toBe('{"layout":1}\n');
      expect(reused(await running(command(runDir)))).toContain('assess pair');
    }
  });

  test('a folder that holds something else is not touched, with --fresh neither', async () => {
    const other = at('somebody else');
    mkdirSync(other);
    writeFileSync(join(other, 'thesis.tex'), 'years of work');
    for (const flags of [[], ['--fresh']]) {
      const ran = await running(command(other, ...flags));
      expect(ran.status).toBe(1);
      expect(errorOf(ran)).toMatchObject({
        code: 'run-dir-unusable',
        message: expect.stringContaining('not a klpflow run directory'),
      });
    }
    expect(filesOf(other)).toEqual([]);
    expect(readFileSync(join(other, 'thesis.tex'), 'utf8')).toBe('years of work');
  });

  test('--fresh uses nothing that is there, not even what a file is known to hold', async () => {
    const ran = await running(command(runDirOf('used'), '--fresh'));
    expect(reused(ran)).toEqual([]);
    expect(withoutRun(ran)).toBe(answer);
  });

  test('a scan of ORIG serves the next patch, whatever its file is called', async () => {
    const runDir = at('two patches');
    await running(['scan', pair.orig, '--run-dir', runDir]);
    const moved = at('moved.o');
    copyFileSync(pair.orig, moved);
    const ran = await running(['diff', moved, pair.patched, '--run-dir', runDir, '--json', '--progress', 'json']);
    expect(
      ran.events
        .filter((event) => event.reused)
        .map(({ stage, object }) => `${stage} ${object}`)
        .sort(),
    ).toEqual([`digest ${moved}`, `digest ${moved}`, `scan ${moved}`]);
    expect(withoutRun(ran)).toBe(answer);
  });

  test('one with a name that needs care', async () => {
    const runDir = at('-läuft “so” \n weiter');
    const ran = await running(command(runDir));
    expect(withoutRun(ran)).toBe(answer);
    expect(resultOf(ran).run.runDir).toBe(runDir);
  });
});

/** A module that Node loads before klpflow, in every thread. */
function preload(name: string, body: string): string {
  writeFileSync(
    at(name),
    `const { isMainThread } = require('node:worker_threads'); const fs = require('node:fs');\n${body}\n`,
  );
  return at(name);
}
