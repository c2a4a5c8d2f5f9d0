/**
 * A unit of a module against the module's own file, as it is shipped: ORIG must be in it, and the file says which symbol of a name is meant, in
 * which unit of the module a function is, and that a function has no ftrace site.
 *
 * The silent failures: a position counted in one unit of a module (`helper` of the other unit is called), a livepatch of another version
 * of the module, THIS_MODULE that means the livepatch, and a short branch that makes a right ORIG look wrong.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { ElfObject } from '../../src/elf';
import { KernelCode, Placement } from '../../src/stages/running-kernel/image';
import { ShippedModule } from '../../src/kernel-image';
import { KernelListing } from '../../src/kernel/listing';
import { readTable } from '../../src/stages/scan';
import { Side } from '../../src/stages/side/side';
import { COMPILERS } from '../support/compiled';
import { CORPUS, skipWithout, unavailable } from '../support/corpus';
import { readShippedModules } from '../../src/verify/shipped/modules';
import { verify } from '../../src/verify';
import { klpflow, resultOf } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const KERNEL = 'debian-6.12-gcc';
const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const compiles = spawnSync('gcc', ['-dumpmachine'], { encoding: 'utf8' }).stdout?.startsWith('x86_64') === true;
const missing = compiles ? undefined : 'there is no gcc for x86-64 here';
/** Those of kernels, and whichever other GCC is here. */
const OTHER_COMPILERS = [...COMPILERS, 'gcc-11', 'gcc-13', 'gcc-14'].filter(
  (name) => name !== 'gcc' && spawnSync(name, ['--version']).error === undefined,
);
const needed = (context: TestContext): void => skipWithout(context, missing);

const SOURCES: Record<string, string> = {
  'first.c': `
    extern int kernel_call(int, const char *);
    extern int shared(int);
    static int state;
    static __attribute__((noipa)) int helper(int x) { return kernel_call(x, "first") + state; }
    int entry(int x) { state = x; return helper(x + 1) + shared(x); }`,
  'second.c': `
    extern int kernel_call(int, const char *), kernel_other(int, const char *);
    extern struct thing { long v[8]; } __this_module;
    extern int entry(int), later(int);
    static int state;
    static const int table[4] = { 3, 5, 7, LAST };
    static __attribute__((noipa)) int helper(int x) { return kernel_call(x + 2, "second") * state; }
    __attribute__((noipa)) int near_one(int x) { return x + 40; }
    __attribute__((noipa)) int tail(int x) { return near_one(x ^ 3); }
    __attribute__((no_instrument_function)) int untraced(int x) {
      return x + VALUE;
    }
    #ifdef LOOP
    int looping(int *p, int n) {
      int sum = 0;
      for (int i = 0; i < n; i++) sum = sum * 3 + p[i];
      return sum;
    }
    #endif
    int shared(int x) { return helper(x) + entry(3) + CALL(x, "message"); }
    int fixed(int x, int *p) {
      state += table[x & 3];
    #ifdef FIX
      if (!p)
        return later(x) + __this_module.v[1];
    #endif
      return helper(*p) + kernel_call(x, "message");
    }`,
  'third.c': `
    static int state = 4;
    int later(int x) { return x * state++; }`,
  'last.c': `
    __attribute__((section(".modinfo"), used, aligned(1))) static const char a[] = "license=GPL", b[] = "name=small_one",
      c[] = "vermagic=6.12.0-test SMP ";
    __attribute__((section(".gnu.linkonce.this_module"))) struct thing { long v[8]; } __this_module;
    __attribute__((section(".init.text"))) int twice(void) { return 1; }`,
};
const FLAGS = [
  ...['-O2', '-fno-pic', '-fno-pie', '-mcmodel=kernel', '-mno-red-zone', '-fno-asynchronous-unwind-tables'],
  ...[
    '-fcf-protection=none',
    '-fno-stack-protector',
    '-pg',
    '-mfentry',
    '-mrecord-mcount',
    '-DVALUE=1',
    '-DLAST=11',
    '-DCALL=kernel_call',
  ],
];
const SECTIONS = ['-ffunction-sections', '-fdata-sections'];

function compile(source: string, out: string, ...more: string[]): void {
  execFileSync('gcc', [...FLAGS, ...more, '-c', at(source), '-o', at(out)], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A livepatch object of the second unit. */
async function make(orig: string, patched: string, ...flags: string[]): ReturnType<typeof klpflow> {
  const out = at(`${orig}.livepatch.o`);
  const given = ['-o', out, '--symvers', at('symvers'), '--run-dir', at('runs'), '--json'];
  return klpflow(['diff', at(orig), at(patched), ...given, ...flags]);
}

const refusals = (ran: Awaited<ReturnType<typeof make>>): string[] =>
  resultOf(ran)
    .diagnostics.filter(({ severity }) => severity === 'refusal')
    .map(({ code, message }) => `${code}: ${message}`);

describe('a unit of a module', () => {
  beforeAll(() => {
    if (missing !== undefined) return;
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(SOURCES)) writeFileSync(at(name), text);
    const units = Object.keys(SOURCES).map((name) => {
      compile(name, name.replace('.c', '.plain.o'));
      return at(name.replace('.c', '.plain.o'));
    });
    execFileSync('ld', ['-r', '-o', at('small-one.ko'), ...units]);
    compile('second.c', 'orig.o', ...SECTIONS);
    compile('second.c', 'patched.o', ...SECTIONS, '-DFIX');
    writeFileSync(
      at('symvers'),
      ['kernel_call', 'kernel_other', '__fentry__']
        .map((name) => `0x12345678\t${name}\tvmlinux\tEXPORT_SYMBOL\t\n`)
        .join(''),
    );
  });

  test('has its positions, and those of other units, from the file', async (context) => {
    needed(context);
    const ran = await make('orig.o', 'patched.o', '--module-image', at('small-one.ko'));
    expect(refusals(ran)).toEqual([]);
    const { objects } = resultOf(ran);
    // By the name that the file says: neither --module nor ORIG did.
    expect(objects.map(({ name }) => name)).toEqual(['small_one']);
    const positions = Object.fromEntries(objects[0]!.klpSymbols.map(({ name, sympos }) => [name, sympos]));
    // The second of two in the file, and in ORIG the only one. `later` and __this_module are defined in other units.
    expect(positions).toMatchObject({ helper: 2, state: 2, fixed: 0, later: 0, __this_module: 0 });
    // Without the file `helper` is taken for the only one.
    const blind = await make('orig.o', 'patched.o', '--module', 'small-one');
    expect(resultOf(blind).objects[0]!.klpSymbols).toContainEqual(
      expect.objectContaining({ name: 'helper', sympos: 0 }),
    );
  });

  test('is proven by the file in every compression, and one that is damaged is said', async (context) => {
    needed(context);
    const plain = readFileSync(at('small-one.ko'));
    writeFileSync(at('small-one.ko.gz'), gzipSync(plain));
    for (const [tool, ...args] of [
      ['xz', '-kf', '--check=crc32'],
      ['zstd', '-kqf'],
    ] as const)
      if (spawnSync(tool, ['--version']).error === undefined) execFileSync(tool, [...args, at('small-one.ko')]);
    const packed = ['gz', 'xz', 'zst'].map((ending) => at(`small-one.ko.${ending}`)).filter((path) => existsSync(path));
    const bytes: string[] = [];
    for (const path of [at('small-one.ko'), ...packed]) {
      const ran = await make('orig.o', 'patched.o', '--module-image', path);
      expect(refusals(ran), path).toEqual([]);
      bytes.push(readFileSync(at('orig.o.livepatch.o')).toString('latin1'));
    }
    expect(bytes.length).toBeGreaterThan(1);
    expect(new Set(bytes).size).toBe(1);
    for (const path of packed) {
      writeFileSync(at('short.ko'), readFileSync(path).subarray(0, 900));
      const ran = await make('orig.o', 'patched.o', '--module-image', at('short.ko'));
      expect(ran.status, path).toBe(1);
      expect(ran.stdout).toMatch(/short\.ko: at offset 0: its \w+ stream .*damaged or cut short|malformed-elf/);
    }
  });

  test('of another source, other flags, or with a call of another function is refused', async (context) => {
    needed(context);
    const cases: Array<[flags: string[], sentence: RegExp]> = [
      // A value that the configuration sets.
      [['-DVALUE=2'], /^orig-not-running-kernel: 1 of 6 functions .* namely untraced .*source or configuration/],
      [['-DCALL=kernel_other'], /^orig-not-running-kernel: 1 of 6 .*ORIG refers to kernel_other, the kernel there to/],
      [['-DLAST=12'], /^orig-not-running-kernel: 1 of \d+ sections of data .* that of table \(at \+0xc/],
      [['-O0'], /^orig-not-running-kernel: 6 of 6 functions .*compiler or flags/],
    ];
    for (const [flags, sentence] of cases) {
      compile('second.c', 'other.o', ...SECTIONS, ...flags);
      compile('second.c', 'other-patched.o', ...SECTIONS, ...flags, '-DFIX');
      const ran = await make('other.o', 'other-patched.o', '--module-image', at('small-one.ko'));
      expect(refusals(ran), flags.join(' ')).toContainEqual(expect.stringMatching(sentence));
      expect(existsSync(at('other.o.livepatch.o'))).toBe(false);
    }
  });

  test.for(OTHER_COMPILERS)('of another compiler, %s, is refused, and both are named', async (compiler, context) => {
    needed(context);
    const flags = FLAGS.filter((flag) => !compiler.startsWith('clang') || flag !== '-mrecord-mcount');
    for (const [out, ...more] of [['by-other.o'], ['by-other-patched.o', '-DFIX']])
      execFileSync(compiler, [...flags, ...SECTIONS, ...more, '-w', '-c', at('second.c'), '-o', at(out!)]);
    const ran = await make('by-other.o', 'by-other-patched.o', '--module-image', at('small-one.ko'));
    expect(refusals(ran)).toContainEqual(
      expect.stringMatching(
        /^orig-not-running-kernel: \d of \d functions .*compiler or flags do: ORIG is compiled by .*(?:clang|GCC).*, the kernel by GCC/,
      ),
    );
  });

  test('with a branch that the assembler made short is equal all the same', async (context) => {
    needed(context);
    const codeOf = (name: string): string =>
      execFileSync('objdump', ['-dr', '--no-show-raw-insn', at(name)], { encoding: 'utf8' });
    // The premise: a jump of two bytes to the function before, which in a section of its own has five.
    execFileSync('objdump', ['--version']);
    const bytes = execFileSync('objdump', ['-d', at('second.plain.o')], { encoding: 'utf8' });
    expect(bytes).toMatch(/<tail>:(\n.*)*?\n.*\teb [0-9a-f]{2} +\tjmp .*<near_one>/);
    expect(codeOf('orig.o')).toMatch(/<tail>:(\n.*)*?\n.*jmp .*\n.*near_one/);
    const object = ElfObject.open(at('orig.o'));
    const side = new Side(object, readTable(object));
    const file = new ShippedModule(ElfObject.open(at('small-one.ko')));
    const kernel = new KernelCode(KernelListing.ofModule(file.columns, file.path), file, file.sites, file.imports);
    const placement = new Placement(side, kernel).settle(Placement.codeSections(side), true);
    expect(placement.differences).toEqual([]);
    expect(placement.functions).toBe(6);
    // And the jump leads elsewhere: then it is another function.
    const other = readFileSync(at('small-one.ko'));
    const jump = other.indexOf(Buffer.from('4883c408eb', 'hex'));
    expect(jump).toBeGreaterThan(0);
    other[jump + 5]! += 4;
    writeFileSync(at('other-jump.ko'), other);
    const ran = await make('orig.o', 'patched.o', '--module-image', at('other-jump.ko'));
    expect(refusals(ran)).toContainEqual(expect.stringMatching(/namely tail .*ORIG refers to near_one/));
  });

  test('with functions that are aligned otherwise in sections of their own is proven by the unit compiled plainly', async (context) => {
    needed(context);
    // What GCC 14 does for some loops by itself.
    const align = ['-falign-loops=64:63', '-DLOOP'];
    compile('second.c', 'aligned.plain.o', ...align);
    compile('second.c', 'aligned.o', ...SECTIONS, ...align);
    compile('second.c', 'aligned-patched.o', ...SECTIONS, ...align, '-DFIX');
    const others = ['first.plain.o', 'third.plain.o', 'last.plain.o'].map(at);
    execFileSync('ld', ['-r', '-o', at('aligned.ko'), at('aligned.plain.o'), ...others]);
    const image = ['--module-image', at('aligned.ko')];
    const alone = await make('aligned.o', 'aligned-patched.o', ...image);
    expect(refusals(alone)).toContainEqual(expect.stringMatching(/^orig-not-running-kernel: 1 of 7 .*namely looping/));
    const both = await make('aligned.o', 'aligned-patched.o', ...image, '--plain', at('aligned.plain.o'));
    expect(refusals(both)).toEqual([]);
    expect(existsSync(at('aligned.o.livepatch.o'))).toBe(true);
    // It must be the same unit, of the same source, and there must be something to compare it with.
    const other = await make('aligned.o', 'aligned-patched.o', ...image, '--plain', at('first.plain.o'));
    expect(refusals(other)).toContainEqual(expect.stringMatching(/first\.plain\.o lacks \d functions of ORIG/));
    compile('second.c', 'changed.plain.o', ...align, '-DVALUE=2');
    const changed = await make('aligned.o', 'aligned-patched.o', ...image, '--plain', at('changed.plain.o'));
    expect(refusals(changed)).toContainEqual(expect.stringMatching(/1 of 7 functions .*namely untraced/));
    const nothing = await make(
      'aligned.o',
      'aligned-patched.o',
      '--module',
      'small-one',
      '--plain',
      at('aligned.plain.o'),
    );
    expect(nothing.status).toBe(1);
    expect(nothing.stdout).toMatch(/it is compared with the image of what runs/);
  });

  test('that ftrace cannot redirect there is refused, and so is a name that the kernel drops after loading', async (context) => {
    needed(context);
    // A site more or less in the file is nothing that code shows: the table has one entry fewer.
    const bytes = readFileSync(at('small-one.ko'));
    const file = new ShippedModule(ElfObject.open(at('small-one.ko')));
    const entry = KernelListing.ofModule(file.columns, file.path).find('fixed')[0]!;
    expect(file.sites!.has(file.columns.low[entry]!)).toBe(true);
    const unit = execFileSync('objcopy', ['--remove-section=__mcount_loc', at('second.plain.o'), at('unsited.o')]);
    expect(unit).toBeDefined();
    execFileSync('ld', [
      '-r',
      '-o',
      at('unsited.ko'),
      at('first.plain.o'),
      at('unsited.o'),
      at('third.plain.o'),
      at('last.plain.o'),
    ]);
    const ran = await make('orig.o', 'patched.o', '--module-image', at('unsited.ko'));
    expect(refusals(ran)).toContainEqual(
      expect.stringMatching(/^not-traceable: fixed has no ftrace site in .*unsited\.ko/),
    );
    expect(bytes.length).toBeGreaterThan(0);
    writeFileSync(
      at('dropped.c'),
      'static __attribute__((section(".init.text"), used)) int helper(void) { return 9; }',
    );
    compile('dropped.c', 'dropped.o');
    execFileSync('ld', ['-r', '-o', at('dropped.ko'), at('dropped.o'), at('small-one.ko')]);
    const second = await make('orig.o', 'patched.o', '--module-image', at('dropped.ko'));
    expect(refusals(second)).toContainEqual(
      expect.stringMatching(/^position-unknown: .*helper.*dropped after loading/),
    );
  });

  test('is verified by the file: each position, and that functions have sites', async (context) => {
    needed(context);
    skipWithout(context, unavailable(KERNEL, true));
    for (const [name, from] of [
      ['types.btf', 'types.btf.zst'],
      ['kallsyms', 'kallsyms.txt.zst'],
      ['kernel-symvers', 'Module.symvers.zst'],
    ] as const)
      writeFileSync(at(name), execFileSync('zstd', ['-dc', join(CORPUS, KERNEL, from)], { maxBuffer: 1 << 28 }));
    writeFileSync(
      at('kernel-symvers'),
      `${readFileSync(at('kernel-symvers'), 'latin1')}0x12345678\tkernel_call\tvmlinux\tEXPORT_SYMBOL\t\n`,
    );
    const kernel = ['--btf', at('types.btf'), '--template', join(CORPUS, KERNEL, 'template.ko')];
    const files = [
      '--symvers',
      at('kernel-symvers'),
      '--run-dir',
      at('runs'),
      '--json',
      '--module-image',
      at('small-one.ko'),
    ];
    const out = at('livepatch-one.ko');
    const ran = await klpflow(['diff', at('orig.o'), at('patched.o'), '-o', out, ...kernel, ...files]);
    expect(refusals(ran)).toEqual([]);
    const found = async (module: string, change?: [from: string, to: string]): Promise<string[]> => {
      const bytes = readFileSync(out);
      if (change !== undefined) {
        expect(bytes.indexOf(change[0])).toBeGreaterThan(0);
        bytes.write(change[1], bytes.indexOf(change[0]));
      }
      writeFileSync(at('verified.ko'), bytes);
      const modules = await readShippedModules([at(module)]);
      const { diagnostics } = verify({ module: at('verified.ko'), vmlinux: at('kallsyms'), modules });
      return diagnostics
        .map(({ code, message }) => `${code}: ${message}`)
        .filter((text) => /small_one|fixed/.test(text));
    };
    expect(await found('small-one.ko')).toEqual([]);
    expect(await found('small-one.ko', ['.small_one.helper,2', '.small_one.helper,3'])).toContainEqual(
      expect.stringMatching(/^verify-unresolved: .*there is no position 3/),
    );
    expect(await found('dropped.ko')).toContainEqual(
      expect.stringMatching(/^verify-unresolved: .*3 symbols called helper, one of them .* positions change/),
    );
    expect(await found('unsited.ko')).toContainEqual(expect.stringMatching(/fixed has no ftrace site/));
  });

  test('of another module, or with what is no module, is refused by name', async (context) => {
    needed(context);
    const other = await make('orig.o', 'patched.o', '--module', 'other', '--module-image', at('small-one.ko'));
    expect(other.status).toBe(1);
    expect(other.stdout).toMatch(/small-one\.ko is of module small_one, and what is compared is other/);
    const unit = await make('orig.o', 'patched.o', '--module-image', at('first.plain.o'));
    expect(unit.stdout).toMatch(/first\.plain\.o is not a finished kernel module/);
  });

  test('is found in the folder of the release beside the image', async (context) => {
    needed(context);
    const { moduleBeside } = await import('../../src/pipeline/module-beside');
    const modules = at('root/lib/modules/6.12.0-test/kernel/drivers');
    mkdirSync(modules, { recursive: true });
    mkdirSync(at('root/boot'), { recursive: true });
    const image = at('root/boot/vmlinuz-6.12.0-test');
    expect(moduleBeside(image, 'small_one')).toBeUndefined();
    writeFileSync(join(modules, 'small-one.ko.xz'), '');
    expect(moduleBeside(image, 'small_one')).toBe(join(modules, 'small-one.ko.xz'));
    expect(moduleBeside(at('root/lib/modules/6.12.0-test/vmlinuz'), 'small_one')).toBe(
      join(modules, 'small-one.ko.xz'),
    );
    expect(moduleBeside(at('root/boot/vmlinuz-6.12.1'), 'small_one')).toBeUndefined();
    // Of two nobody knows which one is loaded.
    writeFileSync(at('root/lib/modules/6.12.0-test/small_one.ko'), '');
    expect(moduleBeside(image, 'small_one')).toBeUndefined();
  });
});
