/**
 * `klpflow link`: from objects, kernel types, a module and Module.symvers to a file that a kernel loads. What this guards
 * against: files of two kernels that go together without a word, a refused module that is written anyway, and an object
 * from somewhere that ends in a stack trace.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ElfObject } from '../../src/elf';
import { MappedFile } from '../../src/files/mapped-file';
import type { LinkResult } from '../../src';
import { link } from '../../src/pipeline/link';
import { platformFacts } from '../../src/livepatch/facts';
import { readKlpObject, writeKlpObject } from '../../src/livepatch/klp';
import { readTemplate, writeModule } from '../../src/livepatch/ko';
import { CORPUS, KERNELS, pairsOf, skipWithout, unavailable, unpack, type Kernel } from '../support/corpus';
import { ModuleFile } from '../support/module-file';
import { PatchedObject } from '../support/patched-object';
import { readelf, readelfComplaints } from '../support/readelf';
import { errorOf, running } from '../support/run-klpflow';
import { survive } from '../support/survive';
import { OPTIONS, SYMVERS, TARGET, bytesOf, templateOf } from '../support/target-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);

async function written(patched: PatchedObject, name: string): Promise<string> {
  await writeKlpObject(patched.object).write(at(name));
  return at(name);
}

/** Files of a kernel of the corpus. */
function filesOf(kernel: Kernel): { orig: string; btf: string; symvers: string; template: string } {
  const { orig } = unpack(kernel, pairsOf(kernel)[0]!);
  const file = (name: string): string => join(dirname(orig), name);
  return {
    orig,
    btf: file('types.btf'),
    symvers: file('Module.symvers'),
    template: join(CORPUS, kernel, 'template.ko'),
  };
}

/** One replaced function that prints and reads a variable, with the facts of a real kernel. */
async function patchedOf(kernel: Kernel, orig: string): Promise<string> {
  const patched = new PatchedObject('vmlinux', platformFacts(ElfObject.open(orig)));
  patched.replace('cmdline_proc_show');
  patched.load('reads', 'vmlinux', 'saved_command_line');
  patched.call('calls', 'seq_printf');
  return written(patched, `${kernel}.o`);
}

const codes = ({ diagnostics }: LinkResult): string[] => diagnostics.map(({ code }) => code);

for (const kernel of KERNELS) {
  describe(`a module for ${kernel}`, () => {
    test("agrees with a module of the kernel's own build", async (context) => {
      skipWithout(context, unavailable(kernel, true));
      const { orig, ...files } = filesOf(kernel);
      const result = await link({ objects: [await patchedOf(kernel, orig)], path: at(`${kernel}.ko`), ...files });
      expect(result).toMatchObject({ verdict: 'patchable', diagnostics: [], output: { format: 'ko' } });
      expect(readelfComplaints(at(`${kernel}.ko`))).toBe('');
      const [module, template] = [new ModuleFile(at(`${kernel}.ko`)), new ModuleFile(files.template)];
      const self = '.gnu.linkonce.this_module';
      expect(module.sections.get(self)).toEqual(template.sections.get(self));
      expect(module.relas(self)).toEqual(template.relas(self));
      const vermagic = template.modinfo().find((line) => line.startsWith('vermagic='));
      expect(module.modinfo()).toEqual(
        expect.arrayContaining([
          vermagic,
          'livepatch=Y',
          'license=GPL',
          'retpoline=Y',
          `name=${kernel.replaceAll('-', '_').replaceAll('.', '_')}`,
        ]),
      );
      // Every strong undefined symbol has a version, and the versions are those of the kernel's own modules.
      const undefinedNames = [...module.symbols]
        .filter(([, { index, bind }]) => index === 'UND' && bind === 'GLOBAL')
        .map(([name]) => name);
      expect(undefinedNames.length).toBeGreaterThan(2);
      expect([...module.versions().keys()].sort()).toEqual([...undefinedNames, 'module_layout'].sort());
      const shared = [...module.versions()].filter(([name]) => template.versions().has(name));
      expect(shared.map(([name]) => name)).toEqual(expect.arrayContaining(['module_layout', '__x86_return_thunk']));
      for (const [name, crc] of shared) expect(template.versions().get(name), name).toBe(crc);
    });

    test('is laid out alike from kernel types and from a module of the kernel', async (context) => {
      skipWithout(context, unavailable(kernel, true));
      const { orig, btf, symvers, template } = filesOf(kernel);
      const objects = [await patchedOf(kernel, orig)];
      for (const [name, types] of [
        ['btf', { btf }],
        ['template', { template }],
      ] as const) {
        expect(await link({ objects, path: at(`from-${name}.ko`), symvers, name: 'alike', ...types })).toMatchObject({
          verdict: 'patchable',
        });
      }
      const [measured, common] = [new ModuleFile(at('from-btf.ko')), new ModuleFile(at('from-template.ko'))];
      for (const section of ['.data', '.gnu.linkonce.this_module'])
        expect(common.relas(section)).toEqual(measured.relas(section));
      expect(common.bytes('.gnu.linkonce.this_module').equals(measured.bytes('.gnu.linkonce.this_module'))).toBe(true);
      for (const symbol of ['klp_patch', 'klp_objects', 'klp_funcs.vmlinux'])
        expect(common.symbols.get(symbol)).toEqual(measured.symbols.get(symbol));
    });

    test("is not made from another kernel's files", async (context) => {
      // Each of these loads: into a kernel that then calls, or writes to, whatever stands there.
      const other = KERNELS.find((candidate) => candidate !== kernel)!;
      for (const needed of [kernel, other]) skipWithout(context, unavailable(needed, true));
      const { orig, ...files } = filesOf(kernel);
      const { orig: _, ...foreign } = filesOf(other);
      const objects = [await patchedOf(kernel, orig)];
      for (const what of ['btf', 'template', 'symvers'] as const) {
        const result = await link({ objects, path: at('mixed.ko'), ...files, [what]: foreign[what] });
        expect(result, what).toMatchObject({ verdict: 'refused', output: null });
        expect(codes(result), what).toContain('kernel-mismatch');
      }
      expect(existsSync(at('mixed.ko'))).toBe(false);
    });
  });
}

test("the kernel's image stands for all three files, and is given alone", async (context) => {
  const kernel = 'debian-6.12-gcc';
  skipWithout(context, unavailable(kernel, true));
  const { orig, btf, symvers, template } = filesOf(kernel);
  const objects = [await patchedOf(kernel, orig)];
  const vmlinux = join(CORPUS, kernel, 'vmlinuz');
  for (const [path, files] of [
    [at('by-files.ko'), { btf, symvers, template }],
    [at('by-image.ko'), { vmlinux }],
  ] as const)
    expect(await link({ objects, path, name: 'alike', ...files })).toMatchObject({ verdict: 'patchable' });
  expect(readFileSync(at('by-image.ko')).equals(readFileSync(at('by-files.ko')))).toBe(true);
  // Of two that may disagree nobody knows which is right, and of none nothing is known.
  await expect(link({ objects, path: at('both.ko'), vmlinux, symvers })).rejects.toThrow(
    /the image .* says that itself/,
  );
  await expect(link({ objects, path: at('none.ko') })).rejects.toThrow(/--vmlinux FILE is needed.* or --symvers/);
  expect([existsSync(at('both.ko')), existsSync(at('none.ko'))]).toEqual([false, false]);
});

describe('kernel and module in one livepatch', () => {
  test('objects of two diffs, one for vmlinux and one for a module', async (context) => {
    // Debian's own dummy.ko is an object too: one of its functions returns another error in PATCHED.
    const kernel = 'debian-6.12-gcc';
    skipWithout(context, unavailable(kernel, true));
    const { orig, btf, symvers, template } = filesOf(kernel);
    const patchedModule = readFileSync(template);
    const text = new ModuleFile(template);
    const returned = patchedModule.indexOf(Buffer.from('b89dfffffff6c101', 'hex'));
    expect(text.symbols.get('dummy_validate'), 'a premise of this test').toBeDefined();
    expect(returned, 'mov $-EADDRNOTAVAIL, %eax').toBeGreaterThan(0);
    patchedModule[returned + 1] = 0xff;
    writeFileSync(at('dummy-patched.ko'), patchedModule);
    const made = await running([
      'diff',
      template,
      at('dummy-patched.ko'),
      '--module',
      'dummy',
      '-o',
      at('dummy.o'),
      '--symvers',
      symvers,
      '--btf',
      btf,
      '--run-dir',
      at('run'),
      '--progress',
      'none',
      '--json',
    ]);
    expect(made).toMatchObject({ status: 0, stderr: '' });

    const patched = new PatchedObject('vmlinux', platformFacts(ElfObject.open(orig)));
    patched.replace('cmdline_proc_show');
    patched.load('reads', 'vmlinux', 'saved_command_line');
    const result = await link({
      objects: [await written(patched, 'kernel.o'), at('dummy.o')],
      path: at('both.ko'),
      btf,
      symvers,
      template,
    });
    expect(result).toMatchObject({
      verdict: 'patchable',
      diagnostics: [],
      objects: [
        { name: 'vmlinux', functions: 1 },
        { name: 'dummy', functions: 1 },
      ],
    });
    expect(readelfComplaints(at('both.ko'))).toBe('');
    const module = new ModuleFile(at('both.ko'));
    const objects = module.symbols.get('klp_objects')!;
    expect(objects.size).toBe(3 * 168);
    const name = module.relas('.data').find((line) => parseInt(line, 16) === objects.value + 168)!;
    expect(module.text(name)).toBe('dummy');
    expect(module.relas('.data').filter((line) => / (cmdline_proc_show|dummy_validate) \+ 0$/.test(line))).toHaveLength(
      2,
    );
    expect(module.sections.get('.orc_unwind_ip')!.size / 4).toBe(module.sections.get('.orc_unwind')!.size / 6);
  });
});

describe('the command', () => {
  const symvers = at('Module.symvers');
  writeFileSync(symvers, SYMVERS);
  templateOf(folder);
  const files = ['--symvers', symvers, '--template', at('template.ko')];

  test('joins objects for vmlinux and modules', async () => {
    const [kernel, ext4] = [new PatchedObject(), new PatchedObject('ext4')];
    kernel.replace('one');
    ext4.replace('two');
    ext4.load('three', 'ext4', 'private');
    const objects = [await written(kernel, 'vmlinux.o'), await written(ext4, 'ext4.o')];
    const ran = await running([
      'link',
      ...objects,
      '-o',
      at('livepatch-two.ko'),
      ...files,
      '--description',
      'two fixes',
      '--state',
      '5:1',
      '--state',
      '6:2',
      '--no-replace',
    ]);
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(ran.stdout).toMatch(/livepatch-two\.ko: module livepatch_two, \d+ bytes, sha256 [0-9a-f]{64}/);
    const module = new ModuleFile(at('livepatch-two.ko'));
    expect(module.modinfo()).toEqual(expect.arrayContaining(['name=livepatch_two', 'description=two fixes']));
    expect(module.symbols.get('klp_states')!.size).toBe(3 * 24);
    expect(module.bytes('.data')[module.symbols.get('klp_patch')!.value + 24]).toBe(0);
    expect(readelf(at('livepatch-two.ko'), '-SW').some((line) => line.includes('.klp.rela.ext4..text'))).toBe(true);

    const json = await running(['link', ...objects, '-o', at('again.ko'), ...files, '--name', 'other-name', '--json']);
    const result = JSON.parse(json.stdout) as LinkResult;
    expect(result).toMatchObject({
      schema: 'klpflow/link@1',
      verdict: 'patchable',
      module: 'other_name',
      objects: [
        { path: objects[0], name: 'vmlinux', functions: 1, klpRelocations: 0 },
        { name: 'ext4', functions: 1, klpRelocations: 1 },
      ],
      diagnostics: [],
    });
    expect(readFileSync(at('again.ko')).length).toBe(result.output!.bytes);
  });

  test('a refused module is not written, and what stood there stays', async () => {
    const patched = new PatchedObject();
    patched.call('one', 'nobody_exports_this');
    writeFileSync(at('old.ko'), 'old');
    const ran = await running(['link', await written(patched, 'refused.o'), '-o', at('old.ko'), ...files]);
    expect(ran.status).toBe(2);
    expect(ran.stdout).toMatch(/refused, 1 reason:\n {2}not-exported: nobody_exports_this/);
    expect(readFileSync(at('old.ko'), 'utf8')).toBe('old');
  });

  test.each<[what: string, argv: string[], code: string, says: RegExp]>([
    ['no object', ['-o', 'x.ko', '--symvers', 'm'], 'usage', /missing OBJECT/],
    ['no output', ['a.o', '--symvers', 'm'], 'usage', /Missing required flag output/],
    ['no symvers', ['a.o', '-o', 'x.ko'], 'usage', /--vmlinux FILE is needed.* or --symvers FILE/],
    ['an output that is no module', ['a.o', '-o', 'x.o', '--symvers', 'm'], 'usage', /ends in \.ko/],
    ['an output without a name', ['a.o', '-o', '.ko', '--symvers', 'm'], 'usage', /no name/],
    [
      'a name that the kernel does not take',
      ['a.o', '-o', 'x.ko', '--symvers', 'm', '--name', 'a.b'],
      'usage',
      /--name a\.b/,
    ],
    [
      'a name of 56 characters',
      ['a.o', '-o', 'x.ko', '--symvers', 'm', '--name', 'n'.repeat(56)],
      'usage',
      /at most 55/,
    ],
    [
      'a state without a version',
      ['a.o', '-o', 'x.ko', '--symvers', 'm', '--state', '5'],
      'usage',
      /--state 5: give ID:VERSION/,
    ],
    ['state 0, which ends the list', ['a.o', '-o', 'x.ko', '--symvers', 'm', '--state', '0:1'], 'usage', /--state 0:1/],
    [
      'a state twice',
      ['a.o', '-o', 'x.ko', '--symvers', 'm', '--state', '5:1', '--state', '5:2'],
      'usage',
      /the state 5 is given twice/,
    ],
    [
      'a version of more than 32 bits',
      ['a.o', '-o', 'x.ko', '--symvers', 'm', '--state', '1:4294967296'],
      'usage',
      /32 bits/,
    ],
    ['an object that is not there', ['absent.o', '-o', 'x.ko', '--symvers', 'm'], 'unreadable', /absent\.o/],
  ])('%s', async (_, argv, code, says) => {
    const ran = await running(['link', ...argv, '--json'], { cwd: folder });
    expect(ran.status).toBe(1);
    expect(errorOf(ran)).toMatchObject({ code, message: expect.stringMatching(says) });
    expect(existsSync(at('x.ko'))).toBe(false);
  });

  test('objects of others, and templates that are none', async () => {
    const object = await written(new PatchedObject(), 'good.o');
    const folderPath = at('a-folder');
    mkdirSync(folderPath);
    for (const [argv, code] of [
      [[at('template.ko'), '-o', 'x.ko', ...files], 'not-klpflow-object'],
      [[object, '-o', 'x.ko', '--symvers', symvers, '--template', object], 'not-a-module'],
      [[object, '-o', 'x.ko', '--symvers', symvers, '--template', symvers], 'not-elf'],
      [[object, '-o', 'x.ko', '--symvers', symvers, '--btf', symvers], 'malformed-elf'],
      [[object, '-o', 'x.ko', '--symvers', object, '--template', at('template.ko')], 'malformed-symvers'],
      [[object, '-o', 'x.ko', '--symvers', folderPath, '--template', at('template.ko')], 'not-regular-file'],
      [[object, '-o', join('absent', 'x.ko'), ...files], 'write-failed'],
    ] as const) {
      const ran = await running(['link', ...argv, '--json'], { cwd: folder });
      expect([errorOf(ran).code, ran.status], argv.join(' ')).toEqual([code, 1]);
    }
  });
});

describe('damaged files', () => {
  test('a damaged object ends in a typed error, in a refusal or in a module that readelf reads', async () => {
    const patched = new PatchedObject();
    patched.replace('one');
    patched.load('two', 'vmlinux', 'secret', 2);
    patched.print('three', 'text');
    patched.data('hits', 8, '.data..percpu', 64);
    patched.object.callbacks.pre_patch = patched.func('before');
    const original = readFileSync(await written(patched, 'whole.o'));
    let refused = 0;
    let read = 0;
    const outcomes = survive(original, 2000, (elf) => {
      const result = writeModule([readKlpObject(elf)], TARGET, OPTIONS);
      if (result.chunks === null) {
        refused++;
        expect(result.diagnostics).not.toEqual([]);
        return;
      }
      const made = bytesOf(result);
      expect(new ElfObject(MappedFile.ofBytes(new Uint8Array(made), 'made')).symbolCount).toBeGreaterThan(5);
      if (read++ >= 40) return;
      writeFileSync(at('mutant.ko'), made);
      expect(readelfComplaints(at('mutant.ko'), '-SsW')).toBe('');
    });
    for (const count of [outcomes.errors, refused, read]) expect(count).toBeGreaterThan(50);
  });

  test('a damaged template is told from a whole one by a typed error alone', () => {
    templateOf(folder);
    const original = readFileSync(at('template.ko'));
    const outcomes = survive(original, 800, (elf) => {
      const { size, init, exit } = readTemplate(elf);
      for (const offset of [init, exit]) expect(offset === undefined || (offset >= 0 && offset + 8 <= size)).toBe(true);
    });
    expect(outcomes.errors).toBeGreaterThan(100);
  });
});
