/**
 * Real changes in an arm64 kernel (Linux 7.3: ThinLTO, kCFI, KASLR): exactly the functions that changed, and modules in the form that this processor's
 * loader asks for. test/boot/arm64 loads them.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { ElfObject, RELA_WORDS, R_OFFSET, R_SYM, R_TYPE, SHF_RELA_LIVEPATCH, SHT_RELA, u64 } from '../src/elf';
import { verify, type VerifyResult } from '../src/index';
import { COMPUTED } from '../src/kernel/kcfi';
import {
  ARM64,
  CORPUS,
  expectedOf,
  kernelFiles,
  objectsOf,
  pairsOf,
  skipWithout,
  unavailable,
  unlike,
  type Expected,
} from './support/corpus';
import { EXIT_CODES, klpflow, resultOf, type Ran } from './support/run-klpflow';
import { tempFolder } from './support/temp-folder';

const JUMP26 = 282;
const CALL26 = 283;

const folder = tempFolder();
const missing = unavailable(ARM64, true);
const pairs = missing === undefined ? pairsOf(ARM64) : [];
beforeEach((context) => skipWithout(context, missing));

const out = (pair: string): string => join(folder, `${pair}.ko`);
const diffs = new Map<string, Promise<Ran>>();

/** The pair's module, or why there is none; each made once, with one run directory for all. */
function diff(pair: string): Promise<Ran> {
  const [first, ...also] = objectsOf(ARM64, pair);
  const { symvers, vmlinux, btf, template } = kernelFiles(ARM64);
  const running =
    diffs.get(pair) ??
    klpflow([
      'diff',
      first!.orig,
      first!.patched,
      ...also.flatMap(({ orig, patched }) => ['--also', `${orig}=${patched}`]),
      '-o',
      out(pair),
      ...['--symvers', symvers, '--vmlinux', vmlinux, '--btf', btf, '--template', template],
      ...['--run-dir', join(folder, 'run'), '--json', '--progress', 'json'],
    ]);
  diffs.set(pair, running);
  return running;
}

describe.each(pairs.length === 0 ? ['none'] : pairs)('%s', (pair) => {
  test('gives exactly the changed functions, the verdict and a module', async () => {
    const expected = expectedOf(ARM64, pair);
    const ran = await diff(pair);
    const { verdict, objects, output } = resultOf(ran);
    expect({ verdict, status: ran.status }).toEqual({
      verdict: expected.verdict,
      status: EXIT_CODES[expected.verdict],
    });
    const byObject = new Map<string, Pick<Expected, 'changed' | 'new'>>(
      existsSync(join(CORPUS, ARM64, 'pairs', pair, 'patched.o.delta.zst')) ? [['vmlinux', expected]] : [],
    );
    for (const [name, changed] of Object.entries(expected.modules ?? {}))
      byObject.set(name.replaceAll('-', '_'), { changed, new: [] });
    expect(objects.map(({ name }) => name)).toEqual([...byObject.keys()]);
    for (const { name, functions } of objects)
      expect(unlike(byObject.get(name)!, functions), name).toEqual({ missing: [], unexpected: [] });
    expect({ written: existsSync(out(pair)), told: output !== null }).toEqual({
      written: verdict === 'patchable',
      told: verdict === 'patchable',
    });
  });
});

const patchable = pairs.filter((pair) => expectedOf(ARM64, pair).verdict === 'patchable');

describe.each(patchable.length === 0 ? ['none'] : patchable)('the module of %s', (pair) => {
  const sections = (elf: ElfObject): Map<string, number> =>
    new Map(Array.from({ length: elf.sectionCount }, (_, i) => [elf.name(i), i]));

  // The loader makes room in these for bridges of calls that are too far, and for ftrace; a module without them is refused (-ENOEXEC).
  test('has the sections that the loader looks for', async () => {
    await diff(pair);
    const elf = ElfObject.open(out(pair));
    const names = sections(elf);
    for (const name of ['.plt', '.init.plt', '.text.ftrace_trampoline', '.init.text.ftrace_trampoline'])
      expect(names.get(name), name).toBeGreaterThan(0);
    expect([...names.keys()].filter((name) => name.startsWith('.text'))).toEqual(['.text', '.text.ftrace_trampoline']);
  });

  // A branch that is applied when a module comes, and does not reach, makes the loader write to read-only code: an oops under klp_mutex.
  test('has no branch among what is applied late', async () => {
    await diff(pair);
    const elf = ElfObject.open(out(pair));
    for (let section = 1; section < elf.sectionCount; section++) {
      if (elf.type(section) !== SHT_RELA || (elf.sectionFlags(section) & SHF_RELA_LIVEPATCH) === 0) continue;
      if (elf.name(section).startsWith('.klp.rela.vmlinux.')) continue;
      const words = elf.relas(section);
      for (let at = 0; at < words.length; at += RELA_WORDS)
        expect([JUMP26, CALL26], elf.name(section)).not.toContain(words[at + R_TYPE]);
    }
  });

  // The kernel calls both through pointers: without the hash before it the load ends in a trap.
  test('has the hashes of its entry functions before them', async () => {
    await diff(pair);
    const elf = ElfObject.open(out(pair));
    const hashBefore = (name: string): number => {
      const symbol = Array.from({ length: elf.symbolCount }, (_, i) => i).find((i) => elf.symbolName(i) === name)!;
      const text = elf.content(sections(elf).get('.text')!);
      return new DataView(text.buffer, text.byteOffset).getUint32(elf.symbolValue(symbol) - 4, true);
    };
    expect({ init: hashBefore('init_module'), exit: hashBefore('cleanup_module') }).toEqual(COMPUTED.plain);
  });

  // ftrace writes to every place that is listed: one that holds anything but two NOPs makes it turn itself off.
  test('lists ftrace sites that are two NOPs', async () => {
    await diff(pair);
    const elf = ElfObject.open(out(pair));
    const names = sections(elf);
    const words = elf.relas(names.get('.rela__patchable_function_entries')!);
    expect(words.length).toBeGreaterThan(0);
    expect(elf.size(names.get('__patchable_function_entries')!)).toBe((words.length / RELA_WORDS) * 8);
    const text = elf.content(names.get('.text')!);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      expect(u64(words, at + R_OFFSET) % 8).toBe(0);
      const place =
        elf.symbolValue(words[at + R_SYM]!) +
        Number(new DataView(words.buffer, words.byteOffset).getInt32((at + 4) * 4, true));
      expect(Buffer.from(text.subarray(place, place + 8)).toString('hex')).toBe('1f2003d51f2003d5');
    }
  });
});

// The image has to say the same as the files that a build leaves: another position, or an export less, would patch another function.
test('the shipped Image.gz gives the module that the files give', async () => {
  const pair = 'header-inline';
  await diff(pair);
  const [{ orig, patched }] = objectsOf(ARM64, pair) as [{ orig: string; patched: string }];
  const path = join(folder, 'by-image', `${pair}.ko`);
  mkdirSync(join(folder, 'by-image'));
  const { btf, template } = kernelFiles(ARM64);
  const ran = await klpflow([
    ...['diff', orig, patched, '-o', path, '--vmlinux', join(CORPUS, ARM64, 'Image.gz'), '--btf', btf],
    ...['--template', template, '--run-dir', join(folder, 'run'), '--json', '--progress', 'json'],
  ]);
  const { verdict, output, evidence } = resultOf(ran);
  expect(verdict).toBe('patchable');
  expect(readFileSync(path).equals(readFileSync(out(pair)))).toBe(true);
  expect(output?.format).toBe('ko');
  // Every reference and ftrace site of the replaced functions, in the image's own code.
  expect(JSON.stringify(evidence)).toMatch(/byte for byte/);
});

function check(pair: string, module: string): Promise<VerifyResult> {
  return verify({
    module,
    ...kernelFiles(ARM64),
    objects: objectsOf(ARM64, pair).map(({ patched }) => patched),
  });
}

test.each(patchable.length === 0 ? ['none'] : patchable)(
  '%s gives a module that the independent check finds fine',
  async (pair) => {
    await diff(pair);
    const { ok, diagnostics } = await check(pair, out(pair));
    expect(diagnostics.filter(({ severity }) => severity !== 'note')).toEqual([]);
    expect(ok).toBe(true);
  },
);

/** Bytes of the file, and where things are in it. */
interface Opened {
  bytes: Buffer;
  elf: ElfObject;
  /** File offset of the n-th relocation of a section by its name. */
  rela(section: string, wanted: (type: number) => boolean): number;
}

const TYPE = 8;
const ADDEND = 16;
const PC_BITS = 4;

// Each of them loads, or not, and what happens then happens to a running kernel.
describe.each<[what: string, pair: string, code: string, change: (file: Opened) => void]>([
  [
    'a section of the loader is missing',
    'uaccess',
    'verify-elf-form',
    ({ bytes }) => void bytes.write('x', bytes.indexOf('.plt\0') + 1),
  ],
  [
    'an ftrace entry is beside its place',
    'uaccess',
    'verify-entry',
    ({ bytes, rela }) => {
      const at = rela('.rela__patchable_function_entries', () => true) + ADDEND;
      bytes.writeInt32LE(bytes.readInt32LE(at) + 8, at);
    },
  ],
  [
    'a type hash is another',
    'uaccess',
    'verify-type-hash',
    ({ bytes }) => void bytes.writeUInt32LE(COMPUTED.plain.init ^ 1, bytes.indexOf(hashOf(COMPUTED.plain.init))),
  ],
  [
    'a branch is applied late',
    'uaccess',
    'verify-late-relocation',
    ({ bytes }) => {
      for (const name of ['.klp.rela.vmlinux.', '.klp.sym.vmlinux.'])
        for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1))
          bytes.write('modulex', at + name.indexOf('vmlinux'));
    },
  ],
  [
    'a relocation is not one of its instruction',
    'uaccess',
    'verify-relocation',
    ({ bytes, rela }) => void bytes.writeUInt32LE(JUMP26, rela('.rela.text', (type) => type === CALL26) + TYPE),
  ],
  [
    'a load drops the low bits of its address',
    'runtime-pointer',
    'verify-target',
    ({ bytes, rela }) =>
      void bytes.writeInt32LE(PC_BITS, rela('.klp.rela.vmlinux..text', (type) => type === 286) + ADDEND),
  ],
  [
    'an alternative is longer than its site',
    'runtime-pointer',
    'verify-entry',
    ({ bytes, elf }) => {
      const section = Array.from({ length: elf.sectionCount }, (_, i) => i).find(
        (i) => elf.name(i) === '.altinstructions',
      )!;
      bytes[elf.offset(section) + 11] = 8;
    },
  ],
  [
    'a trap has no record',
    'runtime-pointer',
    'verify-missing-entry',
    ({ bytes }) => {
      for (let at = bytes.indexOf('__bug_table\0'); at >= 0; at = bytes.indexOf('__bug_table\0', at + 1))
        bytes.write('x', at);
    },
  ],
  [
    'a constant is read into another register',
    'runtime-pointer',
    'verify-object-differs',
    ({ bytes }) => {
      // ldr w9, [x9], then lsr w9, w22, w9.
      const at = bytes.indexOf(Buffer.from('290140b9c926c91a', 'hex'));
      expect(at).toBeGreaterThan(0);
      bytes[at + 5]! ^= 2;
    },
  ],
  [
    'a veneer leads to another function',
    'nf-tables',
    'verify-object-differs',
    ({ bytes, rela }) => {
      // The first slot is filled in for the second one's symbol.
      const first = rela('.klp.rela.nf_tables..data', () => true);
      bytes.copy(bytes, first + TYPE, first + 24 + TYPE, first + 24 + TYPE + 8);
    },
  ],
])('the independent check sees that %s', (_, pair, code, change) => {
  test(`${pair}: ${code}`, async () => {
    await diff(pair);
    const bytes = readFileSync(out(pair));
    const elf = ElfObject.open(out(pair));
    const before = Buffer.from(bytes);
    change({
      bytes,
      elf,
      rela(name, wanted) {
        const section = Array.from({ length: elf.sectionCount }, (__, i) => i).find((i) => elf.name(i) === name)!;
        const words = elf.relas(section);
        let at = 0;
        while (!wanted(words[at + R_TYPE]!)) at += RELA_WORDS;
        return elf.offset(section) + at * 4;
      },
    });
    expect(bytes.equals(before)).toBe(false);
    const path = join(folder, 'damaged.ko');
    writeFileSync(path, bytes);
    const { ok, diagnostics } = await check(pair, path);
    expect(diagnostics.map((found) => found.code)).toContain(code);
    expect(ok).toBe(false);
  });
});

function hashOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
