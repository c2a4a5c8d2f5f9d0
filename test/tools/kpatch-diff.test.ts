/**
 * `diff --format kpatch`: kpatch's dialect through the flow of whole kernels. What changed must be what dialect klp says, and the
 * object what create-diff-object writes, whichever way its parent is told.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createKlpModule } from '../../src';
import { KERNELS, kernelFiles, pairsOf, skipWithout, unavailable, unlike, unpack } from '../support/corpus';
import { object, type ObjectBuilder } from '../support/elf-builder';
import { body, call, movEax, traced } from '../support/diff-objects';
import { kpatchDiff } from '../support/kpatch-run';
import { compileUnits, linkWithHook, noCompiler } from '../support/kpatch-sources';
import {
  PAIRS,
  contentSections,
  folderOf,
  parentSymtab,
  relasOf,
  unitsOf,
  type Processor,
} from '../support/kpatch-units';
import { LinkedKernel } from '../support/linked-kernel';
import { readelf, readelfComplaints } from '../support/readelf';
import { EXIT_CODES, errorOf, klpflow, resultOf, running, withoutRun } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);

describe.each(KERNELS)('%s', (kernel) => {
  beforeEach((context) => skipWithout(context, unavailable(kernel, true)));

  // Guards against a second opinion: what changed, and what is refused, must not depend on the format that is written.
  test.each(pairsOf(kernel))(
    "%s: the verdict, functions and refusals of dialect klp; kpatch's tools take the object",
    { timeout: 120_000 },
    async (pair) => {
      const { orig, patched, expected } = unpack(kernel, pair);
      const { symvers, vmlinux } = kernelFiles(kernel);
      const output = at(`${kernel}-${pair}.o`);
      const ran = await klpflow([
        'diff',
        orig,
        patched,
        '--format',
        'kpatch',
        '-o',
        output,
        '--symvers',
        symvers,
        '--vmlinux',
        vmlinux,
        '--run-dir',
        at(kernel),
        '--json',
        '--progress',
        'none',
      ]);
      const result = resultOf(ran);
      expect({ verdict: result.verdict, status: ran.status }).toEqual({
        verdict: expected.verdict,
        status: EXIT_CODES[expected.verdict],
      });
      expect(unlike(expected, result.objects[0]!.functions)).toEqual({ missing: [], unexpected: [] });
      const codes = new Set<string>(
        result.diagnostics.filter(({ severity }) => severity === 'refusal').map(({ code }) => code),
      );
      expect([...codes].sort()).toEqual([...expected.codes].sort());
      expect({ told: result.output !== null, there: existsSync(output) }).toEqual({
        told: expected.verdict === 'patchable',
        there: expected.verdict === 'patchable',
      });
      if (result.output === null) return;

      expect(result.output).toMatchObject({ path: output, format: 'kpatch', bytes: readFileSync(output).length });
      expect(readelfComplaints(output)).toBe('');
      // One record for each function that takes another's place (its callers', where it has no ftrace site), and one for each reference that only the livepatch core can follow.
      const { changed, carried } = result.objects[0]!.functions;
      const replaced = [...changed, ...carried].filter(({ name }) => !carried.some(({ via }) => via.includes(name)));
      expect(contentSections(output)['.kpatch.funcs']).toBe(replaced.length * 56);
      const core = contentSections(output)['.kpatch.relocations']! / 40;
      expect(core).toBeGreaterThan(0);
      if (noCompiler() !== undefined) return;
      const module = at(`${kernel}-${pair}.ko`);
      await createKlpModule({
        input: linkWithHook(folder, [output]),
        output: module,
        archSections: false,
        environment: {},
      });
      expect(readelfComplaints(module)).toBe('');
      const klp = readelf(module, '-SW').flatMap((line) => /(\.klp\.rela\.\S+)\s+RELA/.exec(line)?.[1] ?? []);
      expect(klp.flatMap((section) => relasOf(module, section)).length).toBe(core);
      const named = result.objects[0]!.klpSymbols.map(
        ({ name, object: owner, sympos }) => `.klp.sym.${owner}.${name},${sympos}`,
      );
      const symbols = readelf(module, '-sW').flatMap((line) => /(\.klp\.sym\.\S+)$/.exec(line)?.[1] ?? []);
      expect(symbols.filter((symbol) => !named.includes(symbol))).toEqual([]);
    },
  );
});

/** A unit whose function calls a static one. */
const unit = (value: number): ObjectBuilder =>
  traced(
    object()
      .file('unit.c')
      .func('helper', body(movEax(7)), { bind: 'local' })
      .func('get', body(movEax(value), call('helper')), { bind: 'global' }),
    'helper',
    'get',
  );
/** Its kernel, linked: the same sizes, at the kernel's addresses. */
const linked = (): LinkedKernel =>
  new LinkedKernel().func('helper', { local: true, size: 19 }).func('get', { size: 24 });

describe('one unit', () => {
  const [orig, patched, symvers, kallsyms, vmlinux, symtab] = [
    at('orig.o'),
    at('patched.o'),
    at('Module.symvers'),
    at('kallsyms'),
    at('vmlinux'),
    at('symtab'),
  ];
  const diff = (name: string, parent: string, ...more: string[]): string[] => [
    'diff',
    orig,
    patched,
    '--format',
    'kpatch',
    '-o',
    at(name),
    '--symvers',
    symvers,
    '--vmlinux',
    parent,
    '--run-dir',
    at('run'),
    '--json',
    '--progress',
    'none',
    ...more,
  ];
  const funcs = (path: string): string => readelf(path, '-x', '.kpatch.funcs').join('\n');
  beforeAll(() => {
    writeFileSync(orig, unit(1).bytes());
    writeFileSync(patched, unit(2).bytes());
    writeFileSync(symvers, '0x00000001\t__x86_return_thunk\tvmlinux\tEXPORT_SYMBOL\t\n');
    linked().write(vmlinux);
    parentSymtab(vmlinux, symtab);
    writeFileSync(kallsyms, linked().kallsyms());
  });

  // Guards against a second writer that drifts from the first, and against an address or size that one form of the parent lacks.
  test('the bytes of create-diff-object, from readelf, from the linked kernel and from kallsyms', async () => {
    const inline = await kpatchDiff(orig, patched, vmlinux, at('inline.o'), { symvers });
    expect(inline).toMatchObject({ exit: 0, lines: ['changed function: get'] });
    for (const [name, parent] of [
      ['text.o', symtab],
      ['image.o', vmlinux],
      ['list.o', kallsyms],
    ] as const) {
      const ran = await running(diff(name, parent));
      expect(resultOf(ran), ran.stderr).toMatchObject({ verdict: 'patchable', output: { format: 'kpatch' } });
      expect(resultOf(ran).objects[0]!.klpSymbols.map(({ name: symbol, sympos }) => `${symbol},${sympos}`)).toEqual([
        'get,0',
        'helper,1',
      ]);
      expect(readFileSync(at(name)).equals(readFileSync(at('inline.o'))), name).toBe(true);
    }
    // The premise: there is an address and a size to lose.
    expect(funcs(at('inline.o'))).toMatch(/ffffffff/);
  });

  // Guards against a module's functions that are looked for in vmlinux: its own file tells them, or its text of readelf.
  test('a module, told by itself', async () => {
    const inline = await kpatchDiff(orig, patched, orig, at('module-inline.o'), { symvers, parentName: 'ext4' });
    expect(inline.exit).toBe(0);
    for (const parent of [orig, parentSymtab(orig, at('module.symtab'))]) {
      const ran = await running(diff('module.o', parent, '--module', 'ext4'));
      expect(
        resultOf(ran).objects[0]!.klpSymbols.map(({ name, object: owner }) => `${owner}:${name}`),
        ran.stdout,
      ).toEqual(['ext4:get', 'ext4:helper']);
      expect(readFileSync(at('module.o')).equals(readFileSync(at('module-inline.o')))).toBe(true);
    }
  });

  // Guards against a namesake that is patched or called in its place: the kernel counts all symbols of a name, global and static.
  test('positions among namesakes of any binding', async () => {
    new LinkedKernel()
      .func('get', { local: true, size: 32 })
      .func('helper', { size: 32 })
      .func('helper', { local: true, size: 19 })
      .func('get', { size: 24 })
      .write(at('namesakes'));
    const ran = await running(diff('namesakes.o', at('namesakes')));
    expect(
      resultOf(ran).objects[0]!.klpSymbols.map(({ name, sympos }) => `${name},${sympos}`),
      ran.stdout,
    ).toEqual(['get,2', 'helper,2']);
  });

  // Guards against a list of the running kernel that is read and not asked: a function that it lacks would be patched and never called.
  test('--ftrace decides which functions can be redirected', async () => {
    writeFileSync(at('both.list'), 'helper\nget\n');
    writeFileSync(at('one.list'), 'helper\n');
    expect(resultOf(await running(diff('traced.o', vmlinux, '--ftrace', at('both.list')))).verdict).toBe('patchable');
    expect(resultOf(await running(diff('untraced.o', vmlinux, '--ftrace', at('one.list'))))).toMatchObject({
      verdict: 'refused',
      output: null,
      diagnostics: [{ code: 'not-traceable', where: { symbol: 'get' } }],
    });
    expect(existsSync(at('untraced.o'))).toBe(false);
  });

  // Guards against one of two static functions of a name, taken because the list does not say whose it is.
  test('kallsyms with two static functions of a name is refused, and says what would do', async () => {
    writeFileSync(at('twice'), `${linked().kallsyms()}ffffffff81000f00 t helper\n`);
    const ran = await running(diff('twice.o', at('twice')));
    expect(resultOf(ran)).toMatchObject({
      verdict: 'refused',
      output: null,
      diagnostics: [
        {
          code: 'position-unknown',
          where: { symbol: 'helper' },
          message: expect.stringContaining('readelf -sW') as string,
        },
      ],
    });
    expect(existsSync(at('twice.o'))).toBe(false);
  });

  // Guards against the symbols of another object, or of none.
  test('a parent that lists nothing of the object is an error', async () => {
    writeFileSync(at('empty'), "Symbol table '.symtab' contains 1 entry:\n");
    for (const [parent, code, more] of [
      [at('empty'), 'unusable-listing', []],
      [orig, 'not-linked', []],
      [kallsyms, 'unusable-listing', ['--module', 'ext4']],
      [vmlinux, 'not-relocatable', ['--module', 'ext4']],
    ] as const) {
      const ran = await running(diff('none.o', parent, ...more));
      expect([ran.status, errorOf(ran).code]).toEqual([1, code]);
    }
    expect(existsSync(at('none.o'))).toBe(false);
  });

  // Guards against a result of one dialect that is taken for the other's: both share scans and pairing.
  test('both dialects in one run directory', async () => {
    const runs = at('both');
    const klp = (): string[] => [
      'diff',
      orig,
      patched,
      '-o',
      at('klp.o'),
      '--symvers',
      symvers,
      '--vmlinux',
      kallsyms,
      '--run-dir',
      runs,
      '--json',
      '--progress',
      'json',
    ];
    const kpatch = (): string[] =>
      diff('both.o', vmlinux).map((word) => (word === 'none' ? 'json' : word === at('run') ? runs : word));
    const [first, second, third] = [await running(klp()), await running(kpatch()), await running(klp())];
    expect(
      [first, second, third].map(({ status }) => status),
      first.stdout,
    ).toEqual([0, 0, 0]);
    expect(
      second.events.filter(({ stage }) => stage === 'scan' || stage === 'digest').every(({ reused }) => reused),
    ).toBe(true);
    expect(second.events.find(({ stage }) => stage === 'assess')?.reused).toBe(false);
    expect(withoutRun(third)).toBe(withoutRun(first));
    expect(contentSections(at('both.o'))).toHaveProperty(['.kpatch.funcs']);
    expect(contentSections(at('klp.o'))).not.toHaveProperty(['.kpatch.funcs']);
  });

  test('flags that do not fit are told', async () => {
    const without = (argv: string[], flag: string): string[] =>
      argv.filter((word, i) => word !== flag && argv[i - 1] !== flag);
    expect(errorOf(await running(without(diff('flags.o', symtab), '--vmlinux')))).toMatchObject({
      code: 'usage',
      message: expect.stringContaining('--vmlinux FILE is needed') as string,
    });
    expect(errorOf(await running([...without(diff('flags.o', symtab), '--format'), '--klp-arch'])).code).toBe('usage');
  });
});

describe('units compiled here', () => {
  beforeEach((context) => skipWithout(context, noCompiler()));

  // Guards against an author's marker that goes unnoticed in one of the two ways.
  test('what the author marked is told, and counts as with create-diff-object', async () => {
    const { first } = compileUnits(folder);
    const symvers = at('first.symvers');
    writeFileSync(
      symvers,
      '0x00000001\tof_vmlinux\tvmlinux\tEXPORT_SYMBOL\t\n0x00000002\tprintk\tdrivers/misc/foo-bar\tEXPORT_SYMBOL\t\n',
    );
    const inline = await kpatchDiff(first.orig, first.patched, first.orig, at('first.inline.o'), { symvers });
    const ran = await running([
      'diff',
      first.orig,
      first.patched,
      '--format',
      'kpatch',
      '-o',
      at('first.o'),
      '--symvers',
      symvers,
      '--vmlinux',
      first.symtab,
      '--run-dir',
      at('run'),
      '--json',
    ]);
    const { verdict, objects, diagnostics } = resultOf(ran);
    expect({ verdict, exit: inline.exit }).toEqual({ verdict: 'patchable', exit: 0 });
    const named = [...objects[0]!.functions.changed, ...objects[0]!.functions.new].map(({ name }) => name);
    expect(named.sort()).toEqual(['before', 'target']);
    expect(objects[0]!.data.changed.map(({ name }) => name)).toEqual(['limits']);
    expect(
      diagnostics.map(({ code, severity, where }) => `${severity} ${code} ${where.symbol ?? where.section}`),
    ).toEqual([
      'warning new-static-local calls.0',
      'note kpatch-marked .data.tagged',
      'note kpatch-marked ignored',
      'note kpatch-marked before',
      'note kpatch-marked target',
    ]);
    expect(readFileSync(at('first.o')).equals(readFileSync(at('first.inline.o')))).toBe(true);
  });
});

describe.each(Object.keys(PAIRS) as Processor[])('units of %s', (processor) => {
  beforeEach((context) => skipWithout(context, unavailable(join('kpatch-unit', processor), false)));

  // Guards against a byte order, a processor's rule or an exit that holds in one of the two ways only.
  test('the bytes or the refusal of create-diff-object', { timeout: 60_000 }, async () => {
    // Of those that it writes and those that it does not, some of each.
    const all = Object.entries(unitsOf(processor));
    const some = [
      ...all.filter(([, { exit }]) => exit === 0).slice(0, 3),
      ...all.filter(([, { exit }]) => exit !== 0).slice(0, 2),
    ];
    expect(some.filter(([, { exit }]) => exit === 0).length).toBe(3);
    for (const [name, { patched }] of some) {
      const [orig, other, symvers] = [
        join(folderOf(processor), `${name}.ORIG.o`),
        join(folderOf(processor), patched),
        at('none.symvers'),
      ];
      writeFileSync(symvers, '');
      const [inline, threaded] = [at(`${processor}-${name}-inline.o`), at(`${processor}-${name}.o`)];
      const { exit } = await kpatchDiff(orig, other, orig, inline);
      const ran = await running([
        'diff',
        orig,
        other,
        '--format',
        'kpatch',
        '-o',
        threaded,
        '--symvers',
        symvers,
        '--vmlinux',
        `${inline}.symtab`,
        '--run-dir',
        at('units'),
        '--json',
      ]);
      expect([name, ran.status, existsSync(threaded)]).toEqual([name, exit, exit === 0]);
      if (exit === 0) expect(readFileSync(threaded).equals(readFileSync(inline)), name).toBe(true);
    }
  });
});
