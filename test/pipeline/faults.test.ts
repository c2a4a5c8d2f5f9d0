/**
 * Things that break under a run: the disk, a thread, the input. What this guards against is an answer all the same: from half
 * a record, from a file that was two files, or from a thread that never reported.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT_CODES, MAIN, errorOf, running, withoutRun, type Ran } from '../support/run-klpflow';
import { filesOf, halfWritten, smallPair, type SmallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let pair: SmallPair;
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

beforeAll(async () => {
  pair = await smallPair(folder);
  const ran = await running(command(at('whole')));
  expect(ran.status).toBe(EXIT_CODES.patchable);
  answer = withoutRun(ran);
});

/** A module that Node loads before klpflow, in every thread. Returns the environment that does it. */
function preload(name: string, body: string): { env: Record<string, string> } {
  writeFileSync(
    at(name),
    `const { isMainThread, threadId } = require('node:worker_threads'); const fs = require('node:fs');\n${body}\n`,
  );
  return { env: { NODE_OPTIONS: `--require ${at(name)}` } };
}

/** An error of this code, nothing half-written, and the next run on the same run directory gives the answer. */
async function failsAndRecovers(ran: Ran, code: string, runDir: string): Promise<void> {
  expect(ran.status, ran.stderr).toBe(1);
  expect(errorOf(ran).code).toBe(code);
  expect(halfWritten(runDir)).toEqual([]);
  expect(filesOf(runDir).filter((path) => path.startsWith('pairs'))).toEqual([]);
  const next = await running(command(runDir));
  expect(next.status).toBe(EXIT_CODES.patchable);
  expect(withoutRun(next)).toBe(answer);
}

describe('the disk is full', () => {
  test('a file size limit (EFBIG)', async () => {
    const runDir = at('small files');
    const ran = await running(command(runDir), { under: ['bash', '-c', 'ulimit -f 64 && exec "$@"', 'bash'] });
    expect(errorOf(ran)).toMatchObject({
      message: expect.stringMatching(/cannot write .*table\.pb: file size limit reached/),
      hint: expect.stringContaining('--run-dir DIR'),
    });
    await failsAndRecovers(ran, 'no-space', runDir);
  });

  test('a file system of 120 KB (ENOSPC)', async (context) => {
    const disk = mounted('disk', 'size=120k');
    if (disk === undefined) return context.skip('cannot mount a tmpfs here');
    const ran = await running(command(join(disk, 'run')));
    expect(ran.status).toBe(1);
    expect(errorOf(ran)).toMatchObject({
      code: 'no-space',
      message: expect.stringContaining('no space left on device'),
    });
    expect(halfWritten(join(disk, 'run'))).toEqual([]);
    expect(withoutRun(await running(command(at('elsewhere'))))).toBe(answer);
    // With room again it goes on in the same place.
    execFileSync('mount', ['-o', 'remount,size=30m', disk]);
    const next = await running(command(join(disk, 'run')));
    expect(withoutRun(next)).toBe(answer);
    expect(next.events.filter(({ reused }) => reused).length).toBeGreaterThan(1);
  });

  test('one with no space at all, not even for the marker', async (context) => {
    const disk = mounted('no disk', 'size=4k');
    if (disk === undefined) return context.skip('cannot mount a tmpfs here');
    writeFileSync(join(disk, 'full'), Buffer.alloc(4096));
    const ran = await running(command(join(disk, 'run')));
    expect(ran.status).toBe(1);
    expect(errorOf(ran).code).toBe('no-space');
    expect(filesOf(disk)).toEqual([]);
  });

  test('at every single write', async () => {
    // Some thirty writes of the main thread and the others; each of them the first that fails, and then every one after it.
    for (const [error, code, writes] of [
      ['ENOSPC', 'no-space', [1, 2, 3, 5, 8, 13]],
      ['EIO', 'write-failed', [1, 4]],
    ] as const) {
      for (const nth of writes) {
        const runDir = at(`${error} ${nth}`);
        const faulty = preload(
          'faulty.cjs',
          `
          let left = ${nth};
          for (const name of ['writeSync', 'writevSync']) {
            const write = fs[name];
            fs[name] = (fd, ...rest) => { if (fd > 2 && --left <= 0) throw Object.assign(new Error('injected'), { code: '${error}', syscall: 'write' }); return write(fd, ...rest); };
          }`,
        );
        const ran = await running(command(runDir), faulty);
        // The marker is the first thing that is written: without it there is no run directory.
        if (nth === 1) expect(errorOf(ran).code).toBe(error === 'EIO' ? 'run-dir-unusable' : code);
        else await failsAndRecovers(ran, code, runDir);
        expect(halfWritten(runDir)).toEqual([]);
      }
    }
  });

  test('writes that are cut short are continued', async () => {
    const runDir = at('short writes');
    const short = preload(
      'short.cjs',
      `
      const write = fs.writeSync;
      fs.writeSync = (fd, bytes, at, ...rest) => fd > 2 && typeof bytes !== 'string' ? write(fd, bytes, at ?? 0, Math.min(1000, bytes.length - (at ?? 0))) : write(fd, bytes, at, ...rest);
      const writev = fs.writevSync;
      fs.writevSync = (fd, [first, second, ...more]) => second === undefined ? write(fd, first, 0, Math.min(1000, first.length)) : writev(fd, [first, second.subarray(0, 1000)]);`,
    );
    expect(withoutRun(await running(command(runDir), short))).toBe(answer);
    const next = await running(command(runDir));
    expect(next.events.map(({ miss }) => miss)).toEqual([null, null, null]);
    expect(withoutRun(next)).toBe(answer);
  });

  test('standard output on a full disk: exit code 1 and one line', async (context) => {
    if (spawnSync('bash', ['-c', 'test -w /dev/full']).status !== 0) context.skip('there is no /dev/full');
    const { status, stderr } = spawnSync(
      'bash',
      [
        '-c',
        '"$@" > /dev/full',
        'bash',
        process.execPath,
        MAIN,
        'diff',
        pair.orig,
        pair.patched,
        '--run-dir',
        at('whole'),
        '--json',
        '--progress',
        'none',
      ],
      { encoding: 'utf8' },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error no-space: cannot write the result to standard output: .*\n .*\n$/);
  });
});

describe('a run directory that cannot be written', () => {
  /** The command as somebody who is not root, for whom permissions count; undefined if that does not work here. */
  async function unprivileged(): Promise<readonly string[] | undefined> {
    const under = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    chmodSync(folder, 0o755);
    const ran = await running(['--version'], { under }).catch(() => undefined);
    return ran?.status === 0 ? under : undefined;
  }

  test('with all results in it: they are used', async (context) => {
    const under = await unprivileged();
    if (under === undefined) context.skip('this is root, and nobody cannot run klpflow here');
    const runDir = at('read-only');
    cpSync(at('whole'), runDir, { recursive: true });
    execFileSync('chmod', ['-R', 'a-w', runDir]);
    const ran = await running(command(runDir), { under });
    expect(ran.status, ran.stdout).toBe(EXIT_CODES.patchable);
    expect(withoutRun(ran)).toBe(answer);
    execFileSync('chmod', ['-R', 'u+w', runDir]);
  });

  test('with a result missing, and without any', async (context) => {
    const under = await unprivileged();
    if (under === undefined) context.skip('this is root, and nobody cannot run klpflow here');
    const runDir = at('read-only, partly');
    cpSync(at('whole'), runDir, { recursive: true });
    rmSync(join(runDir, 'pairs'), { recursive: true });
    execFileSync('chmod', ['-R', 'a-w', runDir]);
    const ran = await running(command(runDir), { under });
    expect(ran.status).toBe(1);
    expect(errorOf(ran)).toMatchObject({ code: 'write-failed', message: expect.stringContaining('permission denied') });
    mkdirSync(at('read-only, empty'), { mode: 0o555 });
    const none = await running(command(at('read-only, empty')), { under });
    expect(none.status).toBe(1);
    expect(errorOf(none)).toMatchObject({
      code: 'run-dir-unusable',
      message: expect.stringContaining('permission denied'),
      hint: expect.stringContaining('--run-dir DIR'),
    });
    execFileSync('chmod', ['-R', 'u+w', runDir]);
  });

  test.each(['/dev/null/run', '/proc/run', '/proc/self/run'])('%s', async (path) => {
    // Node's own recursive mkdir never comes back from /proc.
    const ran = await running(command(path));
    expect(ran.status).toBe(1);
    expect(errorOf(ran).code).toBe('run-dir-unusable');
  });
});

describe('a thread ends', () => {
  test.each([
    ['by itself, in the middle of a task', `process.exit(7)`],
    [
      'by an error that nobody catches',
      `setImmediate(() => { throw new Error('injected'); }); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50); return write(fd, ...rest);`,
    ],
    ['for lack of memory', `const hoard = []; for (;;) hoard.push(new Array(1e6).fill(0.5));`],
  ])('%s: an error, not a wait', async (name, end) => {
    const runDir = at(`thread ${name}`);
    const broken = preload(
      'broken.cjs',
      `
      let left = 3;
      for (const name of isMainThread ? [] : ['writeSync', 'writevSync']) {
        const write = fs[name];
        fs[name] = (fd, ...rest) => { if (fd > 2 && --left === 0) { ${end} } return write(fd, ...rest); };
      }`,
    );
    broken.env['NODE_OPTIONS'] += ' --max-old-space-size=100';
    const ran = await running(command(runDir), broken);
    if (name.startsWith('by an error') && ran.status === 0) expect(withoutRun(ran)).toBe(answer);
    else {
      expect(ran.status, ran.stderr).toBe(1);
      expect(errorOf(ran)).toMatchObject({ code: 'thread-lost', hint: expect.stringContaining('--workers') });
    }
    const next = await running(command(runDir));
    expect(withoutRun(next)).toBe(answer);
    // Its half-written file was of a process that is dead by now.
    expect(halfWritten(runDir)).toEqual([]);
  });

  test.each([
    ['at once', ''],
    // Nothing was left that could fail: the process ended with exit code 0 and without a word.
    [
      'those that replace the first after a while',
      `if (threadId > 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);`,
    ],
  ])('before its first task, every time, %s', async (name, wait) => {
    const ran = await running(
      command(at(`no threads ${name}`)),
      preload('none.cjs', `if (!isMainThread) { ${wait} process.exit(9); }`),
    );
    expect(ran.status).toBe(1);
    expect(errorOf(ran).code).toBe('thread-lost');
  });
});

describe('two runs at once', () => {
  test('on one new run directory: every answer is right', async () => {
    for (let round = 0; round < 3; round++) {
      const runDir = at(`shared ${round}`);
      const runs = await Promise.all(Array.from({ length: 4 }, () => running(command(runDir))));
      for (const ran of runs) {
        expect(ran.status, ran.stdout).toBe(EXIT_CODES.patchable);
        expect(withoutRun(ran)).toBe(answer);
      }
      expect(halfWritten(runDir)).toEqual([]);
      expect(filesOf(runDir).map((path) => path.replace(/.*\//, ''))).toEqual(
        filesOf(at('whole')).map((path) => path.replace(/.*\//, '')),
      );
    }
  });

  test('that make the same folders at the same moment', async () => {
    // What another thread does between two calls of this one.
    const runDir = at('raced');
    const raced = preload(
      'raced.cjs',
      `
      const mkdir = fs.mkdirSync;
      fs.mkdirSync = (path, ...rest) => {
        try { return mkdir(path, ...rest); }
        catch (error) { if (error.code === 'ENOENT') mkdir(require('node:path').dirname(path), { recursive: true }); throw error; }
        finally { try { mkdir(path); } catch {} }
      };`,
    );
    const ran = await running(command(join(runDir, 'a', 'b')), raced);
    expect(ran.status, ran.stdout).toBe(EXIT_CODES.patchable);
    expect(withoutRun(ran)).toBe(answer);
  });
});

describe('an input that changes during the run', () => {
  /** Each way to change a file, and how to put it back. */
  const ways: Record<string, (path: string) => void> = {
    // As objtool does it: same file, same size.
    'written in place': (path) => {
      const fd = openSync(path, 'r+');
      const content = readFileSync(path);
      // The text of every function and string: whatever part is read now, it is not what was identified.
      for (let i = 0x1200; i < content.length - 0x8000; i += 64) writeSync(fd, Buffer.of(content[i]! ^ 1), 0, 1, i);
      closeSync(fd);
    },
    // As a compiler does it.
    'replaced by another': (path) => {
      copyFileSync(path.endsWith('orig.o') ? pair.patched : pair.orig, `${path}.new`);
      renameSync(`${path}.new`, path);
    },
    touched: (path) => execFileSync('touch', [path]),
  };

  test.each(Object.entries(ways))('%s: it is told, and nothing of it is recorded', async (name, change) => {
    // Tasks that take an eighth of a second: what is changed after an event is changed before the next one.
    const slow = preload(
      'slow.cjs',
      `
      const now = performance.now.bind(performance);
      if (!isMainThread) performance.now = () => { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 70); return now(); };`,
    );
    const moving = { orig: join(at('moving'), 'orig.o'), patched: join(at('moving'), 'patched.o') };
    mkdirSync(at('moving'), { recursive: true });
    // After both are identified, after one is scanned, and before the last task: nothing is recorded any more but the outcome.
    for (const [stage, side] of [
      ['identify', 'patched'],
      ['scan', 'orig'],
      ['compare', 'patched'],
    ] as const) {
      const runDir = at(`changed ${name} ${stage}`);
      for (const key of ['orig', 'patched'] as const) copyFileSync(pair[key], moving[key]);
      const diff = ['diff', moving.orig, moving.patched, '--run-dir', runDir, '--json', '--progress', 'json'];
      const seen: string[] = [];
      const ran = await running(diff, {
        ...slow,
        onEvent: (event) =>
          void (
            seen.push(event.stage) &&
            event.stage === stage &&
            seen.filter((told) => told === stage).length === (stage === 'identify' ? 2 : 1) &&
            change(moving[side])
          ),
      });
      expect(ran.status, `changed after ${stage}`).toBe(1);
      expect(errorOf(ran)).toMatchObject({
        code: 'input-changed',
        where: { object: moving[side] },
        hint: expect.stringContaining('run again'),
      });
      // The content comes back: what was recorded meanwhile must be of it, not of what stood there in between.
      for (const key of ['orig', 'patched'] as const) copyFileSync(pair[key], moving[key]);
      const again = await running(diff);
      expect(withoutRun(again), `changed after ${stage}`).toBe(answer);
    }
  });

  test('between identification and scan: nothing is recorded under the former content', async () => {
    // Held there, so that it surely is the changed file that is scanned.
    const runDir = at('changed for sure');
    const moving = at('moving.o');
    copyFileSync(pair.orig, moving);
    const spoiled = at('spoiled.o');
    copyFileSync(pair.orig, spoiled);
    ways['written in place']!(spoiled);
    const held = preload(
      'held.cjs',
      `
      const { Worker } = require('node:worker_threads');
      const open = fs.openSync;
      // In place: a copy would cut the file off first, which ends a process that maps it.
      const overwrite = () => fs.writeFileSync(${JSON.stringify(moving)}, fs.readFileSync(${JSON.stringify(spoiled)}), { flag: 'r+' });
      if (!isMainThread) fs.openSync = (path, ...rest) => { if (String(path).includes('.table.pb.')) overwrite(); return open(path, ...rest); };`,
    );
    const diff = ['diff', moving, pair.patched, '--run-dir', runDir, '--json', '--progress', 'json'];
    const ran = await running(diff, held);
    expect(errorOf(ran)).toMatchObject({ code: 'input-changed', where: { object: moving } });
    copyFileSync(pair.orig, moving);
    expect(withoutRun(await running(diff))).toBe(answer);
  });

  test('one that is cut off while it is mapped: the run may die of it, the run directory does not', async () => {
    for (let after = 0; after < 4; after++) {
      const runDir = at(`cut ${after}`);
      const moving = at('cut.o');
      copyFileSync(pair.orig, moving);
      const diff = ['diff', moving, pair.patched, '--run-dir', runDir, '--json', '--progress', 'json'];
      let seen = 0;
      const ran = await running(diff, { onEvent: () => void (seen++ === after && truncateSync(moving, 1000)) });
      if (ran.signal === null && ran.status !== 0) expect(errorOf(ran)).toMatchObject({ code: 'input-changed' });
      else expect([null, 'SIGBUS']).toContain(ran.signal);
      copyFileSync(pair.orig, moving);
      const next = await running(diff);
      expect(withoutRun(next)).toBe(answer);
      expect(halfWritten(runDir)).toEqual([]);
    }
  });
});

const mounts: string[] = [];
afterAll(() => {
  for (const disk of mounts) spawnSync('umount', [disk]);
});

/** A small file system of its own, unmounted at the end; undefined where that is not allowed. */
function mounted(name: string, size: string): string | undefined {
  mkdirSync(at(name));
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', at(name)]).status !== 0) return undefined;
  mounts.push(at(name));
  return at(name);
}
