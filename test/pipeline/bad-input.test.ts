/**
 * Inputs that cannot be compared. Each must end in one error that says what is wrong, where and what to do, with exit code 1;
 * what this guards against is the other end: a verdict on a file that was not understood, a wait that never ends, or a
 * stack trace that tells nobody anything.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Diagnostic } from '../../src/diagnostics';
import { bundle, options, root } from '../../scripts/bundle.mjs';
import { EM_S390 } from '../../src/elf/constants';
import { code, hex, object, relocated, u16, type Body, type Target } from '../support/elf-builder';
import { inlinePool } from '../support/inline-plugin';
import { errorOf, resultOf, running } from '../support/run-klpflow';
import { filesOf, halfWritten, smallPair, type SmallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let pair: SmallPair;
let good: Buffer;

beforeAll(async () => {
  pair = await smallPair(folder);
  good = readFileSync(pair.orig);
});

const at = (name: string): string => join(folder, name);

/** Writes a file and returns its path. */
function file(name: string, content: Uint8Array | string): string {
  writeFileSync(at(name), content);
  return at(name);
}

/** ORIG with some of its bytes replaced. */
function spoiled(name: string, ...changes: ReadonlyArray<readonly [offset: number, bytes: string]>): string {
  const bytes = Buffer.from(good);
  for (const [offset, digits] of changes) bytes.set(hex(digits), offset);
  return file(name, bytes);
}

/** Where ORIG's section table begins. */
const sectionTable = (): number => Number(good.readBigUInt64LE(40));

/** A section header's offset, by type. */
function headerOf(type: number, nth = 0): number {
  const headers = Array.from({ length: good.readUInt16LE(60) }, (_, i) => sectionTable() + i * 64).filter(
    (header) => good.readUInt32LE(header + 4) === type,
  );
  return headers[nth]!;
}

const [SHT_SYMTAB, SHT_STRTAB, SHT_RELA] = [2, 3, 4];
const contentOf = (header: number): number => Number(good.readBigUInt64LE(header + 24));
const sizeOf = (header: number): number => Number(good.readBigUInt64LE(header + 32));
const cut = (name: string, length: number): string => file(name, good.subarray(0, length));

interface Case {
  make: () => string;
  code: Diagnostic['code'];
  says: RegExp;
  hint: RegExp;
}

const NOT_FINISHED = /damaged or was not finished/;
const PASS_OBJECT = /Pass the vmlinux\.o/;
const PATH = /path and its permissions/;

const CASES: Record<string, Case> = {
  'an empty file': { make: () => file('empty.o', ''), code: 'not-elf', says: /is empty/, hint: PASS_OBJECT },
  'a file that is not ELF': {
    make: () => file('text.o', 'int main(void);\n'),
    code: 'not-elf',
    says: /not an ELF file/,
    hint: PASS_OBJECT,
  },
  'a file of three bytes': {
    make: () => file('three.o', '\x7fEL'),
    code: 'not-elf',
    says: /not an ELF file/,
    hint: PASS_OBJECT,
  },
  'an ar archive': {
    make: () => file('built-in.a', '!<arch>\n'),
    code: 'not-elf',
    says: /ar archive/,
    hint: PASS_OBJECT,
  },
  'LLVM bitcode': {
    make: () => file('bitcode.o', hex('42 43 c0 de 35 14 00 00')),
    code: 'bitcode',
    says: /LLVM bitcode/,
    hint: /pass the linked vmlinux\.o/,
  },
  'wrapped LLVM bitcode': {
    make: () => file('wrapped.o', hex('de c0 17 0b 00 00 00 00')),
    code: 'bitcode',
    says: /LLVM bitcode/,
    hint: /pass the linked vmlinux\.o/,
  },
  'a 32-bit object': {
    make: () => spoiled('class32.o', [4, '01']),
    code: 'unsupported-object',
    says: /32-bit/,
    hint: /ELF64/,
  },
  'an executable': {
    make: () => spoiled('vmlinux', [16, '02 00']),
    code: 'not-relocatable',
    says: /is an executable/,
    hint: /vmlinux\.o, not vmlinux/,
  },
  'a shared object': {
    make: () => spoiled('vdso.so', [16, '03 00']),
    code: 'not-relocatable',
    says: /is a shared object/,
    hint: /vmlinux\.o, not vmlinux/,
  },
  'an unsupported processor': {
    make: () => spoiled('mips.o', [18, '08 00']),
    code: 'unsupported-object',
    says: /mips\.o/,
    hint: /x86-64, ppc64le, s390x/,
  },
  'no section table': {
    make: () => spoiled('no-table.o', [40, '00 00 00 00 00 00 00 00']),
    code: 'malformed-elf',
    says: /no section headers/,
    hint: NOT_FINISHED,
  },
  'cut in the header': {
    make: () => cut('cut-header.o', 40),
    code: 'malformed-elf',
    says: /truncated/,
    hint: NOT_FINISHED,
  },
  'cut behind the header': {
    make: () => cut('cut-64.o', 64),
    code: 'malformed-elf',
    says: /truncated/,
    hint: NOT_FINISHED,
  },
  'cut in the section table': {
    make: () => cut('cut-table.o', sectionTable() + 1000),
    code: 'malformed-elf',
    says: /section headers/,
    hint: NOT_FINISHED,
  },
  'cut in the last section header': {
    make: () => cut('cut-end.o', sectionTable() + good.readUInt16LE(60) * 64 - 1),
    code: 'malformed-elf',
    says: /section headers/,
    hint: NOT_FINISHED,
  },
  'symbols past the end': {
    make: () => spoiled('far-symbols.o', [headerOf(SHT_SYMTAB) + 24, '00 00 00 10 00 00 00 00']),
    code: 'malformed-elf',
    says: /past the end of the file/,
    hint: NOT_FINISHED,
  },
  'a string table past the end': {
    make: () => spoiled('far-strings.o', [headerOf(SHT_STRTAB) + 32, '00 00 00 00 00 00 00 40']),
    code: 'malformed-elf',
    says: /past the end of the file/,
    hint: NOT_FINISHED,
  },
  'relas past the end': {
    make: () => spoiled('far-relas.o', [headerOf(SHT_RELA) + 24, 'f0 ff ff ff ff ff ff ff']),
    code: 'malformed-elf',
    says: /past the end of the file/,
    hint: NOT_FINISHED,
  },
  'symbols of another size': {
    make: () => spoiled('entsize.o', [headerOf(SHT_SYMTAB) + 56, '00']),
    code: 'malformed-elf',
    says: /24-byte records/,
    hint: NOT_FINISHED,
  },
  'a symbol without a name': {
    make: () => spoiled('no-name.o', [contentOf(headerOf(SHT_SYMTAB)) + 24 * 100, 'ff ff ff 7f']),
    code: 'malformed-elf',
    says: /symbol 100: st_name/,
    hint: NOT_FINISHED,
  },
  'a symbol of no section': {
    make: () => spoiled('no-section.o', [contentOf(headerOf(SHT_SYMTAB)) + 24 * 100 + 6, 'fe fe']),
    code: 'malformed-elf',
    says: /symbol 100 is in section 65278/,
    hint: NOT_FINISHED,
  },
  'a rela without a symbol': {
    make: () => spoiled('no-symbol.o', [contentOf(headerOf(SHT_RELA)) + 12, 'ff ff ff 00']),
    code: 'malformed-elf',
    says: /names symbol 16777215/,
    hint: NOT_FINISHED,
  },
  'names that never end': {
    make: () =>
      spoiled(
        'no-nul.o',
        [contentOf(headerOf(SHT_STRTAB)) + sizeOf(headerOf(SHT_STRTAB)) - 1, '41'],
        [contentOf(headerOf(SHT_STRTAB, 1)) + sizeOf(headerOf(SHT_STRTAB, 1)) - 1, '41'],
      ),
    code: 'malformed-elf',
    says: /does not end in a NUL/,
    hint: NOT_FINISHED,
  },
  'a directory': {
    make: () => (mkdirSync(at('dir.o'), { recursive: true }), at('dir.o')),
    code: 'not-regular-file',
    says: /not a regular file/,
    hint: /not a directory, device or pipe/,
  },
  'a device': {
    make: () => '/dev/zero',
    code: 'not-regular-file',
    says: /not a regular file/,
    hint: /not a directory, device or pipe/,
  },
  'a pipe that nobody writes to': {
    make: () => (execFileSync('mkfifo', [at('fifo')]), at('fifo')),
    code: 'not-regular-file',
    says: /not a regular file/,
    hint: /not a directory, device or pipe/,
  },
  'the memory of the process': {
    make: () => '/proc/self/mem',
    code: 'not-elf',
    says: /not a file on disk/,
    hint: PASS_OBJECT,
  },
  'a file that is not there': {
    make: () => at('missing.o'),
    code: 'unreadable',
    says: /no such file or directory/,
    hint: PATH,
  },
  'a path through a file': {
    make: () => join(pair.orig, 'vmlinux.o'),
    code: 'unreadable',
    says: /not a directory/,
    hint: PATH,
  },
  'a symbolic link to itself': {
    make: () => (symlinkSync(at('loop.o'), at('loop.o')), at('loop.o')),
    code: 'unreadable',
    says: /too many symbolic links/,
    hint: PATH,
  },
  'a name that is too long': {
    make: () => at('x'.repeat(300)),
    code: 'unreadable',
    says: /name is too long/,
    hint: PATH,
  },
};

describe('one error, exit code 1, nothing left behind', () => {
  test.each(Object.entries(CASES))('%s', async (name, { make, code: expected, says, hint }) => {
    const path = make();
    const runDir = at(`run ${name}`);
    // Whichever side it stands on: a check that looks at ORIG only lets every bad PATCHED through.
    for (const [orig, patched] of [
      [path, pair.patched],
      [pair.patched, path],
    ] as const) {
      const ran = await running(['diff', orig, patched, '--run-dir', runDir, '--json', '--progress', 'none']);
      expect(ran.stderr).toBe('');
      expect(ran.status).toBe(1);
      const { code: got, message, where, severity, hint: told } = errorOf(ran);
      expect({ got, message, severity, where: where.object, told }).toEqual({
        got: expected,
        message: expect.stringMatching(says),
        severity: 'error',
        where: path,
        told: expect.stringMatching(hint),
      });
      expect(message).toContain(path);
    }
    expect(filesOf(runDir).filter((left) => left.startsWith('pairs'))).toEqual([]);
    expect(halfWritten(runDir)).toEqual([]);
  });

  test('as text: code, sentence and remedy on stderr, nothing on stdout', async () => {
    const path = CASES['LLVM bitcode']!.make();
    const ran = await running(['diff', path, pair.patched, '--run-dir', at('run text'), '--progress', 'none']);
    expect(ran).toMatchObject({ status: 1, stdout: '' });
    expect(ran.stderr).toBe(
      `error bitcode: ${path} is LLVM bitcode: code generation has not happened yet\n      Under LTO a unit has no machine code before linking: pass the linked vmlinux.o (or a module's .o after \`ld -r\`) of each build; klpflow explain ORIG PATCHED FUNCTION --ir shows what differs of one function as it is.\n`,
    );
  });

  test('of two bad inputs it is always the first that is told', async () => {
    // Otherwise the message depends on which thread is faster, and a script that matches it fails now and then.
    const [first, second] = [CASES['an ar archive']!.make(), CASES['LLVM bitcode']!.make()];
    for (let i = 0; i < 3; i++)
      expect(errorOf(await running(['diff', first, second, '--run-dir', at('run two'), '--json'])).code).toBe(
        'not-elf',
      );
    expect(errorOf(await running(['diff', second, first, '--run-dir', at('run two'), '--json'])).code).toBe('bitcode');
  });

  test('a file that may not be read', async (context) => {
    const path = spoiled('secret.o');
    chmodSync(path, 0o000);
    // Root reads everything: then the command runs as nobody, if nobody can run it.
    const nobody = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    chmodSync(folder, 0o777);
    if (nobody.length > 0 && (await running(['--version'], { under: nobody }).catch(() => undefined))?.status !== 0)
      context.skip('this is root, and nobody cannot run klpflow here');
    const ran = await running(
      ['diff', path, pair.patched, '--run-dir', at('run secret'), '--json', '--progress', 'none'],
      { under: nobody },
    );
    expect(ran.status).toBe(1);
    expect(errorOf(ran)).toMatchObject({
      code: 'unreadable',
      message: `cannot read ${path}: permission denied`,
      where: { object: path },
    });
  });

  test('another processor on the other side, another byte order on the other side', async () => {
    // The same words mean other things there: a verdict would be noise.
    const arm = spoiled('arm.o', [18, 'b7 00']);
    const big = file(
      'big.o',
      object({ endian: 'big' })
        .func('f', code(hex('c3')))
        .bytes(),
    );
    for (const [other, says] of [
      [arm, 'are for x86-64 and aarch64'],
      [big, 'byte orders'],
    ] as const) {
      const ran = await running([
        'diff',
        pair.orig,
        other,
        '--run-dir',
        at('run mismatch'),
        '--json',
        '--progress',
        'none',
      ]);
      expect(ran.status).toBe(1);
      expect(errorOf(ran)).toMatchObject({
        code: 'machine-mismatch',
        message: expect.stringContaining(says),
        where: { object: other },
      });
    }
  });
});

describe('the same content', () => {
  test.each([
    ['one file twice', () => pair.orig],
    ['a copy', () => (copyFileSync(pair.orig, at('copy.o')), at('copy.o'))],
    ['a link', () => (rmSync(at('link.o'), { force: true }), symlinkSync(pair.orig, at('link.o')), at('link.o'))],
  ])('%s: exit code 3, and a note that says why', async (_, other) => {
    const ran = await running([
      'diff',
      pair.orig,
      other(),
      '--run-dir',
      at('run same'),
      '--json',
      '--progress',
      'none',
    ]);
    expect(ran.status).toBe(3);
    expect(resultOf(ran)).toMatchObject({
      verdict: 'unchanged',
      diagnostics: [{ code: 'shared-input', severity: 'note' }],
    });
  });
});

// Relocation types of s390x.
const [PC32, PC32DBL, ABS64] = [5, 19, 22];

describe('damaged objects', () => {
  const LOOP = join(root, `dist/mutants-${process.pid}`);
  afterAll(() => rmSync(LOOP, { recursive: true, force: true }));

  /**
   * A crash is loud. This is about the quiet ends: an endless loop, a RangeError that is told as a bug of klpflow, a read past
   * a table that puts NaN into a result.
   */
  test('more than a thousand of them: an error or a result, in no time', async () => {
    await bundle('test/support/mutant-loop.ts', join(LOOP, 'loop.js'), { plugins: [inlinePool, ...options.plugins] });
    const tiny = await smallPair(at('tiny'), 20, {});
    const big = file('s390x.o', bigEndian());
    for (const [base, first, count] of [
      [tiny.orig, 1, Number(process.env['KLPFLOW_MUTANTS'] ?? 900)],
      [big, 1, 300],
    ] as const) {
      const { status, stdout, seed } = await loop(join(LOOP, 'loop.js'), at(`mutants-${first}`), base, first, count);
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { outcomes?: Record<string, number> });
      expect(
        lines.filter(({ outcomes }) => outcomes === undefined),
        `of ${base}`,
      ).toEqual([]);
      expect(status, `ended at seed ${seed}`).toBe(0);
      const outcomes = lines.at(-1)!.outcomes!;
      expect(Object.values(outcomes).reduce((sum, number) => sum + number, 0)).toBe(count);
      // The premise: it damaged what matters and what does not.
      expect(outcomes['malformed-elf']).toBeGreaterThan(count / 5);
      expect(outcomes['unchanged']).toBeGreaterThan(count / 20);
    }
  });

  /** Big-endian: its tables are copies with swapped fields, read by other lines of the reader. */
  function bigEndian(): Buffer {
    const builder = object({ machine: EM_S390, endian: 'big' });
    const branch = (target: Target): Body => [0xc0, 0xe5, relocated(4, PC32DBL, target, 2)];
    for (let unit = 0; unit < 4; unit++) {
      builder.file(`unit-${unit}.c`);
      for (let i = 0; i < 8; i++) {
        const name = `function_${unit}_${i}`;
        builder
          .func(
            name,
            code(
              hex('c0 04 00 00 00 00'),
              branch(`function_${(unit + 1) % 4}_${i}`),
              [0xc0, 0x20, relocated(4, PC32DBL, { string: `unit ${unit}, line ${i}` }, 2)],
              branch('printk'),
              hex('07 fe'),
            ),
            { bind: i % 2 === 0 ? 'global' : 'local' },
          )
          .special(
            '__bug_table',
            relocated(4, PC32, name, 6),
            relocated(4, PC32, { string: `unit-${unit}.c` }),
            u16(100 + i),
            u16(1),
          )
          .special('__mcount_loc', relocated(8, ABS64, name));
      }
      builder.data(
        `table_${unit}`,
        code(relocated(8, ABS64, `function_${unit}_0`), relocated(8, ABS64, `function_${unit}_1`, 8), {
          width: 8,
          value: unit,
        }),
      );
    }
    return builder.bytes();
  }

  function loop(
    program: string,
    scratch: string,
    base: string,
    first: number,
    count: number,
  ): Promise<{ status: number | null; stdout: string; seed: string }> {
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch);
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [program, scratch, base, String(first), String(count)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      const limit = setTimeout(() => child.kill('SIGKILL'), 100_000);
      child.on('close', (status) => {
        clearTimeout(limit);
        resolve({ status, stdout, seed: readFileSync(join(scratch, 'seed'), 'latin1').trim() });
      });
    });
  }
});
