/**
 * `klpflow objtool klp checksum`. What this guards against: a checksum that stays the same where code changed (the function is
 * not patched), or that changes with a function's place (functions are patched that nobody touched).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, type TestContext } from 'vitest';
import { ElfObject, RELA_WORDS, R_OFFSET, R_SYM, SHT_RELA, ST_INFO, SYM_WORDS } from '../../src/elf';
import { fillChecksums } from '../../src/pipeline/checksum';
import { CheckedObject } from '../../src/stages/checksum';
import { x86_64 } from '../../src/arch/x86-64';
import base64 from '../../src/stages/checksum/generated/module';
import { CHECKED_CODE } from '../support/checked-code';
import { checksumsOf } from '../support/checksums';
import { skipWithout, unavailable, unpack } from '../support/corpus';
import { code, disp32, hex, object, plt32, ref32, type ObjectBuilder } from '../support/elf-builder';
import { objtoolKlp, skipWithoutObjtool } from '../support/objtool';
import { readelf, readelfComplaints } from '../support/readelf';
import { running } from '../support/run-klpflow';
import { survive } from '../support/survive';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);
let serial = 0;

/** Checksums by name. */
async function checksums(builder: ObjectBuilder): Promise<Record<string, string>> {
  const elf = ElfObject.open(await builder.write(at(`${serial++}.o`)));
  return Object.fromEntries(
    checksumsOf(elf).map(({ symbol, checksum }) => [elf.symbolName(symbol), checksum.toString(16)]),
  );
}

/** What `.discard.sym_checksum` of a file says, by symbol. */
function stored(path: string): Record<string, string> {
  const elf = ElfObject.open(path);
  const find = (name: string): number =>
    Array.from({ length: elf.sectionCount }, (_, i) => i).find((i) => elf.name(i) === name)!;
  const content = elf.content(find('.discard.sym_checksum'));
  const words = elf.relas(find('.rela.discard.sym_checksum'));
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  const rows = Array.from({ length: words.length / RELA_WORDS }, (_, i) => i * RELA_WORDS);
  return Object.fromEntries(
    rows.map((row) => [
      `${words[row + R_SYM]} ${elf.symbolName(words[row + R_SYM]!)}`,
      view.getBigUint64(words[row + R_OFFSET]! + 8, true).toString(16),
    ]),
  );
}

const checksum = (...argv: string[]): ReturnType<typeof running> =>
  running(['objtool', 'klp', 'checksum', ...argv], { cwd: folder });

/** The WebAssembly without an object, for what needs none; bytes lie in the second page of its memory. */
function bare(): {
  bytes: Uint8Array;
  hashBytes(at: number, length: number): bigint;
  lengthAt(at: number, room: number): number;
} {
  const memory = new WebAssembly.Memory({ initial: 3, maximum: 65536, shared: true });
  const host = new Proxy({}, { get: () => () => 0 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(base64, 'base64')), {
    env: { memory },
    host,
  });
  return { ...(exports as ReturnType<typeof bare>), bytes: new Uint8Array(memory.buffer, PAGE) };
}

const PAGE = 65536;

describe('XXH3', () => {
  // From the reference implementation, of bytes i * 0x9e3779b1 >> 24: every length class.
  test.for([
    [0, '2d06800538d394c2'],
    [1, 'c44bdff4074eecdb'],
    [3, 'e14090f554a5ea90'],
    [8, 'cd1c7f88482fcaef'],
    [16, '81e9eb8634460bb9'],
    [17, '9998430fd0a655be'],
    [100, '4ff5f6c0d102cd55'],
    [128, '75eca5c5d5594884'],
    [129, 'a05da42e7a4e4667'],
    [240, '5eb2467c8c9e3969'],
    [241, '2d431e984c441f15'],
    [1024, 'e99def1145f12936'],
    [4097, '3dfd517338a4b234'],
  ] as const)('of %i bytes', ([length, expected]) => {
    const bytes = Uint8Array.from({ length }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 24);
    const code = bare();
    code.bytes.set(bytes);
    expect(BigInt.asUintN(64, code.hashBytes(PAGE, length)).toString(16).padStart(16, '0')).toBe(expected);
  });
});

describe('lengths of instructions', () => {
  /** Compares them with what the disassembler says of bytes: an instruction that is read too short or too long moves all behind it. */
  function compare(bytes: Uint8Array): number {
    const code = bare();
    code.bytes.set(bytes);
    let compared = 0;
    for (const { offset, length, invalid } of x86_64.disassembler().decode(bytes)) {
      if (invalid) continue;
      const found = code.lengthAt(PAGE + offset, bytes.length - offset);
      expect(found, Buffer.from(bytes.subarray(offset, offset + 15)).toString('hex')).toBe(length);
      compared++;
    }
    return compared;
  }

  test('are those of the disassembler: every opcode of every map, behind every prefix', () => {
    const cases: number[][] = [];
    const maps = [
      [],
      [0x0f],
      [0x0f, 0x38],
      [0x0f, 0x3a],
      [0xc5, 0xf8],
      [0xc5, 0xfd],
      [0xc4, 0xe2, 0x79],
      [0xc4, 0xe3, 0x7d],
    ];
    maps.push([0x62, 0xf1, 0x7c, 0x48], [0x62, 0xf2, 0x7d, 0x48], [0x62, 0xf3, 0xfd, 0x48]);
    for (const prefix of [
      [],
      [0x66],
      [0x48],
      [0x66, 0x48],
      [0xf2],
      [0xf3],
      [0x2e],
      [0x65],
      [0x67],
      [0xf0],
      [0x48, 0x66],
      [0x41],
    ])
      for (const map of maps)
        for (let opcode = 0; opcode < 256; opcode++)
          for (const modrm of [0xc0, 0xc8, 0x04, 0x05, 0x44, 0x84, 0x00, 0x90, 0x10, 0x30, 0xf8])
            cases.push([...prefix, ...map, opcode, modrm]);
    const disassembler = x86_64.disassembler();
    const code = bare();
    const wrong: string[] = [];
    let compared = 0;
    for (const start of cases) {
      const bytes = Uint8Array.from({ length: 24 }, (_, i) => start[i] ?? 0x25);
      const [first] = disassembler.decode(bytes);
      if (first!.invalid) continue;
      code.bytes.set(bytes);
      const found = code.lengthAt(PAGE, bytes.length);
      if (found !== first!.length) wrong.push(`${Buffer.from(bytes).toString('hex')}: ${found}, not ${first!.length}`);
      compared++;
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(40_000);
  });

  test('are those of the disassembler, of all code of a real kernel', { timeout: 120_000 }, (context) => {
    skipWithout(context, unavailable('linux-7.2-thinlto', true));
    const elf = ElfObject.open(unpack('linux-7.2-thinlto', 'special-sections').orig);
    let compared = 0;
    for (let i = 1; i < elf.sectionCount; i++)
      if (elf.name(i).startsWith('.text.') && elf.size(i) > 8000 && elf.size(i) < 2 * PAGE)
        compared += compare(elf.content(i));
    expect(compared).toBeGreaterThan(10_000);
  });
});

describe('a checksum', () => {
  const CALL_BACK = hex('c3');

  test('does not depend on the place of a function, of its callees and of strings', async () => {
    const plainly = await checksums(
      object()
        .func('f', code(0xe8, plt32('g'), 0x48, 0xc7, 0xc7, ref32({ string: 'hello' }), 0xc3), { section: '.text' })
        .func('g', CALL_BACK, { section: '.text' }),
    );
    const moved = await checksums(
      object()
        .func('first', hex('90'.repeat(40)), { section: '.text' })
        .string('another')
        .func('g', CALL_BACK, { section: '.text' })
        .func('f', code(0xe8, plt32('g'), 0x48, 0xc7, 0xc7, ref32({ string: 'hello' }), 0xc3), { section: '.text' }),
    );
    expect(moved['f']).toBe(plainly['f']);
    expect(plainly['f']).toBeDefined();
  });

  test('of a direct call without relocation is that of its target, not of its distance', async () => {
    const near = await checksums(
      object()
        .func('f', hex('e800000000c3'), { section: '.text', size: 5 })
        .func('g', CALL_BACK, { section: '.text', at: 5 }),
    );
    const far = await checksums(
      object().func('f', hex('e80b000000'), { section: '.text' }).func('g', CALL_BACK, { section: '.text', at: 16 }),
    );
    const other = await checksums(
      object().func('f', hex('e80b000000'), { section: '.text' }).func('h', CALL_BACK, { section: '.text', at: 16 }),
    );
    expect(far['f']).toBe(near['f']);
    expect(other['f']).not.toBe(near['f']);
  });

  test.for([
    ['an instruction', () => code(0xb8, 2, 0, 0, 0, 0xc3)],
    ['a string', () => code(0x48, 0xc7, 0xc7, ref32({ string: 'good bye' }), 0xc3)],
    ['a callee', () => code(0xe8, plt32('other'), 0xc3)],
    ['an offset', () => code(0x8b, 0x05, disp32('table', 8), 0xc3)],
  ] as const)('changes with %s', async ([, body]) => {
    const BODIES = [
      code(0xb8, 1, 0, 0, 0, 0xc3),
      code(0x48, 0xc7, 0xc7, ref32({ string: 'hello' }), 0xc3),
      code(0xe8, plt32('g'), 0xc3),
      code(0x8b, 0x05, disp32('table', 4), 0xc3),
    ];
    const of = async (content: ReturnType<typeof code>): Promise<string> =>
      (
        await checksums(
          object()
            .func('f', content)
            .data('table', hex('00'.repeat(16))),
        )
      )['f']!;
    const others = await Promise.all(BODIES.map(of));
    expect(new Set(others).size).toBe(BODIES.length);
    expect(others).not.toContain(await of(body()));
  });

  test('of code with a wide string changes with any of its characters', async () => {
    // objtool 7.2 ends it at the first zero byte, which is in the first character.
    const of = async (string: string): Promise<string> =>
      (await checksums(object().func('f', code(0x48, 0xc7, 0xc7, ref32({ string, unit: 2 }), 0xc3))))['f']!;
    expect(await of('SecureBoot')).not.toBe(await of('SetupMode'));
    expect(await of('SecureBoot')).toBe(await of('SecureBoot'));
  });

  test('names a symbol without the numbers that a compiler gives its copies', async () => {
    const of = async (name: string): Promise<string> =>
      (
        await checksums(
          object()
            .func('f', code(0x8b, 0x05, disp32(name), 0xc3))
            .data(name, hex('00'.repeat(8)), { bind: 'local' }),
        )
      )['f']!;
    expect(await of('counter.17')).toBe(await of('counter.3'));
    expect(await of('counter.17')).not.toBe(await of('amount.17'));
  });

  test('of an exported name and an alias stands at the last of them, prefixes and cold parts go with their functions', async () => {
    const found = await checksums(
      object()
        .padded('f', hex('c3'))
        .alias('f_again', 'f')
        .file('u.c')
        .func('g', hex('c3'), { bind: 'local' })
        .func('g.cold', hex('0f0b'), { bind: 'local', section: '.text.unlikely' }),
    );
    expect(Object.keys(found).sort()).toEqual(['__pfx_f', 'f_again', 'g']);
    const changed = await checksums(
      object()
        .padded('f', hex('c3'))
        .alias('f_again', 'f')
        .file('u.c')
        .func('g', hex('c3'), { bind: 'local' })
        .func('g.cold', hex('90c3'), { bind: 'local', section: '.text.unlikely' }),
    );
    expect(changed['g']).not.toBe(found['g']);
    expect(changed['f_again']).toBe(found['f_again']);
  });
});

/** Compiles the code that has one of everything; skips without a compiler. */
function compiled(context: TestContext, name: string, options: readonly string[]): string {
  if (spawnSync('gcc', ['--version']).error !== undefined) context.skip('there is no gcc here');
  writeFileSync(at(`${name}.c`), CHECKED_CODE);
  execFileSync('gcc', [
    '-c',
    '-w',
    '-fno-asynchronous-unwind-tables',
    '-fno-pic',
    '-mcmodel=kernel',
    ...options,
    at(`${name}.c`),
    '-o',
    at(`${name}.o`),
  ]);
  return at(`${name}.o`);
}

/** Functions of the 7.2 corpus kernel that name a string of 2- or 4-byte units: what looks like one to the compiler is a table of numbers, mostly. */
const WIDE_STRING_USERS = [
  'arch_get_secureboot',
  'get_eff_addr_modrm',
  'get_reg_offset',
  'insn_get_addr_ref',
  'insn_get_modrm_reg_off',
  'insn_get_modrm_reg_ptr',
  'insn_get_modrm_rm_off',
  'kprobe_emulate_call_indirect',
  'kprobe_emulate_jmp_indirect',
  'perf_ioctl',
  'perf_reg_value',
  'pt_regs_offset',
  'sky2_phy_init',
];

describe("objtool's own checksums", () => {
  test.for([
    ['-O2 -mno-red-zone'],
    ['-O2 -ffunction-sections -fdata-sections'],
    ['-O1 -fcf-protection=branch -fno-jump-tables'],
    ['-Os'],
    ['-O3 -march=haswell'],
  ])('are the same for gcc %s, but where it sees one byte of a wide string', async ([options], context) => {
    skipWithoutObjtool(context);
    const ours = compiled(context, `gcc${serial++}`, options!.split(' '));
    copyFileSync(ours, at('theirs.o'));
    expect(objtoolKlp(['checksum', at('theirs.o')])).toMatchObject({ status: 0 });
    expect(await checksum(ours)).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const [mine, theirs] = [stored(ours), stored(at('theirs.o'))];
    expect(Object.keys(mine)).toEqual(Object.keys(theirs));
    expect(
      Object.keys(mine)
        .filter((symbol) => mine[symbol] !== theirs[symbol])
        .map((symbol) => symbol.split(' ')[1]),
    ).toEqual(['wide']);
    expect(Object.keys(mine).length).toBeGreaterThan(15);
    const tables = (path: string): string[] =>
      readelf(path, '-SW')
        .filter((line) => line.includes('sym_checksum'))
        .map((line) => line.replace(/ [0-9a-f]{16} [0-9a-f]+ /, ' ').replace(/^\[ *\d+\]/, ''));
    expect(tables(ours)).toEqual(tables(at('theirs.o')));
    expect(readelfComplaints(ours)).toBe('');
  });

  test('are the same for all of a real kernel, but for functions that refer to wide strings', {
    timeout: 300_000,
  }, (context) => {
    skipWithoutObjtool(context);
    skipWithout(context, unavailable('linux-7.2-thinlto', true));
    const { orig } = unpack('linux-7.2-thinlto', 'special-sections');
    copyFileSync(orig, at('vmlinux.o'));
    chmodSync(at('vmlinux.o'), 0o600);
    expect(objtoolKlp(['checksum', at('vmlinux.o')])).toMatchObject({ status: 0 });
    const theirs = stored(at('vmlinux.o'));
    const elf = ElfObject.open(orig);
    const ours = checksumsOf(elf);
    expect(ours).toHaveLength(Object.keys(theirs).length);
    expect(ours.length).toBeGreaterThan(100_000);
    const different = ours
      .filter(({ symbol, checksum: value }) => theirs[`${symbol} ${elf.symbolName(symbol)}`] !== value.toString(16))
      .map(({ symbol }) => elf.symbolName(symbol))
      .sort();
    expect(different).toEqual(WIDE_STRING_USERS);
  });

  test('come about by the same steps: --debug-checksum', async (context) => {
    skipWithoutObjtool(context);
    const path = compiled(context, 'steps', ['-O2']);
    const argv = ['checksum', '--dry-run', '--debug-checksum=dispatch,alternatives,labels,fixup,the_ops,nobody', path];
    const before = readFileSync(path);
    const [ours, theirs] = [await checksum(...argv.slice(1)), objtoolKlp(argv)];
    expect(ours.stderr.split('\n').sort()).toEqual(theirs.stderr.split('\n').sort());
    expect(ours.stderr.split('\n').length).toBeGreaterThan(60);
    expect(ours.status).toBe(theirs.status);
    expect(readFileSync(path).equals(before)).toBe(true);
  });
});

test('of a large object are the same however many threads there are, and so is its first error', {
  timeout: 120_000,
}, async (context) => {
  skipWithout(context, unavailable('linux-7.2-thinlto', true));
  const path = unpack('linux-7.2-thinlto', 'special-sections').orig;
  const filled = async (threads: number): Promise<Buffer> => {
    const object = CheckedObject.read(ElfObject.open(path));
    await fillChecksums(object, threads);
    return Buffer.from(object.records().content);
  };
  const alone = await filled(0);
  expect(alone.length).toBeGreaterThan(16 * 100_000);
  expect((await filled(2)).equals(alone)).toBe(true);

  // Two relocations that name no symbol, far apart: of functions at the table's end and in its middle.
  const elf = ElfObject.open(path);
  const bytes = readFileSync(path);
  const functions: number[] = [];
  const relas = new Map(
    Array.from({ length: elf.sectionCount }, (_, i) => i).flatMap((i) =>
      elf.type(i) === SHT_RELA ? [[elf.info(i), i]] : [],
    ),
  );
  for (const { symbol } of checksumsOf(elf)) {
    const section = elf.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
    const table = relas.get(section) ?? 0;
    if (table !== 0 && elf.name(section).startsWith('.text.') && elf.size(table) > 0) functions.push(table);
  }
  for (const table of [functions.at(-1)!, functions[functions.length >> 1]!])
    bytes.writeUInt32LE(0xffffff, elf.offset(table) + 12);
  writeFileSync(at('wrong.o'), bytes);
  const errors: string[] = [];
  for (const threads of [0, 1, 2, 2]) {
    const object = CheckedObject.read(ElfObject.open(at('wrong.o')));
    await fillChecksums(object, threads).catch((error: Error) => errors.push(error.message));
  }
  expect(errors).toHaveLength(4);
  expect(new Set(errors).size).toBe(1);
  expect(errors[0]).toContain(`at offset ${elf.offset(functions[functions.length >> 1]!)}`);
});

test('of a damaged object: an error that says where, or checksums; never a crash', { timeout: 120_000 }, (context) => {
  const whole = readFileSync(compiled(context, 'whole', ['-O2']));
  const { results, errors } = survive(whole, 1000, (object) => void checksumsOf(object));
  expect(results).toBeGreaterThan(200);
  expect(errors).toBeGreaterThan(200);
});

describe('the command', () => {
  test('leaves an object alone that has checksums, and says so', async () => {
    await object().func('f', hex('c3')).write(at('twice.o'));
    expect(await checksum('twice.o')).toMatchObject({ status: 0, stderr: '' });
    const once = readFileSync(at('twice.o'));
    expect(await checksum('twice.o')).toMatchObject({
      status: 0,
      stderr: 'twice.o: warning: objtool: file already has .discard.sym_checksum section, skipping\n',
    });
    expect(await checksum('--dry-run', 'twice.o')).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(at('twice.o')).equals(once)).toBe(true);
  });

  test('keeps the numbers of sections where there are more than 16 bits hold', { timeout: 60_000 }, async () => {
    const builder = object();
    for (let i = 0; i < 65_400; i++) builder.func(`f${i}`, hex('c3'));
    await builder.write(at('many.o'));
    const sections = (): string[] =>
      readelf(at('many.o'), '-SW')
        .filter((line) => /^\[ *\d+\]/.test(line))
        .map((line) => line.split(/ 0{16} /)[0]!);
    const before = sections();
    expect(before.length).toBeGreaterThan(0xff00);
    expect(await checksum('many.o')).toMatchObject({ status: 0, stderr: '' });
    expect(Object.keys(stored(at('many.o')))).toHaveLength(65_400);
    expect(sections().slice(0, -2)).toEqual(before);
  });

  test.for([
    [['missing.o'], 1],
    [['two.o', 'files.o'], 129],
    [[], 129],
    [['--frob', 'x.o'], 129],
  ] as const)('ends as objtool does: %j with %i', async ([argv, status]) => {
    expect((await checksum(...argv)).status).toBe(status);
  });
});
