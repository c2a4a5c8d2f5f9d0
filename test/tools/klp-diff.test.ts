/**
 * `klpflow objtool klp diff`, as klp-build calls it. What this guards against: a difference that klp-build takes for "nothing
 * changed", an object of an earlier run taken for this one's, and an object that its tools link into another livepatch.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, type TestContext } from 'vitest';
import { ElfObject } from '../../src/elf';
import { writeAtomically } from '../../src/files/output-file';
import { withChecksums } from '../../src/tools/objtool/checksum/section';
import { CORPUS, skipWithout, unavailable, unpack } from '../support/corpus';
import { objtool, objtoolKlp, skipWithoutObjtool } from '../support/objtool';
import { readelf } from '../support/readelf';
import { running, type Ran } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
/** As klp-build lays them out; the working directory is the first. */
const [ORIG, PATCHED, OUT] = ['3-checksum-orig', '3-checksum-patched', '4-diff'].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];

const MODULE = `
extern int printk(const char *, ...);
extern int exported_by_vmlinux(int);
extern int from_other_module(int);
__attribute__((section(".modinfo"), used)) static const char info[] = "license=GPL\\0name=nf_fix";
static int counter = 3;
static int helper(int x) { asm volatile("" : "+r"(x)); counter += x; return counter; }
int exported_here(int x) { return x + counter; }
static __attribute__((noinline)) int quiet(int x) { return x ^ counter; }
int handler(int x) { printk("handler %d\\n", x); return FACTOR * exported_by_vmlinux(x) + from_other_module(helper(x)); }
int untouched(int x) { return quiet(x) + helper(x); }
int limit = LIMIT;
#ifdef ADDED
static __attribute__((noinline)) int added(int x) { static int seen; seen += x; return seen + quiet(x); }
int second(int x) { return added(x) - 1; }
#else
int second(int x) { return x - 1; }
#endif
`;

const SYMVERS = [
  'exported_by_vmlinux\tvmlinux',
  'printk\tvmlinux',
  '__fentry__\tvmlinux',
  'from_other_module\tnet/other-module',
  'exported_here\tnet/nf_fix',
]
  .map((line, i) => `0x${i + 1}\t${line}\tEXPORT_SYMBOL\t\n`)
  .join('');

const GCC = [
  '-c',
  '-O2',
  '-w',
  '-pg',
  '-mfentry',
  '-mrecord-mcount',
  '-ffunction-sections',
  '-fdata-sections',
  '-fno-pic',
  '-mcmodel=kernel',
  '-fcf-protection=branch',
  '-fno-asynchronous-unwind-tables',
];

beforeEach(() => {
  for (const path of [ORIG, PATCHED, OUT]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path);
  }
  writeFileSync(join(ORIG, 'Module.symvers'), SYMVERS);
});

/** Compiles a module into a folder, with checksums unless told otherwise. */
async function compile(
  context: TestContext,
  to: string,
  defines: readonly string[],
  { name = 'nf_fix.o', checksums = true } = {},
): Promise<void> {
  if (spawnSync('gcc', ['--version']).error !== undefined) context.skip('there is no gcc here');
  writeFileSync(join(to, 'nf_fix.c'), MODULE);
  execFileSync('gcc', [...GCC, ...defines.map((define) => `-D${define}`), 'nf_fix.c', '-o', name], { cwd: to });
  if (checksums)
    expect(await running(['objtool', 'klp', 'checksum', name], { cwd: to })).toMatchObject({ status: 0, stderr: '' });
}

function diff(name = 'nf_fix.o', argv: readonly string[] = [], out = join(OUT, name)): Promise<Ran> {
  return running(['objtool', 'klp', 'diff', ...argv, name, join(PATCHED, name), out], {
    cwd: ORIG,
    env: { XDG_CACHE_HOME: join(folder, 'cache') },
  });
}

/** What a livepatch object says, whatever the order of its sections and symbols: attributes, and relocations by symbol. */
function said(path: string): { sections: string[]; relocations: string[] } {
  const own = /\.discard\.klpflow|\.(shstrtab|strtab|symtab) /;
  const sections = readelf(path, '-SW')
    .filter((line) => /^\[ *[1-9]/.test(line) && !own.test(line))
    .map((line) => {
      const [, name, type, size, entsize, flags, align] =
        /^\[ *\d+\] (\S+) +(\S+) +[0-9a-f]{16} [0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) +([A-Za-z]*) +\d+ +\d+ +(\d+)$/.exec(
          line,
        )!;
      return [name, type, size, entsize, flags, align].join(' ');
    });
  let section = '';
  const relocations: string[] = [];
  for (const line of readelf(path, '-rW')) {
    section = /^Relocation section '(\S+)'/.exec(line)?.[1] ?? section;
    const [offset, , type, , ...target] = line.split(/\s+/);
    if (/^[0-9a-f]{16}$/.test(offset!) && !own.test(`${section} `))
      relocations.push([section, offset, type, ...target].join(' '));
  }
  return { sections: sections.sort(), relocations: relocations.sort() };
}

describe('a changed module', () => {
  test('gives what objtool itself writes and prints', async (context) => {
    skipWithoutObjtool(context);
    await compile(context, ORIG, ['FACTOR=3', 'LIMIT=1']);
    await compile(context, PATCHED, ['FACTOR=5', 'LIMIT=1', 'ADDED']);
    const theirs = objtoolKlp(['diff', 'nf_fix.o', join(PATCHED, 'nf_fix.o'), join(OUT, 'theirs.o')], ORIG);
    expect(theirs).toMatchObject({
      status: 0,
      stdout:
        'nf_fix.o: new function: added\nnf_fix.o: changed function: handler\nnf_fix.o: changed function: second\n',
    });
    expect(await diff()).toMatchObject({ status: 0, stdout: theirs.stdout, stderr: '' });
    const ours = said(join(OUT, 'nf_fix.o'));
    expect(ours).toEqual(said(join(OUT, 'theirs.o')));
    expect(ours.relocations.filter((line) => line.includes('.klp.sym.')).length).toBe(4);
    expect(ours.relocations.join('\n')).toContain('.klp.sym.other_module.from_other_module,0');
  });

  test('says on request what was paired and found by what', async (context) => {
    await compile(context, ORIG, ['FACTOR=3', 'LIMIT=1']);
    await compile(context, PATCHED, ['FACTOR=5', 'LIMIT=1']);
    const { status, stderr } = await diff('nf_fix.o', ['--debug']);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^DEBUG: nf_fix\.o: correlate: handler -> handler \(.+\)$/m);
    expect(stderr).toMatch(/^DEBUG: nf_fix\.o: clone: \.klp\.sym\.nf_fix\.counter,0 \(.+\)$/m);
    expect((await diff('nf_fix.o', ['--debug-clone'])).stderr).not.toContain('correlate');
    expect((await diff('nf_fix.o', ['-d'])).stderr).toBe(stderr);
  });

  test("takes the nearest Module.symvers above the working directory, which is the kernel's", async (context) => {
    await compile(context, ORIG, ['FACTOR=3', 'LIMIT=1']);
    await compile(context, PATCHED, ['FACTOR=5', 'LIMIT=1']);
    rmSync(join(ORIG, 'Module.symvers'));
    writeFileSync(join(folder, 'Module.symvers'), SYMVERS);
    const above = await diff();
    rmSync(join(folder, 'Module.symvers'));
    expect(above).toMatchObject({ status: 0, stdout: 'nf_fix.o: changed function: handler\n' });
    expect(said(join(OUT, 'nf_fix.o')).relocations.join('\n')).toContain('.klp.sym.other_module.from_other_module,0');
  });
});

test('as the wrappers call it: objects without checksums stay as they are, and the same comes of them', async (context) => {
  const bin = join(folder, 'bin');
  expect((await running(['wrappers', bin])).status).toBe(0);
  const objects = [ORIG, PATCHED].map((to) => join(to, 'nf_fix.o'));
  const compileBoth = async (checksums: boolean): Promise<void> => {
    await compile(context, ORIG, ['FACTOR=3', 'LIMIT=1'], { checksums });
    await compile(context, PATCHED, ['FACTOR=5', 'LIMIT=1'], { checksums });
  };
  const run = (...args: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(join(bin, 'objtool'), ['klp', ...args], {
      cwd: ORIG,
      encoding: 'utf8',
      env: { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') },
    });
  await compileBoth(true);
  await diff();
  const [expected, out] = [said(join(OUT, 'nf_fix.o')), join(OUT, 'wrapped.o')];

  await compileBoth(false);
  const before = objects.map((path) => readFileSync(path));
  for (const path of objects) expect(run('checksum', path)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(objects.every((path, i) => readFileSync(path).equals(before[i]!))).toBe(true);
  expect(run('diff', 'nf_fix.o', objects[1]!, out)).toMatchObject({
    status: 0,
    stdout: 'nf_fix.o: changed function: handler\n',
  });
  expect(said(out)).toEqual(expected);
  // What klp-build -f prints of a function's instructions is computed all the same.
  expect(String(run('checksum', '--dry-run', '--debug-checksum=handler', 'nf_fix.o').stderr)).toMatch(
    /^DEBUG: nf_fix\.o: checksum: handler\(\): /m,
  );
  writeFileSync(objects[0]!, 'no ELF');
  expect(run('checksum', objects[0]!)).toMatchObject({ status: 1 });
});

describe('no file is left where the output would be', () => {
  /** Everything but the outcome is good; an object of an earlier run is in the way. */
  async function outcome(
    context: TestContext,
    patched: readonly string[],
    spoil: () => void | Promise<void> = () => undefined,
  ): Promise<Ran> {
    await compile(context, ORIG, ['FACTOR=3', 'LIMIT=1']);
    await compile(context, PATCHED, patched);
    writeFileSync(join(OUT, 'nf_fix.o'), 'an earlier object');
    await spoil();
    const ran = await diff();
    expect(existsSync(join(OUT, 'nf_fix.o'))).toBe(false);
    return ran;
  }

  test('when nothing changed: status 0, and not a word', async (context) => {
    expect(await outcome(context, ['FACTOR=3', 'LIMIT=1'])).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  test('when the change is refused: status 255, with every reason', async (context) => {
    const { status, stderr } = await outcome(context, ['FACTOR=5', 'LIMIT=2']);
    expect(status).toBe(255);
    expect(stderr).toMatch(/^nf_fix\.o: error: objtool: .*limit/m);
    expect(stderr).toContain('changed-data: ');
  });

  test.for([ORIG, PATCHED])('when an object has no checksums: status 255 (%s)', async (which, context) => {
    const ran = await outcome(context, ['FACTOR=5', 'LIMIT=1'], () =>
      compile(context, which, ['FACTOR=7', 'LIMIT=1'], { checksums: false }),
    );
    expect(ran).toMatchObject({
      status: 255,
      stdout: '',
      stderr: expect.stringMatching(
        /^nf_fix\.o: error: objtool: '.*nf_fix\.o' has no section \.discard\.sym_checksum\n {6}missing-checksums: /,
      ),
    });
  });

  test('when there is no Module.symvers: status 255', async (context) => {
    const ran = await outcome(context, ['FACTOR=5', 'LIMIT=1'], () => rmSync(join(ORIG, 'Module.symvers')));
    expect(ran).toMatchObject({ status: 255, stderr: expect.stringContaining('there is no Module.symvers') });
  });

  test('when vmlinux is not beside vmlinux.o: status 255', async (context) => {
    for (const to of [ORIG, PATCHED])
      await compile(context, to, [`FACTOR=${to.length}`, 'LIMIT=1'], { name: 'vmlinux.o' });
    expect(await diff('vmlinux.o')).toMatchObject({
      status: 255,
      stderr: expect.stringMatching(/vmlinux\.o: error: objtool: cannot read vmlinux: no such file/),
    });
    expect(existsSync(join(OUT, 'vmlinux.o'))).toBe(false);
  });
});

test('an output that is an input is refused, and the input stays', async (context) => {
  await compile(context, ORIG, ['FACTOR=3', 'LIMIT=1']);
  await compile(context, PATCHED, ['FACTOR=3', 'LIMIT=1']);
  symlinkSync(join(PATCHED, 'nf_fix.o'), join(OUT, 'nf_fix.o'));
  const before = readFileSync(join(PATCHED, 'nf_fix.o'));
  expect((await diff()).status).toBe(255);
  expect(readFileSync(join(PATCHED, 'nf_fix.o')).equals(before)).toBe(true);
});

test.for([
  [['a.o', 'b.o'], 129],
  [['a.o', 'b.o', 'c.o', 'd.o'], 129],
  [['--frob', 'a.o', 'b.o', 'c.o'], 129],
  [['missing.o', 'b.o', 'c.o'], 255],
] as const)('arguments %j end as they do with objtool, with %i', async ([argv, status]) => {
  expect((await running(['objtool', 'klp', 'diff', ...argv], { cwd: ORIG })).status).toBe(status);
});

test('a real vmlinux.o: objtool and post-link accept the object as it is', { timeout: 300_000 }, async (context) => {
  skipWithoutObjtool(context);
  skipWithout(context, unavailable('linux-7.2-thinlto', true));
  const { orig, patched } = unpack('linux-7.2-thinlto', 'special-sections');
  // Only their being there is asked for.
  for (const [from, to] of [
    [orig, ORIG],
    [patched, PATCHED],
  ] as const) {
    const elf = ElfObject.open(from);
    const none = { content: new Uint8Array(0), relas: new Uint8Array(0) };
    const { header, kept, rest } = withChecksums(elf, none);
    await writeAtomically(join(to, 'vmlinux.o'), [header, elf.bytes.subarray(header.length, kept), ...rest]);
  }
  symlinkSync(join(orig, '../vmlinux'), join(ORIG, 'vmlinux'));
  writeFileSync(join(ORIG, 'Module.symvers'), readFileSync(join(orig, '../Module.symvers')));
  expect(await diff('vmlinux.o')).toMatchObject({ status: 0, stdout: 'vmlinux.o: changed function: kernel_clone\n' });

  writeFileSync(join(OUT, 'init.s'), '.section .modinfo,"a"\n.asciz "livepatch=Y"\n');
  execFileSync('as', ['init.s', '-o', 'init.o'], { cwd: OUT });
  const theirs = join(CORPUS, 'linux-7.2-thinlto/pairs/special-sections/objtool.o');
  const [ours, reference] = [join(OUT, 'vmlinux.o'), theirs].map((livepatch, i) => {
    const module = join(OUT, `livepatch-${i}.o`);
    execFileSync('ld', ['-r', '-z', 'noexecstack', '-o', module, 'init.o', livepatch], { cwd: OUT });
    const made = objtool([
      '--hacks=jump_label',
      '--hacks=noinstr',
      '--ibt',
      '--orc',
      '--retpoline',
      '--rethunk',
      '--sls',
      '--static-call',
      '--uaccess',
      '--prefix=16',
      '--link',
      '--module',
      module,
    ]);
    expect(made.status, made.stderr).toBe(0);
    expect(objtoolKlp(['post-link', module])).toMatchObject({ status: 0, stderr: '' });
    return {
      warnings: made.stderr.replaceAll(module, 'module'),
      tables: said(module).sections.filter((line) =>
        /^\.(orc_unwind|return_sites|retpoline_sites|call_sites|ibt_endbr_seal|klp\.rela)/.test(line),
      ),
    };
  });
  expect(ours).toEqual(reference);
  expect(ours!.tables.length).toBeGreaterThan(3);
});
