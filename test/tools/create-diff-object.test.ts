/**
 * `create-diff-object` in place of kpatch's C program, on kpatch's public unit-test objects of five processors. Exit codes,
 * lines and text symbols must be the C program's; where sizes of sections differ, the reason stands here.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { createDiffObject, createKlpModule } from '../../src';
import { verify } from '../../src/verify';
import { kernelFiles, skipWithout, unavailable, unlike, unpack } from '../support/corpus';
import {
  PAIRS,
  contentSections,
  folderOf,
  parentSymtab,
  relasOf,
  runUnit,
  textSymbols,
  unitsOf,
  type Processor,
} from '../support/kpatch-units';
import { readelf, readelfComplaints } from '../support/readelf';
import { MAIN, running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

/** Sections of which the C program copies all that a unit has, and klpflow what is reached. */
const REACHED_ONLY =
  /^\.rodata|^\.toc$|^\.data\.(once|unlikely|_rs\.)|^\.data\.\.Lubsan|^\.bss\.__key|^__dyndbg$|^__verbose$|^\.altinstr_replacement$/;
/** Their records follow from what is copied. */
const FOLLOW = new Set(['.kpatch.relocations', '.kpatch.symbols', '.kpatch.strings']);

/** Other sizes, with the reason. */
const OTHER_SIZES: Record<string, { section: string; bytes: [got: number, kpatch: number]; why: string }[]> = {
  'x86_64/altinstr_aux': [
    {
      section: '.altinstr_aux',
      bytes: [0, 198],
      why: 'boot-time jumps that the entry of .altinstructions replaces when the module is loaded: they are left out',
    },
  ],
  'ppc64le/dynamic-debug-jump-label-issue-1253': [
    {
      section: '__bug_table',
      bytes: [48, 72],
      why: 'BUG_STRUCT_SIZE says 24, the entries have 12 bytes: the C program cuts between them',
    },
  ],
  's390x/gcc-static-local-var-5': [
    {
      section: '.kpatch.funcs',
      bytes: [280, 224],
      why: 'audit_log_start.part.0 changed and has an ftrace site: the C program copies it and lets nobody call it',
    },
  ],
};

/** Instructions end before their section does: the C program copies what fills it up to the next 16 bytes. */
const MOST_PADDING = 15;

describe.each(Object.entries(PAIRS) as Array<[Processor, number]>)('%s', (processor, count) => {
  const missing = unavailable(join('kpatch-unit', processor), false);
  const units = unitsOf(processor);
  beforeEach((context) => skipWithout(context, missing && `${count} pairs: ${missing}`));

  // Guards against pairs that are no longer run.
  test(`${count} pairs`, () => expect(Object.keys(units).length).toBe(count));

  // Guards against a build that goes on where it should stop, or stops where it should go on, and against a function that is lost.
  test.each(Object.keys(units))("%s: exit code, lines and text symbols are kpatch's", async (name) => {
    const unit = units[name]!;
    const { exit, lines, output } = await runUnit(processor, name, folder);
    const named = (what: string): string[] =>
      lines
        .filter((line) => line.startsWith(what))
        .map((line) => line.slice(what.length))
        .sort();
    expect({ changed: named('changed function: '), new: named('new function: ') }).toEqual({
      changed: [...unit.changed].sort(),
      new: [...unit.new].sort(),
    });
    expect(lines.filter((line) => !/^(changed|new) function: /.test(line))).toEqual(unit.messages ?? []);
    expect(exit).toBe(unit.exit);
    if (unit.mustFail === true) expect(exit).not.toBe(0);
    if (exit !== 0) return;

    expect(textSymbols(output).length).toBe(unit.textSymbols);
    if (unit.assertTextSymbols !== undefined) expect(unit.textSymbols).toBe(unit.assertTextSymbols);
    expect(readelfComplaints(output)).toBe('');
    compareSizes(`${processor}/${name}`, contentSections(output), unit.sections!);
  });
});

function compareSizes(pair: string, got: Record<string, number>, kpatch: Record<string, number>): void {
  const left: Record<string, string> = {};
  for (const section of new Set([...Object.keys(got), ...Object.keys(kpatch)])) {
    const [ours, theirs] = [got[section] ?? 0, kpatch[section] ?? 0];
    if (ours === theirs || FOLLOW.has(section)) continue;
    // An empty object takes a byte, so that its address is its own.
    if (REACHED_ONLY.test(section) && (ours <= theirs || (theirs === 0 && ours === 1 && section.startsWith('.bss.'))))
      continue;
    // A string that ends another one is copied on its own, and each begins at a multiple of the alignment.
    if (/\.str[\d.]*$/.test(section) && ours > 0 && ours <= 2 * theirs) continue;
    if (section.startsWith('.text.') && ours <= theirs && theirs - ours <= MOST_PADDING) continue;
    // The list has the size of one of equally named sections: there is one a function.
    if (section === '__patchable_function_entries' && theirs > 0 && ours % theirs === 0) continue;
    left[section] = `${ours} not ${theirs}`;
  }
  const known = Object.fromEntries(
    (OTHER_SIZES[pair] ?? []).map(({ section, bytes }) => [section, `${bytes[0]} not ${bytes[1]}`]),
  );
  expect(left).toEqual(known);
  expect(got['.kpatch.relocations']).toBeLessThanOrEqual(kpatch['.kpatch.relocations']!);
  expect(got['.kpatch.symbols']).toBe(got['.kpatch.relocations']);
}

describe("what kpatch's own tests look at", () => {
  beforeEach((context) =>
    skipWithout(context, unavailable('kpatch-unit/x86_64', false) ?? unavailable('kpatch-unit/ppc64le', false)),
  );

  // Guards against ftrace being told a wrong place, which makes the function unpatchable and silent about it.
  test('an ftrace site is recorded against its function', async () => {
    expect(relasOf((await runUnit('x86_64', 'mcount_loc-issue-1102', folder)).output, '.rela__mcount_loc')).toEqual([
      'R_X86_64_64 netlbl_catmap_getlong + 0',
    ]);
    expect(relasOf((await runUnit('ppc64le', 'mcount_loc-issue-1102', folder)).output, '.rela__mcount_loc')).toEqual([
      'R_PPC64_ADDR64 netlbl_catmap_getlong + 4',
    ]);
  });

  // Guards against addends that turn negative, and against labels that move by the TOC pointer before a function.
  test('large addends, labels in a function, imported namespaces', async () => {
    expect(
      relasOf((await runUnit('x86_64', 'zero-page-rela-issue-1064', folder)).output, '.rela.text.meminfo_proc_open'),
    ).toContain('R_X86_64_64 empty_zero_page + 80000000');
    const ppc = (await runUnit('ppc64le', 'ppc64le-bundled-localentry-issue-1007', folder)).output;
    expect(relasOf(ppc, '.rela.toc')).toContain('R_PPC64_ADDR64 xs_tcp_state_change + 90');
    const modinfo = readFileSync((await runUnit('x86_64', 'import-ns', folder)).output).toString('latin1');
    expect(modinfo.match(/import_ns=/g)?.length).toBe(4);
  });

  // Guards against callbacks of a module that run for another: each record must name the patched object.
  test('callback records name their function and the patched object', async () => {
    const { output } = await runUnit('x86_64', 'clang-lstr', folder);
    for (const kind of ['pre_patch', 'post_patch', 'pre_unpatch', 'post_unpatch']) {
      expect(relasOf(output, `.rela.kpatch.callbacks.${kind}`)).toEqual([
        `R_X86_64_64 ${kind}_callback + 0`,
        'R_X86_64_64 .kpatch.strings + 0',
      ]);
    }
    expect(readFileSync(output).includes('\0vmlinux\0') || readFileSync(output).includes('vmlinux\0')).toBe(true);
  });

  // Guards against entries that a kernel before 5.8 applies before klp relocations are.
  test('--klp-arch: paravirt sites are applied late, jump labels are left out', async () => {
    const { exit, output } = await runUnit('x86_64', 'special-static', folder, { klpArch: true });
    expect(exit).toBe(0);
    const sections = contentSections(output);
    expect(sections).toMatchObject({ '.kpatch.arch': 16, '.kpatch.relocations': 35 * 40, '.parainstructions': 12 });
    expect(sections).not.toHaveProperty('__jump_table');
    expect(relasOf(output, '.rela.kpatch.arch')).toEqual([
      'R_X86_64_64 .parainstructions + 0',
      'R_X86_64_64 .kpatch.strings + 0',
    ]);
  });
});

describe('the command line', () => {
  const missing = unavailable('kpatch-unit/x86_64', false);
  beforeEach((context) => skipWithout(context, missing));
  const unit = (file: string): string => join(folderOf('x86_64'), file);
  const run = async (
    name: string,
    options: string[],
    rest: Partial<Record<'orig' | 'patched' | 'symtab', string>> = {},
  ) => {
    const orig = rest.orig ?? unit(`${name}.ORIG.o`);
    const symtab = rest.symtab ?? parentSymtab(unit(`${name}.ORIG.o`), join(folder, `${name}.symtab`));
    const [first, ...others] = [
      orig,
      rest.patched ?? unit(`${name}.PATCHED.o`),
      'vmlinux',
      symtab,
      '/dev/null',
      'patch',
      join(folder, 'cli.o'),
    ];
    return running(['create-diff-object', first!, ...options, ...others], { cwd: folder });
  };

  // Guards against kpatch-build reading other codes or lines than it knows.
  test("0, 1, 2, 3 and 64, with the object's name before each line", async () => {
    const ran = await run('new-function', ['--deb']);
    const child = unit('new-function.ORIG.o').slice(1);
    expect(ran).toMatchObject({
      status: 0,
      stdout: `${child}: new function: kpatch_n_tty_write\n${child}: changed function: n_tty_write\n`,
      stderr: '',
    });
    expect((await run('new-function', [], { patched: unit('new-function.ORIG.o') })).status).toBe(3);
    expect((await run('new-function', [], { orig: '/nowhere/a.o' })).status).toBe(1);
    expect(
      (await run('new-function', [], { orig: join(folderOf('s390x'), 'meminfo-string.ORIG.o'), symtab: '/dev/null' }))
        .status,
    ).toBe(2);
    expect((await run('new-function', ['--nonsense'])).status).toBe(64);
    expect((await run('new-function', ['one-more'])).status).toBe(64);
    expect((await running(['create-diff-object', '-?'])).status).toBe(0);
  });

  // Guards against a log that lacks a changed function, and against a crash that leaves the output half-written.
  test('a full disk behind stdout is an error', (context) => {
    context.skip(!existsSync('/dev/full'), 'no /dev/full');
    const symtab = parentSymtab(unit('new-function.ORIG.o'), join(folder, 'full.symtab'));
    const folderOfOutput = mkdtempSync(join(folder, 'full-'));
    const argv = [
      'create-diff-object',
      unit('new-function.ORIG.o'),
      unit('new-function.PATCHED.o'),
      'vmlinux',
      symtab,
      '/dev/null',
      'patch',
      join(folderOfOutput, 'full.o'),
    ];
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...argv], {
      encoding: 'utf8',
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^ERROR: cannot write to standard output: .*\n +no-space: .*\n$/),
    });
    expect(readdirSync(folderOfOutput).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  // Guards against a size of 0, which made the C program run for ever.
  test('a struct size that is none is an error', async () => {
    const orig = unit('new-function.ORIG.o');
    writeFileSync(join(folder, 'size.symtab'), '');
    const ran = await running(
      [
        'create-diff-object',
        orig,
        unit('new-function.PATCHED.o'),
        'vmlinux',
        join(folder, 'size.symtab'),
        '/dev/null',
        'patch',
        join(folder, 'size.o'),
      ],
      { env: { BUG_STRUCT_SIZE: '0' } },
    );
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('BUG_STRUCT_SIZE');
  });
});

describe.each(['linux-7.2-thinlto', 'debian-6.12-gcc'] as const)('a whole kernel: %s', (kernel) => {
  const missing = unavailable(kernel, true);
  beforeEach((context) => skipWithout(context, missing));

  // Guards against a second opinion: what changed must not depend on the format that is written.
  test.each(['new-function-static-local', 'three-reasons'])(
    '%s: the functions of dialect klp, and only what is reached',
    { timeout: 120_000 },
    async (pair) => {
      const { orig, patched, expected } = unpack(kernel, pair);
      const { symvers, vmlinux } = kernelFiles(kernel);
      // The corpus has 6.12 as a list of names without sizes: there ORIG's own table stands for the parent's.
      const linked = kernel === 'linux-7.2-thinlto';
      const output = join(folder, `${kernel}.o`);
      const lines: string[] = [];
      const { exit, diagnostics } = await createDiffObject({
        orig,
        patched,
        parentName: 'vmlinux',
        parentSymtab: parentSymtab(linked ? vmlinux : orig, join(folder, `${kernel}.symtab`)),
        symvers,
        output,
        klpArch: false,
        structSizes: {},
        print: (line) => lines.push(line.slice(line.indexOf(': ') + 2)),
      });
      expect(exit).toBe(expected.verdict === 'patchable' ? 0 : 2);
      const codes = new Set<string>(diagnostics.map(({ code }) => code));
      expect(expected.codes.filter((code) => !codes.has(code))).toEqual([]);
      const named = (what: string): Array<{ name: string }> =>
        lines.filter((line) => line.startsWith(what)).map((line) => ({ name: line.slice(what.length) }));
      if (exit !== 0) return;
      expect(unlike(expected, { changed: named('changed function: '), new: named('new function: ') })).toEqual({
        missing: [],
        unexpected: [],
      });
      expect(readelfComplaints(output)).toBe('');
      // 90 MB went in; a function with what it refers to comes out.
      expect(statSync(output).size).toBeLessThan(64 * 1024);
      const module = join(folder, `${kernel}.ko`);
      await createKlpModule({ input: output, output: module, archSections: false, environment: {} });
      expect(readelf(module, '-SW').filter((line) => line.includes('.klp.rela.vmlinux.')).length).toBeGreaterThan(0);
      // What is missing is the module around it: this_module, .modinfo and the hook that enables the patch.
      const found = verify({ module, symvers, ...(linked ? { vmlinux } : {}) }).diagnostics.filter(
        ({ severity }) => severity === 'refusal',
      );
      expect(
        found.filter(
          ({ code, message }) => !(code === 'verify-modinfo' || /init_module|gnu\.linkonce\.this_module/.test(message)),
        ),
      ).toEqual([]);
    },
  );
});
