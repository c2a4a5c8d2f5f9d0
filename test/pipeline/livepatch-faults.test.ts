/**
 * Things that break while a livepatch is made and written: the process, a thread, the disk, a file that it is made from, the place
 * where it goes. What this guards against is a module that is half of something: it loads, or it is signed and shipped.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../../src/synth/random';
import { smallKernel, type SmallKernel } from '../support/fuzz/small-kernel';
import { parentSymtab } from '../support/kpatch-units';
import { EXIT_CODES, errorOf, resultOf, running, withoutRun, type Ran } from '../support/run-klpflow';
import { filesOf, halfWritten } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (...names: string[]): string => join(folder, ...names);
let kernel: SmallKernel;
/** What an undisturbed run answers and writes, by extension. */
const answers: Record<string, string> = {};
const outputs: Record<string, Buffer> = {};

/** One name wherever it lies: it is the module's name, and part of the answer. */
const OUTPUT: Record<string, string> = { ko: 'livepatch.ko', o: 'livepatch.o', kpatch: 'kpatch.o' };
const KINDS = Object.keys(OUTPUT);

function command(
  kind: string,
  place: string,
  { files = kernel, runDir = at(place, 'run') }: { files?: Partial<SmallKernel>; runDir?: string } = {},
): string[] {
  mkdirSync(at(place), { recursive: true });
  const { orig, patched, symvers, listing, btf, template } = { ...kernel, ...files };
  const ofKind: Record<string, string[]> = {
    ko: ['--vmlinux', listing, '--template', template],
    o: ['--vmlinux', listing],
    kpatch: ['--vmlinux', at('symtab'), '--format', 'kpatch'],
  };
  return [
    'diff',
    orig,
    patched,
    '-o',
    OUTPUT[kind]!,
    '--symvers',
    symvers,
    '--btf',
    btf,
    ...ofKind[kind]!,
    '--run-dir',
    runDir,
    '--json',
    '--progress',
    'json',
  ];
}

const inPlace = (place: string): { cwd: string } => ({ cwd: at(place) });
const written = (kind: string, place: string): string => at(place, OUTPUT[kind]!);
/** Files beside the output that nobody asked for. */
const litter = (place: string): string[] => readdirSync(at(place)).filter((name) => name.endsWith('.tmp'));

/** The right answer and the right bytes. */
function expectRight(ran: Ran, kind: string, place: string): void {
  expect(ran.status, ran.stderr.slice(-1000)).toBe(EXIT_CODES.patchable);
  expect(withoutRun(ran)).toBe(answers[kind]);
  expect(readFileSync(written(kind, place)).equals(outputs[kind]!)).toBe(true);
}

beforeAll(async () => {
  kernel = await smallKernel(at('kernel'));
  parentSymtab(kernel.orig, at('symtab'));
  for (const kind of KINDS) {
    const ran = await running(command(kind, 'whole'), inPlace('whole'));
    expect(ran.status, ran.stdout.slice(0, 2000)).toBe(EXIT_CODES.patchable);
    expect(ran.events.map(({ stage }) => stage)).toEqual(expect.arrayContaining(['extract', 'link']));
    answers[kind] = withoutRun(ran);
    outputs[kind] = readFileSync(written(kind, 'whole'));
  }
});

/** A module that Node loads before klpflow, in every thread. */
function preload(name: string, body: string): Record<string, string> {
  writeFileSync(
    at(name),
    `const { isMainThread } = require('node:worker_threads'); const fs = require('node:fs'); const promises = require('node:fs/promises');\n${body}\n`,
  );
  return { NODE_OPTIONS: `--require ${at(name)}` };
}

describe('killed', () => {
  test.each(KINDS)('after each event, one later each time: no output, or the whole one (%s)', async (kind) => {
    const place = `killed ${kind}`;
    const events: string[] = [];
    for (let last = 0; ; last++) {
      rmSync(at(place, OUTPUT[kind]!), { force: true });
      let seen = 0;
      const argv = command(kind, place);
      const ran = await running(argv, {
        ...inPlace(place),
        onEvent: (event, child) => void (events.push(event.stage), seen++ === last && child.kill('SIGKILL')),
      });
      if (existsSync(written(kind, place)))
        expect(readFileSync(written(kind, place)).equals(outputs[kind]!), `killed after event ${last}`).toBe(true);
      if (ran.signal !== null) continue;
      expectRight(ran, kind, place);
      break;
    }
    // The premise: it was killed in the stages that this is about, too.
    expect(events).toEqual(expect.arrayContaining(['extract', 'link']));
  });

  test('many times in a row at random moments', async () => {
    const random = new Random(23);
    const place = 'killed at random';
    let killed = 0;
    for (let i = 0; i < 10; i++) {
      const ran = await running(command('ko', place), {
        ...inPlace(place),
        under: ['timeout', '-s', 'KILL', String((100 + random.below(500)) / 1000)],
      });
      if (existsSync(written('ko', place)))
        expect(readFileSync(written('ko', place)).equals(outputs['ko']!)).toBe(true);
      if (ran.stdout === '') killed++;
      if (i % 4 === 3) rmSync(at(place, 'run', 'pairs'), { recursive: true, force: true });
    }
    expect(killed).toBeGreaterThan(1);
    expectRight(await running(command('ko', place), inPlace(place)), 'ko', place);
  });

  test('while the output is written: an earlier one stays, and the next run takes the leftover away', async () => {
    const place = 'killed writing';
    const argv = command('ko', place);
    writeFileSync(written('ko', place), 'an earlier livepatch');
    const env = preload(
      'killing.cjs',
      `const rename = promises.rename; promises.rename = async (from, to) => { if (String(to).endsWith('.ko')) process.kill(process.pid, 'SIGKILL'); return rename(from, to); };`,
    );
    const ran = await running(argv, { ...inPlace(place), env });
    expect(ran.signal).toBe('SIGKILL');
    expect(readFileSync(written('ko', place), 'utf8')).toBe('an earlier livepatch');
    expect(litter(place)).toHaveLength(1);
    // A file of an hour ago is nobody's any more; a young one may be of a run on another machine.
    const young = at(place, '.livepatch.ko.1.0.tmp');
    writeFileSync(young, '');
    utimesSync(
      at(place, litter(place).find((name) => !young.endsWith(name))!),
      new Date(Date.now() - 2 * 3600_000),
      new Date(Date.now() - 2 * 3600_000),
    );
    expectRight(await running(argv, inPlace(place)), 'ko', place);
    expect(litter(place)).toEqual(['.livepatch.ko.1.0.tmp']);
  });
});

test('the thread that extracts ends: an error, no output, and the next run is right', async () => {
  const place = 'thread';
  const env = preload(
    'thread.cjs',
    `const open = fs.openSync; if (!isMainThread) fs.openSync = (path, ...rest) => { if (String(path).includes('.livepatch-')) process.exit(7); return open(path, ...rest); };`,
  );
  const ran = await running(command('ko', place), { ...inPlace(place), env });
  expect(ran.status).toBe(1);
  expect(errorOf(ran)).toMatchObject({ code: 'thread-lost' });
  expect(existsSync(written('ko', place))).toBe(false);
  expectRight(await running(command('ko', place), inPlace(place)), 'ko', place);
});

describe('the disk is full', () => {
  /** Writes to files with this in their name fail. */
  const full = (name: string, error: string): Record<string, string> =>
    preload(
      `full-${name}-${error}.cjs`,
      `
    const fail = (path) => { if (String(path).includes(${JSON.stringify(name)})) throw Object.assign(new Error('injected'), { code: '${error}', syscall: 'write' }); };
    const paths = new Map();
    const { openSync } = fs;
    fs.openSync = (path, ...rest) => { const fd = openSync(path, ...rest); paths.set(fd, path); return fd; };
    for (const name of ['writeSync', 'writevSync']) {
      const write = fs[name];
      fs[name] = (fd, ...rest) => { fail(paths.get(fd) ?? ''); return write(fd, ...rest); };
    }
    const { open } = promises;
    promises.open = async (path, ...rest) => {
      const handle = await open(path, ...rest);
      const write = handle.write.bind(handle);
      handle.write = async (...args) => { fail(path); return write(...args); };
      return handle;
    };`,
    );

  test.each([
    ['the output', '.livepatch.ko.', 'ENOSPC', 'no-space'],
    ['the output', '.livepatch.ko.', 'EIO', 'write-failed'],
    ['the record of the livepatch', '.livepatch-', 'ENOSPC', 'no-space'],
  ] as const)('%s (%s, %s)', async (what, name, error, code) => {
    const place = `full ${what} ${error}`;
    const argv = command('ko', place);
    writeFileSync(written('ko', place), 'an earlier livepatch');
    const ran = await running(argv, { ...inPlace(place), env: full(name, error) });
    expect(ran.status, ran.stdout).toBe(1);
    expect(errorOf(ran).code).toBe(code);
    expect(readFileSync(written('ko', place), 'utf8')).toBe('an earlier livepatch');
    expect(litter(place)).toEqual([]);
    expect(halfWritten(at(place, 'run'))).toEqual([]);
    expectRight(await running(argv, inPlace(place)), 'ko', place);
  });

  test('a real one, where the output goes', async (context) => {
    const disk = at('disk');
    mkdirSync(disk);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', disk]).status !== 0)
      return context.skip('cannot mount a tmpfs here');
    mounts.push(disk);
    const ran = await running(command('ko', 'disk', { runDir: at('run of the disk') }), inPlace('disk'));
    expect(outputs['ko']!.length).toBeGreaterThan(8192);
    expect(ran.status).toBe(1);
    expect(errorOf(ran)).toMatchObject({ code: 'no-space', message: expect.stringContaining('livepatch.ko') });
    expect(readdirSync(disk)).toEqual([]);
  });

  const mounts: string[] = [];
  afterAll(() => mounts.forEach((disk) => spawnSync('umount', [disk])));
});

test('the record of a livepatch, damaged in any way: made again, and right', async () => {
  const record = (place: string): string => filesOf(at(place, 'run')).find((path) => path.includes('livepatch-'))!;
  const ways: Array<(path: string) => void> = [
    (path) => truncateSync(path, 100),
    (path) => truncateSync(path, 0),
    (path) => {
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1]! ^= 4;
      writeFileSync(path, bytes);
    },
    (path) => rmSync(path),
    (path) =>
      copyFileSync(
        at('damaged 0', 'run', filesOf(at('damaged 0', 'run')).find((name) => name.endsWith('table.pb'))!),
        path,
      ),
  ];
  for (const [i, damage] of ways.entries()) {
    const place = `damaged ${i}`;
    mkdirSync(at(place));
    cpSync(at('whole', 'run'), at(place, 'run'), { recursive: true });
    damage(at(place, 'run', record(place)));
    expectRight(await running(command('ko', place), inPlace(place)), 'ko', place);
    const again = await running(command('ko', place), inPlace(place));
    expectRight(again, 'ko', place);
    expect(again.events.filter(({ reused }) => reused).map(({ stage }) => stage)).toContain('extract');
  }
});

describe('a file that it is made from changes', () => {
  const FILES = ['symvers', 'listing', 'btf', 'template'] as const;
  const copies = (place: string): SmallKernel => {
    mkdirSync(at(place), { recursive: true });
    return {
      ...kernel,
      ...Object.fromEntries(
        FILES.map((file) => [file, (copyFileSync(kernel[file], at(place, file)), at(place, file))]),
      ),
    };
  };

  test.each(FILES)('%s, during the run: it is told, and there is no output', async (file) => {
    for (const stage of ['identify', 'assess', 'extract']) {
      const place = `changed ${file} ${stage}`;
      const files = copies(place);
      const touch = (): void => writeFileSync(files[file], readFileSync(files[file]));
      let told = 0;
      // Held there until the file was changed: otherwise the run might be past it.
      const env = preload(
        'slow.cjs',
        `const write = process.stderr.write.bind(process.stderr); if (isMainThread) process.stderr.write = (text, ...rest) => { const done = write(text, ...rest); if (String(text).includes('"stage":"${stage}"')) { const end = Date.now() + 20000; while (!fs.existsSync(${JSON.stringify(at(place, 'changed'))}) && Date.now() < end); } return done; };`,
      );
      const ran = await running(command('ko', place, { files }), {
        ...inPlace(place),
        env,
        onEvent: (event) => {
          if (event.stage !== stage || told++ > 0) return;
          touch();
          writeFileSync(at(place, 'changed'), '');
        },
      });
      expect(told, stage).toBeGreaterThan(0);
      expect(ran.status, `${file} changed after ${stage}: ${ran.stdout.slice(0, 300)}`).toBe(1);
      expect(errorOf(ran)).toMatchObject({ code: 'input-changed', where: { object: files[file] } });
      expect(existsSync(written('ko', place))).toBe(false);
      expect(litter(place)).toEqual([]);
    }
  });

  test('between two runs: the second one is made from what is there now', async () => {
    const place = 'between';
    const files = copies(place);
    const argv = command('ko', place, { files });
    expect((await running(argv, inPlace(place))).status).toBe(EXIT_CODES.patchable);
    expect(readFileSync(written('ko', place)).equals(outputs['ko']!)).toBe(true);
    writeFileSync(
      files.symvers,
      readFileSync(files.symvers, 'latin1').replace('0x44444444', '0x4444aaaa').replace('0x22222222', '0x2222aaaa'),
    );
    expect((await running(argv, inPlace(place))).status).toBe(EXIT_CODES.patchable);
    const second = readFileSync(written('ko', place));
    expect(second.equals(outputs['ko']!)).toBe(false);
    expect(second.includes(Buffer.from('aaaa2222', 'hex'))).toBe(true);
    // A listing that lacks a function that is replaced.
    const [changed] = resultOf({ stdout: answers['ko']!, stderr: '' }).objects[0]!.functions.changed;
    writeFileSync(
      files.listing,
      readFileSync(files.listing, 'latin1').replace(` ${changed!.name}\n`, ' another_name\n'),
    );
    const refused = await running(argv, inPlace(place));
    expect(refused.status).toBe(EXIT_CODES.refused);
    expect(readFileSync(written('ko', place)).equals(second)).toBe(true);
  });
});

test('two runs on one run directory and one output at once: every answer and the output are right', async () => {
  for (let round = 0; round < 2; round++) {
    const place = `at once ${round}`;
    const runs = await Promise.all(Array.from({ length: 3 }, () => running(command('ko', place), inPlace(place))));
    for (const ran of runs) expectRight(ran, 'ko', place);
    expect(litter(place)).toEqual([]);
    expect(halfWritten(at(place, 'run'))).toEqual([]);
  }
});

describe('a place where the output cannot go', () => {
  const argv = (output: string, files: Partial<SmallKernel> = {}): string[] => {
    const made = command('ko', 'places', { files });
    made[made.indexOf('-o') + 1] = output;
    return [...made, '--format', 'ko'];
  };

  test('an input, by whatever name: refused before any work, and the input stays', async () => {
    const files: SmallKernel = { ...kernel };
    for (const file of ['orig', 'patched', 'symvers', 'listing', 'btf', 'template'] as const) {
      files[file] = at(`input ${file}.ko`);
      copyFileSync(kernel[file], files[file]);
    }
    symlinkSync(files.orig, at('link.ko'));
    for (const output of [
      ...(['orig', 'patched', 'symvers', 'listing', 'btf', 'template'] as const).map((file) => files[file]),
      at('link.ko'),
    ]) {
      const ran = await running(argv(output, files), inPlace('kernel'));
      expect(ran.status, output).toBe(1);
      expect(errorOf(ran)).toMatchObject({
        code: 'usage',
        message: expect.stringContaining('may not replace an input'),
      });
      expect(ran.events).toEqual([]);
    }
    for (const file of ['orig', 'patched', 'symvers', 'listing', 'btf', 'template'] as const)
      expect(readFileSync(files[file]).equals(readFileSync(kernel[file])), file).toBe(true);
  });

  test('link: one of its objects', async () => {
    const object = at('linked.ko');
    copyFileSync(written('o', 'whole'), object);
    const ran = await running([
      'link',
      object,
      '-o',
      object,
      '--symvers',
      kernel.symvers,
      '--btf',
      kernel.btf,
      '--template',
      kernel.template,
      '--json',
    ]);
    expect(ran.status).toBe(1);
    expect(errorOf(ran)).toMatchObject({ code: 'usage', message: expect.stringContaining('may not replace an input') });
    expect(readFileSync(object).equals(outputs['o']!)).toBe(true);
  });

  test.each([
    ['a folder', () => (mkdirSync(at('folder.ko'), { recursive: true }), at('folder.ko')), /not a regular file/],
    ['a folder that is not there', () => at('missing', 'x.ko'), /no such folder/],
    ['a path through a file', () => join(kernel.symvers, 'x.ko'), /not a directory/],
    ['a pipe', () => (spawnSync('mkfifo', [at('pipe.ko')]), at('pipe.ko')), /not a regular file/],
    ['standard output', () => '/dev/stdout', /ends in \.ko|no place for files/],
    ['a device', () => '/dev/null.ko', /no place for files/],
    ['/proc', () => '/proc/x.ko', /no place for files/],
  ])('%s: an error before any work', async (_, make, says) => {
    const path = make();
    const ran = await running(argv(path), inPlace('kernel'));
    expect(ran.status).toBe(1);
    expect(['write-failed', 'usage']).toContain(errorOf(ran).code);
    expect(errorOf(ran).message).toMatch(says);
    expect(ran.events).toEqual([]);
    expect(existsSync('/dev/null.ko')).toBe(false);
  });

  test('standard output as an object: /dev/stdout is what it was', async () => {
    // As root, the name itself would be replaced.
    const file = openSync(at('stdout'), 'w');
    const made = command('o', 'places');
    made[made.indexOf('-o') + 1] = '/dev/stdout';
    const { status } = spawnSync(
      process.execPath,
      [join(__dirname, '../../dist/main.js'), ...made, '--format', 'klp'],
      {
        stdio: ['ignore', file, 'ignore'],
      },
    );
    closeSync(file);
    expect(status).toBe(1);
    expect(readFileSync(at('stdout'), 'utf8')).toContain('no place for files');
    expect(spawnSync('readlink', ['/dev/stdout'], { encoding: 'utf8' }).stdout).toBe('/proc/self/fd/1\n');
  });

  test('a folder that may not be written', async (context) => {
    chmodSync(folder, 0o755);
    const under = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    if ((await running(['--version'], { under }).catch(() => undefined))?.status !== 0)
      context.skip('this is root, and nobody cannot run klpflow here');
    mkdirSync(at('read-only'), { mode: 0o555 });
    mkdirSync(at('writable'));
    chmodSync(at('writable'), 0o777);
    const made = argv(at('read-only', 'x.ko'));
    made[made.indexOf('--run-dir') + 1] = at('writable', 'run');
    const ran = await running(made, { under, cwd: at('kernel') });
    expect(ran.status).toBe(1);
    expect(errorOf(ran)).toMatchObject({ code: 'write-failed', message: expect.stringContaining('permission denied') });
    expect(readdirSync(at('read-only'))).toEqual([]);
  });
});

test('a run that was interrupted by Ctrl-C before the output: none, exit code 130', async () => {
  const place = 'interrupted';
  const ran = await klpflowInterrupted(command('ko', place), place);
  expect(ran.status).toBe(130);
  expect(existsSync(written('ko', place))).toBe(false);
  expectRight(await running(command('ko', place), inPlace(place)), 'ko', place);
});

function klpflowInterrupted(argv: string[], place: string): Promise<Ran> {
  return running(argv, {
    ...inPlace(place),
    onEvent: (event, child) => void (event.stage === 'identify' && child.kill('SIGINT')),
  });
}
