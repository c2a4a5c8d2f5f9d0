/**
 * Single units of real fixes, made into modules with nothing but the image of the kernel that runs: `diff ORIG PATCHED -o x.ko
 * --vmlinux vmlinuz`. ORIG must be proven to be in it; what is not is refused, and so is every file that contradicts the image.
 *
 * The silent failures: a reference to another symbol of the same name, a livepatch of a unit that is compiled from another source or by
 * another compiler, a patched function that ftrace cannot redirect.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { ElfObject, RELA_WORDS, R_SYM, R_TYPE, R_X86_64_PLT32, SHT_RELA } from '../../src/elf';
import { MappedFile } from '../../src/files/mapped-file';
import { KernelImage } from '../../src/kernel-image';
import { readShipped, type ShippedKernel } from '../../src/verify/shipped';
import { verify } from '../../src/verify';
import { CORPUS, skipWithout, unavailable } from '../support/corpus';
import { EXIT_CODES, klpflow, resultOf } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const KERNEL = 'debian-6.12-gcc';
const folder = tempFolder();
const IMAGE = join(CORPUS, KERNEL, 'vmlinuz');
const OTHER_IMAGE = join(CORPUS, 'linux-7.2-thinlto', 'bzImage');
const missing =
  unavailable(KERNEL, true) ??
  (existsSync(join(CORPUS, KERNEL, 'units.tar.zst')) ? undefined : `no corpus: ${KERNEL} has no units.tar.zst`);
const UNITS = 42;

interface Expected {
  verdict: 'patchable' | 'refused' | 'unchanged';
  codes: string[];
}

const at = (name: string): string => join(folder, name);
const unpacked = (name: string): Buffer =>
  execFileSync('zstd', ['-dc', join(CORPUS, KERNEL, `${name}.zst`)], { maxBuffer: 1 << 28 });

/** Makes a module of a unit. */
async function make(orig: string, patched: string, out: string, ...flags: string[]): ReturnType<typeof klpflow> {
  return klpflow(['diff', at(orig), at(patched), '-o', at(out), '--run-dir', at('runs'), '--json', ...flags]);
}

/** The linked kernel within the image as one without CONFIG_DEBUG_INFO_BTF: no section of types, and nothing between the symbols around it. */
async function withoutTypes(): Promise<Buffer> {
  const bytes = Buffer.from((await KernelImage.open(IMAGE)).memory.bytes);
  bytes.write('.XTF', bytes.lastIndexOf('.BTF\0'), 'latin1');
  const lines = readFileSync(at('kallsyms'), 'latin1').split('\n');
  const [start = -1, stop = -1] = ['__start_BTF', '__stop_BTF'].map((name) =>
    lines.findIndex((line) => line.endsWith(` R ${name}`)),
  );
  // kallsyms_offsets: -1 - (address - _text).
  const words = lines.slice(start, stop + 3).map((line) => {
    const word = Buffer.alloc(4);
    word.writeInt32LE(Number(0xffffffff81000000n - 1n - BigInt(`0x${line.slice(0, 16)}`)));
    return word;
  });
  const table = bytes.indexOf(Buffer.concat(words));
  expect(Math.min(start, stop - start, table)).toBeGreaterThan(0);
  for (let entry = start; entry < stop; entry++) words[stop - start]!.copy(bytes, table + (entry - start) * 4);
  return bytes;
}

/** Diagnostics that keep a livepatch from being made, as `code: message`. */
function refusals(ran: Awaited<ReturnType<typeof make>>): string[] {
  return resultOf(ran)
    .diagnostics.filter(({ severity }) => severity === 'refusal')
    .map(({ code, message }) => `${code}: ${message}`);
}

describe('with the image alone', () => {
  beforeAll(() => {
    if (missing !== undefined) return;
    mkdirSync(folder, { recursive: true });
    execFileSync('tar', ['--zstd', '-xf', join(CORPUS, KERNEL, 'units.tar.zst'), '-C', folder]);
    writeFileSync(at('kallsyms'), unpacked('kallsyms.txt'));
    writeFileSync(at('Module.symvers'), unpacked('Module.symvers'));
    writeFileSync(at('types.btf'), unpacked('types.btf'));
  });
  const needed = (context: TestContext): void => skipWithout(context, missing);

  test('each of 42 fixes has the verdict that it should, and its module is right', {
    timeout: 600_000,
  }, async (context) => {
    needed(context);
    const units = readdirSync(folder).filter((name) => existsSync(at(join(name, 'expected.json'))));
    expect(units).toHaveLength(UNITS);
    const shipped = await readShipped(IMAGE);
    let written = 0;
    for (const unit of units.sort()) {
      const expected = JSON.parse(readFileSync(at(join(unit, 'expected.json')), 'utf8')) as Expected;
      const out = `livepatch-${unit.replaceAll('__', '-')}.ko`;
      const ran = await make(`${unit}/orig.o`, `${unit}/patched.o`, out, '--vmlinux', IMAGE);
      const { verdict } = resultOf(ran);
      expect({ unit, verdict, status: ran.status }, refusals(ran).join('\n')).toEqual({
        unit,
        verdict: expected.verdict,
        status: EXIT_CODES[expected.verdict],
      });
      for (const code of expected.codes) expect(refusals(ran).map((text) => text.split(':')[0])).toContain(code);
      expect(existsSync(at(out))).toBe(verdict === 'patchable');
      if (verdict !== 'patchable') continue;
      written++;
      const objects = [at(`${unit}/patched.o`)];
      const files = {
        symvers: at('Module.symvers'),
        btf: at('types.btf'),
        template: join(CORPUS, KERNEL, 'template.ko'),
      };
      // By the files that the booted kernel gave, and by the verifier's own reading of the image.
      for (const kernel of [{ vmlinux: at('kallsyms'), ...files }, { shipped }]) {
        const { ok, diagnostics } = verify({ module: at(out), ...kernel, objects });
        expect(ok, `${unit}: ${diagnostics.map(({ message }) => message).join('\n')}`).toBe(true);
      }
    }
    expect(written).toBeGreaterThan(30);
  });

  test('the bytes are those that the files give which the image stands for', async (context) => {
    needed(context);
    const unit = 'net__sched__sch_generic';
    const pair = [`${unit}/orig.o`, `${unit}/patched.o`] as const;
    await make(...pair, 'livepatch-x.ko', '--vmlinux', IMAGE);
    const own = readFileSync(at('livepatch-x.ko'));
    const files = [
      '--symvers',
      at('Module.symvers'),
      '--btf',
      at('types.btf'),
      '--template',
      join(CORPUS, KERNEL, 'template.ko'),
    ];
    await make(...pair, 'livepatch-x.ko', '--vmlinux', at('kallsyms'), ...files);
    expect(readFileSync(at('livepatch-x.ko')).equals(own)).toBe(true);
    // Files that agree with it change nothing, either.
    const ran = await make(...pair, 'livepatch-x.ko', '--vmlinux', IMAGE, ...files);
    expect(refusals(ran)).toEqual([]);
    expect(readFileSync(at('livepatch-x.ko')).equals(own)).toBe(true);
  });

  test('an image without types says what else to pass, and with that gives the same module', async (context) => {
    needed(context);
    const unit = 'net__sched__sch_generic';
    const pair = [`${unit}/orig.o`, `${unit}/patched.o`] as const;
    await make(...pair, 'livepatch-x.ko', '--vmlinux', IMAGE);
    const own = readFileSync(at('livepatch-x.ko'));
    writeFileSync(at('vmlinux'), await withoutTypes());
    const ran = await make(...pair, 'livepatch-y.ko', '--vmlinux', at('vmlinux'));
    expect(ran.status).toBe(1);
    expect(ran.stdout + ran.stderr).toMatch(/no-btf[^]*nor an image that has BTF \(CONFIG_DEBUG_INFO_BTF\)/);
    expect(ran.stdout + ran.stderr).toContain('--template');
    expect(existsSync(at('livepatch-y.ko'))).toBe(false);
    await make(...pair, 'livepatch-x.ko', '--vmlinux', at('vmlinux'), '--btf', at('types.btf'));
    expect(readFileSync(at('livepatch-x.ko')).equals(own)).toBe(true);
  });

  test('of several symbols of one name the one is meant to which equal code refers', async (context) => {
    needed(context);
    // dst_output: 8 copies of a static inline in the kernel, one in the unit.
    const ran = await make('net__ipv6__raw/orig.o', 'net__ipv6__raw/patched.o', 'livepatch-raw.ko', '--vmlinux', IMAGE);
    const symbol = resultOf(ran).objects[0]!.klpSymbols.find(({ name }) => name === 'dst_output')!;
    expect(symbol.evidence).toMatch(/the kernel's image/);
    const list = readFileSync(at('kallsyms'), 'latin1').split('\n');
    const copies = list.filter((line) => / dst_output$/.test(line));
    expect(copies).toHaveLength(8);
    expect(symbol.sympos).toBeGreaterThan(0);
    // The premise is the linker's: a unit's functions lie together, so that of raw.c is between its neighbours.
    const index = list.indexOf(copies[symbol.sympos - 1]!);
    const near = list.slice(index - 30, index + 30).join('\n');
    expect(near).toMatch(/ rawv6_/);
  });

  test('a unit of another source, and of another compiler, is refused', async (context) => {
    needed(context);
    const unit = 'net__sched__sch_generic';
    // 6.12.118 in place of 6.12.117: the fix itself is what differs.
    const other = await make(`${unit}/patched.o`, `${unit}/orig.o`, 'livepatch-y.ko', '--vmlinux', IMAGE);
    expect(other.status).toBe(EXIT_CODES.refused);
    expect(refusals(other)).toContainEqual(
      expect.stringMatching(/^orig-not-running-kernel: \d of \d+ functions .*__qdisc_run.*source or configuration/),
    );
    // GCC's unit of 6.12, Clang's kernel of 7.2.
    const kernel = await make(
      `${unit}/orig.o`,
      `${unit}/patched.o`,
      'livepatch-y.ko',
      '--vmlinux',
      OTHER_IMAGE,
      '--template',
      join(CORPUS, 'linux-7.2-thinlto', 'template.ko'),
    );
    expect(kernel.status).toBe(EXIT_CODES.refused);
    expect(refusals(kernel)).toContainEqual(
      expect.stringMatching(/^orig-not-running-kernel: .*compiler or flags.*GCC: \(Debian 12\.2\.0.*clang version 19/),
    );
    expect(existsSync(at('livepatch-y.ko'))).toBe(false);
  });

  test('a unit whose bytes are equal and that calls another function is refused', async (context) => {
    needed(context);
    const unit = 'net__sched__sch_generic';
    // One call, of a function that the fix does not touch, to another function that the kernel has: masked, nothing differs.
    const bytes = readFileSync(at(`${unit}/orig.o`));
    const object = new ElfObject(MappedFile.ofBytes(new Uint8Array(bytes), 'orig.o'));
    const calls = Array.from({ length: object.sectionCount }, (_, section) => section)
      .filter((section) => object.type(section) === SHT_RELA && /^\.rela\.text\.qdisc_/.test(object.name(section)))
      .flatMap((section) => {
        const relas = object.relas(section);
        return Array.from({ length: relas.length / RELA_WORDS }, (_, i) => ({
          at: object.offset(section) + i * RELA_WORDS * 4 + R_SYM * 4,
          type: relas[i * RELA_WORDS + R_TYPE]!,
          name: object.symbolName(relas[i * RELA_WORDS + R_SYM]!),
          symbol: relas[i * RELA_WORDS + R_SYM]!,
        }));
      })
      .filter(({ type, name }) => type === R_X86_64_PLT32 && !name.startsWith('__') && name !== '');
    const call = calls[0]!;
    const other = calls.find(({ name }) => name !== call.name)!;
    bytes.writeUInt32LE(other.symbol, call.at);
    writeFileSync(at('other-call.o'), bytes);
    const ran = await make('other-call.o', `${unit}/patched.o`, 'livepatch-w.ko', '--vmlinux', IMAGE);
    expect(refusals(ran).join('\n')).toMatch(
      new RegExp(`orig-not-running-kernel: .*ORIG refers to ${other.name}, the kernel there to something else`),
    );
    expect(existsSync(at('livepatch-w.ko'))).toBe(false);
  });

  test('a file that contradicts the image is refused by name', async (context) => {
    needed(context);
    const unit = 'net__sched__sch_generic';
    const symvers = readFileSync(at('Module.symvers'), 'latin1');
    writeFileSync(at('other-crc'), symvers.replace(/^0x[0-9a-f]{8}\t_printk\t/m, '0x12345678\t_printk\t'));
    writeFileSync(at('other-names'), symvers.replace(/^.*\t_printk\t.*\n/m, ''));
    writeFileSync(at('other-functions'), 'schedule\nno_such_function_is_there\n');
    const types = execFileSync('zstd', ['-dc', join(CORPUS, 'linux-7.3-cfi-afdo', 'types.btf.zst')], {
      maxBuffer: 1 << 28,
    });
    writeFileSync(at('other-types'), types);
    const cases: Array<[flags: string[], sentence: RegExp]> = [
      [
        ['--symvers', at('other-crc')],
        /other-crc and .*vmlinuz are of different kernels: _printk has version 0x12345678/,
      ],
      [['--symvers', at('other-names')], /other-names and .*: _printk is exported by the other/],
      [
        ['--template', join(CORPUS, 'linux-7.2-thinlto', 'template.ko')],
        /template\.ko and .*vmlinuz .*vermagic is "7\.2\.13/,
      ],
      [['--btf', at('other-types')], /other-types and .*vmlinuz .*struct \w+ is laid out differently/],
      [['--ftrace', at('other-functions')], /other-functions and .*no_such_function_is_there/],
    ];
    for (const [flags, sentence] of cases) {
      const ran = await make(`${unit}/orig.o`, `${unit}/patched.o`, 'livepatch-z.ko', '--vmlinux', IMAGE, ...flags);
      expect(refusals(ran), flags.join(' ')).toContainEqual(expect.stringMatching(sentence));
      expect(existsSync(at('livepatch-z.ko'))).toBe(false);
    }
  });

  test('an image that is cut short, or no kernel, is one plain sentence', async (context) => {
    needed(context);
    const whole = readFileSync(IMAGE);
    writeFileSync(at('short'), whole.subarray(0, whole.length >> 1));
    const efi = Buffer.alloc(4096);
    efi.write('MZ');
    writeFileSync(at('efi'), efi);
    for (const [file, sentence] of [
      ['short', /short: at offset \d+: the kernel lies at .* it is cut short/],
      ['efi', /efi is an EFI program without the boot header of x86-64 or arm64/],
    ] as const) {
      const unit = 'net__sched__sch_generic';
      const ran = await make(`${unit}/orig.o`, `${unit}/patched.o`, 'livepatch-z.ko', '--vmlinux', at(file));
      expect(ran.status).toBe(1);
      expect(ran.stdout).toMatch(sentence);
    }
  });

  test('without -o it is rehearsed with all that the image says', async (context) => {
    needed(context);
    const ran = await klpflow([
      'diff',
      at('mm__gup/orig.o'),
      at('mm__gup/patched.o'),
      '--run-dir',
      at('runs'),
      '--json',
      '--vmlinux',
      IMAGE,
    ]);
    const { verdict, diagnostics } = resultOf(ran);
    expect(verdict).toBe('patchable');
    expect(diagnostics.map(({ code }) => code)).not.toContain('not-checked');
  });

  test('verify finds by the image alone what would not load or would patch another symbol', async (context) => {
    needed(context);
    const shipped = (await readShipped(IMAGE)) as ShippedKernel;
    const list = readFileSync(at('kallsyms'), 'latin1').trimEnd().split('\n');
    expect(shipped.list.length).toBe(list.length);
    expect(shipped.list.findIndex(({ name, letter }, i) => list[i]!.slice(17) !== `${letter} ${name}`)).toBe(-1);
    const unit = 'net__ipv6__raw';
    await make(`${unit}/orig.o`, `${unit}/patched.o`, 'livepatch-v.ko', '--vmlinux', IMAGE);
    const whole = readFileSync(at('livepatch-v.ko'));
    const check = (change: (bytes: Buffer) => void): string[] => {
      const bytes = Buffer.from(whole);
      change(bytes);
      writeFileSync(at('changed.ko'), bytes);
      return verify({ module: at('changed.ko'), shipped })
        .diagnostics.filter(({ severity }) => severity === 'refusal')
        .map(({ code }) => code);
    };
    expect(check(() => undefined)).toEqual([]);
    const text = (from: string, to: string) => (bytes: Buffer) => {
      const found = bytes.indexOf(from);
      expect(found, from).toBeGreaterThan(0);
      bytes.write(to, found);
    };
    expect(
      check(text('vermagic=6.12.117+deb12-cloud-amd64 SMP preempt', 'vermagic=6.12.117+deb12-cloud-amd64 SMP preemps')),
    ).toContain('verify-modinfo');
    const position = /\.klp\.sym\.vmlinux\.dst_output,(\d)/.exec(whole.toString('latin1'))!;
    expect(check(text(position[0], position[0].replace(/\d$/, '9')))).toContain('verify-unresolved');
    // A version: the CRC of module_layout, which every module has.
    expect(
      check((bytes) => {
        const record = bytes.indexOf('module_layout\0') - 8;
        bytes.writeUInt32LE(bytes.readUInt32LE(record) ^ 1, record);
      }),
    ).toContain('verify-version');
  });
});
