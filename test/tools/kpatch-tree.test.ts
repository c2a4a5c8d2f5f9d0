/**
 * `diff ORIGDIR PATCHEDDIR --format kpatch`: an object of each unit that changed, as kpatch-build makes them one after the other, and
 * linked as it links them.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createKlpModule } from '../../src';
import { skipWithout, unavailable } from '../support/corpus';
import { body, call, movEax, traced } from '../support/diff-objects';
import { ENDBR, RETURN, code, object, type ObjectBuilder } from '../support/elf-builder';
import { kpatchDiff } from '../support/kpatch-run';
import { linkWithHook, noCompiler } from '../support/kpatch-sources';
import { contentSections, folderOf, parentSymtab, textSymbols, unitsOf } from '../support/kpatch-units';
import { LinkedKernel } from '../support/linked-kernel';
import { readelfComplaints } from '../support/readelf';
import { EXIT_CODES, errorOf, klpflow, resultOf, running, withoutRun } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (...names: string[]): string => join(folder, ...names);

function write(path: string, content: ObjectBuilder | string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === 'string' ? content : content.bytes());
}

/** Files below a folder, sorted. */
const below = (root: string): string[] =>
  existsSync(root)
    ? readdirSync(root, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
        .sort()
    : [];
/** What is left of folders that were being written. */
const litter = (): string[] => readdirSync(folder).filter((name) => name.endsWith('.tmp'));

/** Hundreds, as a build has thousands; each a function that the next unit calls, and a static one. */
const UNITS = Array.from({ length: 300 }, (_, i) => `unit${String(i).padStart(3, '0')}`);
const CHANGED = ['unit003', 'unit117', 'unit118', 'unit244'];
const pathOf = (name: string): string => join(`dir${Number(name.slice(4)) % 7}`, `${name}.o`);
const next = (name: string): string => UNITS[(UNITS.indexOf(name) + 1) % UNITS.length]!;
const unit = (name: string, value: number): ObjectBuilder =>
  traced(
    object()
      .file(`${name}.c`)
      .func(`${name}_static`, body(movEax(7)), { bind: 'local' })
      .func(`${name}_get`, body(movEax(value), call(`${name}_static`), call(`${next(name)}_get`)), { bind: 'global' }),
    `${name}_static`,
    `${name}_get`,
  );

const SYMVERS = '0x00000001\t__x86_return_thunk\tvmlinux\tEXPORT_SYMBOL\t\n';
const diff = (run: string, output: string, ...more: string[]): string[] => [
  'diff',
  at('orig'),
  at('patched'),
  '--format',
  'kpatch',
  '-o',
  output,
  '--symvers',
  at('Module.symvers'),
  '--vmlinux',
  at('kallsyms'),
  '--run-dir',
  at(run),
  '--json',
  '--progress',
  'json',
  ...more,
];

beforeAll(() => {
  const kernel = new LinkedKernel();
  for (const name of UNITS) {
    write(at('orig', pathOf(name)), unit(name, 1));
    write(at('patched', pathOf(name)), unit(name, CHANGED.includes(name) ? 2 : 1));
    kernel.func(`${name}_static`, { local: true, size: 19 }).func(`${name}_get`, { size: 29 });
  }
  writeFileSync(at('kallsyms'), kernel.kallsyms());
  writeFileSync(at('Module.symvers'), SYMVERS);
});

describe('two folders of 300 units', () => {
  const paths = CHANGED.map(pathOf).sort();

  // Guards against a unit that is lost or too many on its way through the threads, and against another object than its own pair gives.
  test('an object for each unit that changed, the bytes that its pair alone gives', async () => {
    const ran = await running(diff('run', at('out')));
    const { verdict, objects, diagnostics, output } = resultOf(ran);
    expect({ verdict, status: ran.status, diagnostics }).toEqual({ verdict: 'patchable', status: 0, diagnostics: [] });
    expect(
      objects.map(({ name, functions, klpSymbols }) => [
        name,
        functions.changed.map((entry) => entry.name),
        klpSymbols.length,
      ]),
    ).toEqual(paths.map((path) => [path, [`${basename(path, '.o')}_get`], 3]));
    expect(below(at('out'))).toEqual(paths);
    expect(litter()).toEqual([]);

    const files = paths.map((path) => ({
      path,
      bytes: readFileSync(at('out', path)).length,
      sha256: createHash('sha256')
        .update(readFileSync(at('out', path)))
        .digest('hex'),
    }));
    const list = execFileSync('sha256sum', paths, { cwd: at('out') });
    expect(output).toEqual({
      path: at('out'),
      format: 'kpatch',
      files,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      sha256: createHash('sha256').update(list).digest('hex'),
    });
    for (const path of paths) {
      const alone = at(`alone-${basename(path)}`);
      const pair = await running([
        'diff',
        at('orig', path),
        at('patched', path),
        '--format',
        'kpatch',
        '-o',
        alone,
        '--symvers',
        at('Module.symvers'),
        '--vmlinux',
        at('kallsyms'),
        '--run-dir',
        at('pairs'),
        '--json',
      ]);
      expect(pair.status).toBe(0);
      expect(readFileSync(at('out', path)).equals(readFileSync(alone)), path).toBe(true);
    }
  });

  // Guards against objects that link alone only: names that collide, records that refer to another object's strings.
  test('linked with a hook, create-klp-module makes a module of all', async () => {
    if (noCompiler() !== undefined) return;
    await running(diff('run', at('linked')));
    const module = at('linked.ko');
    await createKlpModule({
      input: linkWithHook(
        folder,
        paths.map((path) => at('linked', path)),
      ),
      output: module,
      archSections: false,
      environment: {},
    });
    expect(readelfComplaints(module)).toBe('');
    expect(contentSections(module)['.kpatch.funcs']).toBe(CHANGED.length * 56);
    expect(textSymbols(module)).toEqual(expect.arrayContaining(CHANGED.map((name) => `${name}_get`)));
  });

  // Guards against an answer that depends on which thread is first, and against half a folder that is linked as if it were whole.
  test('the same with one thread and with three, and after a kill at each stage', async () => {
    const place = (name: string): string => join(at(name), 'out');
    const run = (name: string, ...more: string[]): string[] => {
      mkdirSync(at(name), { recursive: true });
      return diff(join(name, 'run'), 'out', ...more);
    };
    const contents = (name: string): string =>
      below(place(name))
        .map((path) => `${path} ${readFileSync(join(place(name), path)).toString('hex')}`)
        .join('\n');
    const answer = withoutRun(await running(run('one', '--workers', '1'), { cwd: at('one') }));
    expect(withoutRun(await running(run('three', '--workers', '3'), { cwd: at('three') }))).toBe(answer);
    expect(contents('three')).toBe(contents('one'));
    expect(contents('one').split('\n').length).toBe(CHANGED.length);
    for (const stage of ['identify', 'correlate', 'compare'] as const) {
      const name = `killed-${stage}`;
      let seen = 0;
      const killed = await running(run(name), {
        cwd: at(name),
        onEvent: (event, child) => void (event.stage === stage && seen++ === 1 && child.kill('SIGKILL')),
      });
      expect({ signal: killed.signal, there: existsSync(place(name)) }).toEqual({ signal: 'SIGKILL', there: false });
      const again = await running(run(name), { cwd: at(name) });
      expect(withoutRun(again)).toBe(answer);
      expect(contents(name)).toBe(contents('one'));
      if (stage === 'compare')
        expect(again.events.some((event) => event.stage === 'compare' && event.reused)).toBe(true);
    }
    // A record that went away is made again, although the report of its unit is there.
    const records = below(at('one')).filter((path) => /livepatch-.*\.pb$/.test(path));
    expect(records.length).toBe(CHANGED.length);
    rmSync(at('one', records[0]!));
    rmSync(place('one'), { recursive: true });
    expect(withoutRun(await running(run('one'), { cwd: at('one') }))).toBe(answer);
    expect(contents('one')).toBe(contents('three'));
  });

  // Guards against a folder with some of its objects, which ld -r joins as if they were all.
  test('killed, out of space or with a changed input while the objects are written: no folder, and what is left of it goes away', async () => {
    mkdirSync(at('broken'));
    const argv = diff('run', at('broken', 'out'));
    const left = (): string[] => readdirSync(at('broken'));
    /** Node loads this before klpflow; `body` runs when the last of the objects is renamed. */
    const atLast = (name: string, body: string): Record<string, string> => {
      writeFileSync(
        at(`${name}.cjs`),
        `const fs = require('node:fs'); const promises = require('node:fs/promises'); const { rename } = promises; let renamed = 0;
promises.rename = async (from, to) => { if (String(to).endsWith('.o') && ++renamed === ${CHANGED.length}) { ${body} } return rename(from, to); };`,
      );
      return { NODE_OPTIONS: `--require ${at(`${name}.cjs`)}` };
    };
    const full = await running(argv, {
      env: atLast('full', "throw Object.assign(new Error('injected'), { code: 'ENOSPC', syscall: 'write' });"),
    });
    expect([full.status, errorOf(full).code, left()]).toEqual([1, 'no-space', []]);
    const changed = await running(argv, {
      env: atLast('changed', `fs.appendFileSync(${JSON.stringify(at('kallsyms'))}, '\\n');`),
    });
    expect([changed.status, errorOf(changed).code, left()]).toEqual([1, 'input-changed', []]);
    const killed = await running(argv, { env: atLast('killed', "process.kill(process.pid, 'SIGKILL');") });
    expect({ signal: killed.signal, left: left().map((name) => name.replace(/\d+/g, 'N')) }).toEqual({
      signal: 'SIGKILL',
      left: ['.out.N.N.tmp'],
    });
    expect(below(at('broken', left()[0]!)).filter((path) => path.endsWith('.o')).length).toBe(CHANGED.length - 1);
    // One of an hour ago is nobody's.
    const long = new Date(Date.now() - 2 * 3600_000);
    utimesSync(at('broken', left()[0]!), long, long);
    expect((await running(argv)).status).toBe(0);
    expect(left()).toEqual(['out']);
    expect(below(at('broken', 'out'))).toEqual(paths);
  });

  // Guards against the rest of a patch that goes out without the unit that was refused.
  test('one unit that is refused: nothing is written, and every reason is told', async () => {
    mkdirSync(at('bad'));
    const copy = (name: string, content: (name: string) => ObjectBuilder): void =>
      write(at('bad', pathOf(name)), content(name));
    for (const name of UNITS) copy(name, (own) => unit(own, CHANGED.includes(own) ? 2 : 1));
    // Two functions that change and that ftrace cannot redirect, and a unit that only PATCHED has.
    for (const name of ['unit010', 'unit020']) {
      const untraced = (value: number): ObjectBuilder =>
        object()
          .file(`${name}.c`)
          .func(`${name}_get`, code(ENDBR, movEax(value), RETURN), { bind: 'global' });
      write(at('bad-orig', pathOf(name)), untraced(1));
      copy(name, () => untraced(2));
    }
    for (const name of UNITS.filter((other) => !existsSync(at('bad-orig', pathOf(other))))) {
      mkdirSync(dirname(at('bad-orig', pathOf(name))), { recursive: true });
      copyFileSync(at('orig', pathOf(name)), at('bad-orig', pathOf(name)));
    }
    write(
      at('bad', 'dir0', 'added.o'),
      object()
        .file('added.c')
        .func('added', body(movEax(1)), { bind: 'global' }),
    );
    const argv = diff('bad-run', at('bad-out')).map((word) =>
      word === at('orig') ? at('bad-orig') : word === at('patched') ? at('bad') : word,
    );
    const ran = await running(argv);
    const { verdict, diagnostics, output } = resultOf(ran);
    expect({ verdict, output, status: ran.status, there: existsSync(at('bad-out')) }).toEqual({
      verdict: 'refused',
      output: null,
      status: EXIT_CODES.refused,
      there: false,
    });
    expect(
      diagnostics.filter(({ severity }) => severity === 'refusal').map(({ code, where }) => `${code} ${where.object}`),
    ).toEqual([`not-traceable ${pathOf('unit010')}`, `not-traceable ${pathOf('unit020')}`, `added-unit ${at('bad')}`]);
    expect(litter()).toEqual([]);
  });

  // Guards against a new unit that the author links himself and that still stops the rest.
  test('--allow added-unit: the others are written', async () => {
    for (const name of CHANGED.slice(0, 2))
      for (const [side, value] of [
        ['few-orig', 1],
        ['few', 2],
      ] as const)
        write(at(side, pathOf(name)), unit(name, value));
    write(
      at('few', 'added.o'),
      object()
        .file('added.c')
        .func('added', body(movEax(1)), { bind: 'global' }),
    );
    const argv = diff('few-run', at('few-out')).map((word) =>
      word === at('orig') ? at('few-orig') : word === at('patched') ? at('few') : word,
    );
    expect(resultOf(await running(argv))).toMatchObject({ verdict: 'refused', output: null });
    const { verdict, diagnostics } = resultOf(await running([...argv, '--allow', 'added-unit']));
    expect({ verdict, told: diagnostics.map(({ code, severity }) => `${severity} ${code}`) }).toEqual({
      verdict: 'patchable',
      told: ['warning unit-mismatch', 'warning added-unit'],
    });
    expect(below(at('few-out'))).toEqual(CHANGED.slice(0, 2).map(pathOf).sort());
  });

  // Guards against objects of an earlier patch that are linked along, and against outputs that become inputs.
  test('a place that will not do is told before any work', async () => {
    write(at('full', 'old.o'), unit('unit000', 1));
    write(at('file'), 'text');
    mkdirSync(at('empty'));
    for (const [output, code, why] of [
      [at('full'), 'write-failed', 'not empty'],
      [at('file'), 'write-failed', 'not a folder'],
      [at('nowhere', 'out'), 'write-failed', 'no such folder'],
      ['/dev/klpflow-out', 'write-failed', 'no place for files'],
      [at('orig', 'out'), 'usage', 'lies in'],
      [at('patched'), 'usage', 'lies in'],
    ] as const) {
      const ran = await running(diff('run', output));
      expect([ran.status, errorOf(ran).code, errorOf(ran).message]).toEqual([1, code, expect.stringContaining(why)]);
      expect(ran.events).toEqual([]);
    }
    expect(below(at('full'))).toEqual(['old.o']);
    expect((await running(diff('run', at('empty')))).status).toBe(0);
    expect(below(at('empty'))).toEqual(paths);
    const klp = await running(diff('run', at('klp')).map((word) => (word === 'kpatch' ? 'klp' : word)));
    expect(errorOf(klp)).toMatchObject({
      code: 'usage',
      message: expect.stringContaining('--format kpatch') as string,
    });
  });
});

describe('units of real kernels', () => {
  beforeEach((context) => skipWithout(context, unavailable('kpatch-unit/x86_64', false)));

  // Guards against rules of the dialect that hold for one object and not in a folder. Each has a kernel of its own, so each is a folder.
  test("kpatch's unit tests of x86-64: what create-diff-object says and writes of each", async () => {
    const names = Object.entries(unitsOf('x86_64'))
      .filter(([, { exit, mustFail }]) => exit === 0 && mustFail !== true)
      .map(([name]) => name);
    expect(names.length).toBeGreaterThan(15);
    let compared = 0;
    for (const name of names.slice(0, 8)) {
      const [orig, patched] = [
        join(folderOf('x86_64'), `${name}.ORIG.o`),
        join(folderOf('x86_64'), unitsOf('x86_64')[name]!.patched),
      ];
      for (const [side, file] of [
        ['a', orig],
        ['b', patched],
      ] as const) {
        mkdirSync(at(name, side, 'sub'), { recursive: true });
        copyFileSync(file, at(name, side, 'sub', 'unit.o'));
      }
      const inline = await kpatchDiff(orig, patched, orig, at(`${name}.o`), { symvers: at('Module.symvers') });
      const symtab = parentSymtab(orig, at(`${name}.symtab`));
      const ran = await klpflow([
        'diff',
        at(name, 'a'),
        at(name, 'b'),
        '--format',
        'kpatch',
        '-o',
        at(name, 'out'),
        '--symvers',
        at('Module.symvers'),
        '--vmlinux',
        symtab,
        '--run-dir',
        at('units'),
        '--json',
        '--progress',
        'none',
      ]);
      const { objects, output } = resultOf(ran);
      const listed = [...objects[0]!.functions.changed, ...objects[0]!.functions.new].map((entry) => entry.name);
      const told = inline.lines.flatMap((line) => /^(?:changed|new) function: (.*)$/.exec(line)?.[1] ?? []);
      expect(
        told.filter((function_) => !listed.includes(function_)),
        name,
      ).toEqual([]);
      if (inline.exit !== 0) continue;
      expect(
        output?.files?.map(({ path }) => path),
        name,
      ).toEqual(['sub/unit.o']);
      expect(readFileSync(at(name, 'out', 'sub', 'unit.o')).equals(readFileSync(at(`${name}.o`))), name).toBe(true);
      compared++;
    }
    expect(compared).toBeGreaterThan(4);
  });
});
