/**
 * The commands as they are typed. What this guards against: a script that goes on after an error because the exit code was 0,
 * that reads progress as a result, or gets half of one; and a person who is told nothing useful.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { StatusResult } from '../../src';
import { ENDBR, FENTRY_SITE, RETURN, code, disp32, object, ref32 } from '../support/elf-builder';
import { EXIT_CODES, MAIN, errorOf, resultOf, running, withoutRun, type Ran } from '../support/run-klpflow';
import { filesOf, smallPair, type SmallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let pair: SmallPair;
/** A diff of the pair, and the run directory it left. */
let done: Ran;
const runDir = join(folder, 'run');

const at = (name: string): string => join(folder, name);
const diff = (...flags: string[]): string[] => ['diff', pair.orig, pair.patched, '--run-dir', runDir, ...flags];
const jsonOf = <T>(ran: Pick<Ran, 'stdout'>): T => JSON.parse(ran.stdout) as T;

beforeAll(async () => {
  pair = await smallPair(folder);
  done = await running(diff('--json', '--progress', 'none'));
  expect(done).toMatchObject({ status: 0, stderr: '' });
  const { orig } = await smallPair(at('big'), 3000, {});
  paused = pausedReader(['diff', pair.orig, orig, '--run-dir', at('run big'), '--json', '--progress', 'none']);
});

/** Reads what a command prints eleven seconds after it began to; waited for where that is tested. */
let paused: Promise<{ status: number | null; stdout: string }>;

function pausedReader(argv: readonly string[]): typeof paused {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, ...argv], { stdio: ['ignore', 'pipe', 'ignore'] });
    let stdout = '';
    child.stdout
      .setEncoding('utf8')
      .once('readable', () => setTimeout(() => child.stdout.on('data', (text: string) => (stdout += text)), 11_000));
    child.on('close', (status) => resolve({ status, stdout }));
  });
}

/** A shell command line with `klpflow` in it. */
function shell(
  line: string,
  env: Record<string, string> = {},
): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(
    'bash',
    ['-c', `klpflow() { "${process.execPath}" "${MAIN}" "$@"; }; ${line}`],
    {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, ...env },
      timeout: 60_000,
      maxBuffer: 1 << 28,
    },
  );
  return { status, stdout, stderr };
}

describe('usage errors', () => {
  test.each<[argv: string[], says: RegExp]>([
    [['diff'], /missing ORIG and PATCHED/],
    [['diff', 'a.o'], /missing PATCHED/],
    [['diff', 'a.o', 'b.o', 'c.o'], /Unexpected argument: c\.o/],
    [['diff', 'a.o', 'b.o', '--frobnicate'], /Nonexistent flag: --frobnicate/],
    [
      ['diff', 'a.o', 'b.o', '--workers', '0'],
      /--workers: Expected an integer greater than or equal to 1 but received: 0/,
    ],
    [['diff', 'a.o', 'b.o', '--workers', '-1'], /--workers: .*-1/],
    [['diff', 'a.o', 'b.o', '--workers', '1000'], /--workers: .* less than or equal to 256 .*1000/],
    [['diff', 'a.o', 'b.o', '--workers', 'two'], /--workers: Expected an integer but received: two/],
    [['diff', 'a.o', 'b.o', '--workers'], /--workers expects a value/],
    [['diff', 'a.o', 'b.o', '--progress', 'bogus'], /--progress=bogus to be one of: auto, tree, lines, json, none/],
    [
      ['diff', 'a.o', 'b.o', '--allow', 'bogus'],
      /--allow bogus: there is no diagnostic bogus; these can be allowed: added-unit, .*sealed-endbr/,
    ],
    [['diff', 'a.o', 'b.o', '--allow', 'constructor'], /there is no diagnostic constructor/],
    [
      ['diff', 'a.o', 'b.o', '--allow', 'changed-data:jiffies'],
      /--allow changed-data:jiffies: changed-data cannot be allowed/,
    ],
    [['diff', 'a.o', 'b.o', '--run-dir', ''], /--run-dir: the name is empty/],
    [['diff', 'a.o', 'b.o', '-o', '-', '--symvers', 'symvers'], /-o -: standard output is the report's; .* \.\/-/],
    // A livepatch that replaces the others although it was told not to.
    [
      ['diff', 'a.o', 'b.o', '-o', 'x.o', '--symvers', 'symvers', '--no-replace'],
      /--no-replace belongs to a finished module \(-o FILE\.ko\)/,
    ],
    [
      [
        'diff',
        'a.o',
        'b.o',
        '-o',
        'x',
        '--format',
        'kpatch',
        '--symvers',
        'symvers',
        '--vmlinux',
        'v',
        '--state',
        '5:1',
      ],
      /--state belongs to a finished module/,
    ],
    [['diff', 'a.o', 'b.o', '--klp-arch'], /--klp-arch belongs to --format kpatch -o FILE/],
    [
      ['diff', 'a.o', 'b.o', '-o', 'x.ko', '--symvers', 'symvers', '--template', 't.ko', '--klp-arch'],
      /--klp-arch belongs to --format kpatch/,
    ],
    [['scan'], /missing OBJECT/],
    [['explain', 'a.o', 'b.o'], /missing SYMBOL/],
    [['explain', 'a.o', 'b.o', 'f', '--context', '-1'], /--context: .*-1/],
    [['explain', 'a.o', 'b.o', 'f', '--allow', 'sealed-endbr'], /Nonexistent flag: --allow/],
  ])('%j', async (argv, says) => {
    const [text, json] = await Promise.all([running(argv), running([...argv, '--json'])]);
    expect(text).toMatchObject({ status: 1, stdout: '' });
    expect(text.stderr).toMatch(new RegExp(`^error usage: .*${says.source}.*\\n      .+\\n$`));
    expect(json).toMatchObject({ status: 1, stderr: '' });
    expect(errorOf(json)).toMatchObject({ code: 'usage', message: expect.stringMatching(says) });
  });

  test('nothing was made for them', () => {
    expect(readdirSync(folder).sort()).toEqual(['big', 'orig.o', 'patched.o', 'run', 'run big']);
  });
});

describe('streams', () => {
  test('results on stdout, progress on stderr, in every mode', async () => {
    const answer = withoutRun(done);
    for (const mode of ['auto', 'tree', 'lines', 'json', 'none']) {
      const ran = await running(diff('--fresh', '--json', '--progress', mode));
      expect(withoutRun(ran)).toBe(answer);
      const line = {
        auto: /^\[ *\d+\.\d\d s\] [a-z]+/,
        lines: /^\[ *\d+\.\d\d s\] [a-z]+/,
        json: /^\{"stage":/,
        tree: /^(\r?\x1b\[\d+A\x1b\[J)?[a-z]+ +[█░]{24} \d+\/\d+|^\d+\.\d s, \d+ workers?$|^\r?\x1b\[\d+A\x1b\[J$/,
        none: /$never/,
      }[mode]!;
      const lines = ran.stderr.split('\n').filter((text) => text !== '');
      for (const text of lines) expect(text).toMatch(line);
      expect(lines.length > 0, mode).toBe(mode !== 'none');
    }
  });

  test('lines say what was done, what was reused and why something was not', async () => {
    const used = at('used');
    await running(['diff', pair.orig, pair.patched, '--run-dir', used]);
    rmSync(join(used, 'pairs'), { recursive: true });
    const table = filesOf(used).find((path) => path.endsWith('table.pb'))!;
    writeFileSync(join(used, table), 'garbage');
    const { stderr } = await running(['diff', pair.orig, pair.patched, '--run-dir', used]);
    const told = stderr
      .trim()
      .split('\n')
      .map((line) => line.replace(/^\[ *[\d.]+ s\] /, '').replaceAll(folder, ''))
      .sort();
    const [good, bad] = table.includes((await digestOf(pair.orig))!)
      ? ['/patched.o', '/orig.o']
      : ['/orig.o', '/patched.o'];
    expect(told).toEqual(
      [
        'assess 2/2',
        'compare',
        'correlate',
        'extract',
        'digest /orig.o 2/2, reused',
        'digest /patched.o 2/2, reused',
        'identify /orig.o, reused',
        'identify /patched.o, reused',
        `scan ${good}, reused`,
        `scan ${bad}, not reused: damaged`,
      ].sort(),
    );
  });

  test('a terminal gets bars that are gone at the end, a dumb one lines', (context) => {
    if (spawnSync('script', ['--version']).error !== undefined) context.skip('there is no script (util-linux)');
    const terminal = (env: Record<string, string>): string =>
      shell(
        `export -f klpflow; SHELL=$BASH script -qec 'klpflow diff orig.o patched.o --run-dir run --fresh --workers 1' /dev/null </dev/null`,
        env,
      ).stdout.replaceAll('\r', '');
    const shown = terminal({ TERM: 'xterm' });
    expect(shown).toMatch(/^identify +█{24} 1\/1 orig\.o\n/);
    // Each redraw goes up over what was drawn and erases it; so does the end.
    let drawn = 0;
    for (const frame of shown.split(/(?=\x1b\[\d+A\x1b\[J)/)) {
      const up = /^\x1b\[(\d+)A/.exec(frame)?.[1];
      expect(Number(up ?? 0)).toBe(drawn);
      const bars = frame.split('\n').filter((line) => /[█░]{24}/.test(line)).length;
      // And the line of the run below them.
      drawn = bars === 0 ? 0 : bars + 1;
    }
    expect(drawn).toBe(0);
    expect(shown.slice(shown.lastIndexOf('\x1b[J'))).toMatch(/^\x1b\[J\x1b\[32mPATCHABLE\x1b\[0m {2}vmlinux/);
    const dumb = terminal({ TERM: 'dumb' });
    expect(dumb).not.toContain('\x1b');
    expect(dumb).toMatch(/^\[ +\d\.\d\d s\] identify/);
  });

  test('no colours where nobody wants them', (context) => {
    if (spawnSync('script', ['--version']).error !== undefined) context.skip('there is no script (util-linux)');
    expect(shell('klpflow diff --help').stdout).not.toContain('\x1b');
    const help = shell(
      `export -f klpflow; SHELL=$BASH script -qec 'klpflow diff --help; klpflow diff orig.o patched.o --run-dir run --json --progress none; klpflow diff nothing.o patched.o --run-dir run' /dev/null </dev/null`,
      { TERM: 'xterm', NO_COLOR: '1' },
    );
    expect(help.stdout).toContain('USAGE');
    expect(help.stdout).toContain('klpflow/diff@1');
    expect(help.stdout).toContain('error unreadable');
    expect(help.stdout).not.toMatch(/\x1b\[[\d;]*m/);
  });

  test('a reader that has seen enough ends neither the run nor its exit code', () => {
    expect(
      shell('klpflow diff orig.o patched.o --run-dir run --fresh --json | head -1; echo "${PIPESTATUS[0]}"'),
    ).toMatchObject({ stdout: '{\n0\n' });
    const all = shell(
      'klpflow diff orig.o patched.o --run-dir run --fresh --progress json 2>&1 >/dev/null | head -1 >/dev/null; echo "${PIPESTATUS[0]}"',
    );
    expect(all).toEqual({ status: 0, stdout: '0\n', stderr: '' });
    expect(shell('klpflow diff orig.o patched.o --run-dir run --json 2>&- | tail -1')).toMatchObject({ stdout: '}\n' });
  });

  test('a full disk behind stderr does not either', (context) => {
    if (shell('test -w /dev/full').status !== 0) context.skip('there is no /dev/full');
    const { status, stdout } = shell('klpflow diff orig.o patched.o --run-dir run --fresh --json 2>/dev/full');
    expect(status).toBe(0);
    expect(withoutRun({ stdout, stderr: '' })).toBe(withoutRun(done));
  });

  test('a reader that pauses gets everything', async () => {
    // oclif gives up after ten seconds and ends the process: of 700 KB the first 64 arrived, and nothing told.
    const { status, stdout } = await paused;
    expect([EXIT_CODES.patchable, EXIT_CODES.refused]).toContain(status);
    expect(stdout.length).toBeGreaterThan(200_000);
    expect(withoutRun({ stdout, stderr: '' })).toBe(
      withoutRun(
        await running([
          'diff',
          pair.orig,
          at('big/orig.o'),
          '--run-dir',
          at('run big'),
          '--json',
          '--progress',
          'none',
        ]),
      ),
    );
  });
});

describe('paths', () => {
  test.each(['with a space.o', 'mit ümläut “und” mehr.o', '-dash.o', '--json', '%s %d.o', 'quote\'"s.o'])(
    '%s',
    async (name) => {
      copyFileSync(pair.orig, at(name));
      // Behind `--` everything is a path.
      const ran = await running(
        ['diff', '--run-dir', runDir, '--progress', 'none', '--json', '--', name, 'patched.o'],
        { cwd: folder },
      );
      expect(ran).toMatchObject({ status: 0, stderr: '' });
      expect(withoutRun(ran)).toBe(withoutRun(done));
      const text = await running(['diff', '--run-dir', runDir, '--progress', 'lines', '--', name, 'patched.o'], {
        cwd: folder,
      });
      expect(text.stderr).toContain(`identify ${name}`);
      rmSync(at(name));
      const missing = await running(['diff', '--run-dir', runDir, '--json', '--', name, 'patched.o'], { cwd: folder });
      expect(errorOf(missing)).toMatchObject({
        message: `cannot read ${name}: no such file or directory`,
        where: { object: name },
      });
    },
  );
});

describe('flags', () => {
  test('--workers: the answer does not depend on them', async () => {
    for (const workers of ['1', '3', '9']) {
      const ran = await running(diff('--json', '--progress', 'none', '--fresh', '--workers', workers));
      expect(withoutRun(ran)).toBe(withoutRun(done));
      expect(resultOf(ran).run.workers).toBe(Number(workers));
    }
  });

  test('--allow turns that refusal into a warning, of that symbol only', async () => {
    const build = (uses: boolean): Buffer => {
      const builder = object().file('x.c');
      for (const name of ['first', 'second'])
        builder.func(name, code(ENDBR, FENTRY_SITE, RETURN)).special('.ibt_endbr_seal', ref32(name));
      const take = (name: string) => code([0x48, 0x8d, 0x3d, disp32(name)]);
      return builder
        .func('user', code(ENDBR, FENTRY_SITE, ...(uses ? [take('first'), take('second')] : [code([0x90])]), RETURN))
        .bytes();
    };
    writeFileSync(at('sealed.o'), build(false));
    writeFileSync(at('taken.o'), build(true));
    const severities = async (...flags: string[]): Promise<[number | null, string[]]> => {
      const ran = await running([
        'diff',
        at('sealed.o'),
        at('taken.o'),
        '--run-dir',
        runDir,
        '--json',
        '--progress',
        'none',
        ...flags,
      ]);
      return [
        ran.status,
        resultOf(ran)
          .diagnostics.filter(({ code: told }) => told === 'sealed-endbr')
          .map(({ severity, where }) => `${severity} ${where.symbol}`),
      ];
    };
    expect(await severities()).toEqual([EXIT_CODES.refused, ['refusal first', 'refusal second']]);
    expect(await severities('--allow', 'sealed-endbr:first')).toEqual([
      EXIT_CODES.refused,
      ['warning first', 'refusal second'],
    ]);
    expect(await severities('--allow', 'sealed-endbr:first', '--allow', 'sealed-endbr:second')).toEqual([
      EXIT_CODES.patchable,
      ['warning first', 'warning second'],
    ]);
    expect(await severities('--allow', 'sealed-endbr')).toEqual([
      EXIT_CODES.patchable,
      ['warning first', 'warning second'],
    ]);
    expect(await severities('--allow', 'sealed-endbr:other')).toEqual([
      EXIT_CODES.refused,
      ['refusal first', 'refusal second'],
    ]);
    // The outcome of one is not taken for the other's.
    expect(await severities()).toEqual([EXIT_CODES.refused, ['refusal first', 'refusal second']]);
  });

  test('--trace-out writes a trace of all tasks, whole or not at all', async () => {
    const trace = at('trace.json');
    expect(await running(diff('--fresh', '--trace-out', trace))).toMatchObject({ status: 0 });
    const { traceEvents } = JSON.parse(readFileSync(trace, 'utf8')) as {
      traceEvents: Array<{ name: string; ts: number; dur: number }>;
    };
    expect(traceEvents.map(({ name }) => name).sort()).toEqual(
      expect.arrayContaining(['assess', 'compare', 'digest', 'identify', 'readTable', 'special']),
    );
    for (const { ts, dur } of traceEvents) expect(Math.min(ts, dur)).toBeGreaterThanOrEqual(0);
    const ran = await running(diff('--json', '--trace-out', at('nowhere/trace.json')));
    expect(ran.status).toBe(1);
    expect(errorOf(ran)).toMatchObject({ code: 'write-failed', message: expect.stringContaining('no such folder') });
  });

  // Guards against ORIG replaced by a trace, and, for root, /dev/null by a file.
  test('--trace-out replaces no input and nothing but a file', async () => {
    const before = readFileSync(pair.orig);
    expect(errorOf(await running(diff('--json', '--trace-out', pair.orig)))).toMatchObject({ code: 'usage' });
    expect(readFileSync(pair.orig).equals(before)).toBe(true);
    execFileSync('mkfifo', [at('trace.pipe')]);
    expect(errorOf(await running(diff('--json', '--trace-out', at('trace.pipe'))))).toMatchObject({
      code: 'write-failed',
    });
    expect(statSync(at('trace.pipe')).isFIFO()).toBe(true);
  });

  // Guards against a thread that waits in a pipe: no Ctrl-C ends it.
  test.each(['klp', 'kpatch'])('lists that never end are refused, with --format %s', async (format) => {
    const [symvers, listing, pipe] = [at('Module.symvers'), at('symtab'), at(`${format}.pipe`)];
    writeFileSync(symvers, '');
    writeFileSync(listing, execFileSync('readelf', ['-sW', pair.orig]));
    execFileSync('mkfifo', [pipe]);
    const made = (...files: string[]): string[] =>
      diff(
        '--json',
        '--format',
        format,
        '-o',
        at('listed.o'),
        ...(format === 'kpatch' ? ['--vmlinux', listing] : []),
        ...files,
      );
    if (format === 'kpatch') expect(await running(made('--symvers', symvers))).toMatchObject({ status: 0 });
    for (const path of [pipe, '/dev/zero']) {
      for (const files of [
        ['--symvers', path],
        ['--symvers', symvers, '--ftrace', path],
      ]) {
        const ran = await running(made(...files));
        expect(ran.status).toBe(1);
        expect(errorOf(ran)).toMatchObject({ code: 'not-regular-file', where: { object: path } });
      }
    }
  });

  test('--btf says what is wrong with the file', async () => {
    for (const [path, told] of [
      [pair.orig, 'no-btf'],
      [at('nothing'), 'unreadable'],
      [folder, 'not-regular-file'],
      [join(__dirname, 'cli.test.ts'), 'malformed-elf'],
    ] as const) {
      const ran = await running(diff('--json', '--btf', path));
      expect(ran.status).toBe(1);
      expect(errorOf(ran)).toMatchObject({ code: told, where: { object: path } });
    }
  });
});

describe('help', () => {
  const commands = (
    JSON.parse(readFileSync(join(__dirname, '../../oclif.manifest.json'), 'utf8')) as {
      commands: Record<string, { summary: string }>;
    }
  ).commands;

  test.each(['', ...Object.keys(commands)])(
    'klpflow %s --help: on stdout, 80 columns, no loose ends',
    async (command) => {
      const ran = await running([...(command === '' ? [] : [command]), '--help']);
      expect(ran).toMatchObject({ status: 0, stderr: '' });
      expect(ran.stdout).toContain('USAGE\n');
      expect(ran.stdout).not.toMatch(/undefined|\[object|<%|TODO/);
      for (const line of ran.stdout.split('\n').slice(command === '' ? 1 : 0))
        expect(line.length, line).toBeLessThanOrEqual(line.startsWith('  $ klpflow') ? 90 : 80);
      // oclif repeats a summary under DESCRIPTION unless told not to.
      if (command !== '') expect(ran.stdout.replace(/\s+/g, ' ').split(commands[command]!.summary).length).toBe(2);
    },
  );

  test('without a command: the list of commands', async () => {
    const ran = await running([]);
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    // A command of several words stands under the first one, its topic.
    for (const command of Object.keys(commands))
      expect(ran.stdout).toMatch(new RegExp(`^  ${command.split(':')[0]} +[a-z]`, 'm'));
  });
});

async function digestOf(path: string): Promise<string | null> {
  return jsonOf<StatusResult>(await running(['status', path, '--run-dir', runDir, '--json'])).inputs[0]!.digest;
}
