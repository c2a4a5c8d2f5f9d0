import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DiffResult } from '../../src';
import { body, call, movEax } from '../support/diff-objects';
import { object, type ObjectBuilder } from '../support/elf-builder';
import { errorOf, klpflow, resultOf, running, withoutRun } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (...names: string[]): string => join(folder, ...names);

/** A unit of three functions; `value` is what one of them returns. */
const unit = (name: string, value: number): ObjectBuilder =>
  object()
    .file(`${name}.c`)
    .func(`${name}_get`, body(movEax(value)), { bind: 'global' })
    .func(`${name}_use`, body(call(`${name}_get`)), { bind: 'global' })
    .func('helper', body(movEax(3)), { bind: 'local' });

const codesOf = ({ diagnostics }: DiffResult): string[] => diagnostics.map(({ code }) => code);

function write(path: string, content: ObjectBuilder | string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === 'string' ? content : content.bytes());
}

const UNITS = Array.from({ length: 60 }, (_, i) => `unit${i}`);
const CHANGED = ['unit3', 'unit17', 'unit44'];
const diff = (...argv: string[]): string[] => [
  'diff',
  at('orig'),
  at('patched'),
  '--json',
  '--progress',
  'json',
  ...argv,
];

beforeAll(() => {
  for (const [i, name] of UNITS.entries()) {
    const path = join(`dir${i % 7}`, `${name}.o`);
    write(at('orig', path), unit(name, 1));
    write(at('patched', path), unit(name, CHANGED.includes(name) ? 2 : 1));
  }
});

describe('two folders', () => {
  test('one summary: the functions that changed, each with its object', async () => {
    const result = resultOf(await running(diff('--run-dir', at('run'))));
    expect(result.verdict).toBe('patchable');
    expect(result.objects.map(({ name, functions }) => [name, functions.changed.map((entry) => entry.name)])).toEqual([
      ['dir2/unit44.o', ['unit44_get']],
      ['dir3/unit17.o', ['unit17_get']],
      ['dir3/unit3.o', ['unit3_get']],
    ]);
    // Two folders give no object of this dialect: what the kernel's files would tell is said once.
    expect(codesOf(result)).toEqual(['not-checked']);
    const text = await running(['diff', at('orig'), at('patched'), '--run-dir', at('run'), '--progress', 'none']);
    expect(text).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(
        /^PATCHABLE {2}3 objects differ; functions 3 changed, 0 new, 0 removed; data 0 changed, 0 new\n\ndir2\/unit44\.o: functions 1 changed/,
      ),
    });
  });

  test('the same bytes with any number of threads, and after a kill', async () => {
    // Which pair is done first must not decide anything.
    const answer = withoutRun(await running(diff('--run-dir', at('one'), '--workers', '1')));
    expect(withoutRun(await running(diff('--run-dir', at('three'), '--workers', '3')))).toBe(answer);
    let seen = 0;
    const killed = await klpflow(diff('--run-dir', at('killed')), ({ stage }) => stage === 'compare' && seen++ === 1);
    expect(killed.signal).toBe('SIGKILL');
    const next = await running(diff('--run-dir', at('killed')));
    expect(withoutRun(next)).toBe(answer);
    expect(next.events.some(({ stage, reused }) => stage === 'compare' && reused)).toBe(true);
  });

  test('--ftrace holds for every unit: what the kernel cannot trace is carried by its caller, or refused', async () => {
    // The list was once read for a pair of objects only; a folder then promised to redirect what nothing can.
    const listing = (without: readonly string[]): string => {
      const path = at(`traced-${without.length}`);
      write(
        path,
        `${UNITS.flatMap((name) => [`${name}_get`, `${name}_use`])
          .filter((name) => !without.includes(name))
          .join('\n')}\n`,
      );
      return path;
    };
    const asked = async (without: readonly string[]) =>
      resultOf(await running(diff('--run-dir', at('run'), '--ftrace', listing(without))));
    expect((await asked([])).objects.flatMap(({ functions }) => functions.carried)).toEqual([]);
    const carried = await asked(['unit17_get']);
    // The caller of its own unit comes along; those of other units, for it is a global, nobody sees.
    expect(carried.verdict).toBe('refused');
    expect(carried.diagnostics.map(({ code, where, message }) => [code, where.object, message])).toContainEqual([
      'not-traceable',
      'dir3/unit17.o',
      expect.stringContaining('other units'),
    ]);
    expect(carried.objects.flatMap(({ functions }) => functions.carried.map(({ name, via }) => [name, via]))).toEqual([
      ['unit17_use', ['unit17_get']],
    ]);
    const refused = await asked(['unit17_get', 'unit17_use']);
    expect(refused.verdict).toBe('refused');
    expect(refused.diagnostics.map(({ code, where }) => [code, where.object])).toContainEqual([
      'not-traceable',
      'dir3/unit17.o',
    ]);
  });

  test('a folder compared with itself: nothing changed', async () => {
    expect(await running(['diff', at('orig'), at('orig'), '--run-dir', at('run')])).toMatchObject({
      status: 3,
      stdout: expect.stringMatching(/^UNCHANGED {2}0 objects differ/),
    });
  });
});

describe('which file is which', () => {
  test('partitions that were renumbered pair by their units', async () => {
    // ld.lld numbers partitions by the order of its inputs: by name every function of every later unit would be new.
    const parts = ['alpha', 'beta', 'gamma'];
    parts.forEach((name, i) => write(at('lto-a', `vmlinux.o.thinlto.o${i}`), unit(name, 1)));
    ['fresh', ...parts].forEach((name, i) =>
      write(at('lto-b', `vmlinux.o.thinlto.o${i}`), unit(name, name === 'beta' ? 2 : 1)),
    );
    const result = resultOf(await running(['diff', at('lto-a'), at('lto-b'), '--json', '--run-dir', at('run')]));
    expect(
      result.objects
        .filter(({ functions }) => functions.changed.length > 0)
        .map(({ name, functions }) => [name, functions.changed.map((entry) => entry.name)]),
    ).toEqual([['vmlinux.o.thinlto.o1', ['beta_get']]]);
    expect(result.objects.flatMap(({ functions }) => functions.new)).toEqual([]);
    expect(codesOf(result)).toEqual(['unit-mismatch', 'not-checked']);
    expect(result.diagnostics).toContainEqual(
      expect.objectContaining({
        code: 'unit-mismatch',
        severity: 'warning',
        message: '1 objects exist in PATCHED only: vmlinux.o.thinlto.o0',
      }),
    );
  });

  test('what is no object is told, not dropped in silence', async () => {
    write(at('mixed-a', 'a.o'), unit('a', 1));
    write(at('mixed-b', 'a.o'), unit('a', 2));
    for (const side of ['mixed-a', 'mixed-b']) {
      write(at(side, 'bitcode.o'), 'BC\xc0\xde');
      write(at(side, 'notes.txt'), 'text');
      write(at(side, '.hidden.o'), unit('hidden', side === 'mixed-a' ? 1 : 2));
      write(at(side, 'module.ko'), unit('module', side === 'mixed-a' ? 1 : 2));
    }
    const result = resultOf(await running(['diff', at('mixed-a'), at('mixed-b'), '--json', '--run-dir', at('run')]));
    expect(result.objects.map(({ name }) => name)).toEqual(['a.o']);
    expect(codesOf(result)).toEqual(['not-checked', 'skipped-files']);
    expect(result.diagnostics).toContainEqual(
      expect.objectContaining({
        code: 'skipped-files',
        severity: 'note',
        message: expect.stringContaining('bitcode.o'),
      }),
    );
  });
});

describe('one error, exit code 1', () => {
  test.each([
    ['a folder and a file', () => [at('orig'), at('patched', 'dir0', 'unit0.o')], 'not-regular-file'],
    [
      'a folder without objects',
      () => (mkdirSync(at('empty'), { recursive: true }), [at('orig'), at('empty')]),
      'no-objects',
    ],
    [
      'an object that is cut off',
      () => {
        rmSync(at('cut'), { recursive: true, force: true });
        write(at('cut', 'dir0', 'unit0.o'), unit('unit0', 1));
        writeFileSync(at('cut', 'dir0', 'unit0.o'), unit('unit0', 1).bytes().subarray(0, 300));
        return [at('orig'), at('cut')];
      },
      'malformed-elf',
    ],
    [
      'a livepatch of folders without linked objects',
      () => [at('orig'), at('patched'), '-o', at('x.ko'), '--symvers', '/dev/null'],
      'no-objects',
    ],
  ] as const)('%s', async (_name, make, code) => {
    const ran = await running(['diff', ...make(), '--json', '--run-dir', at('bad')]);
    expect(ran.status).toBe(1);
    expect(errorOf(ran).code).toBe(code);
  });
});
