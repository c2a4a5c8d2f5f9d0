import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { EM_S390, ElfObject, SHDR_WORDS } from '../../src/elf';
import { SectionClass } from '../../src/kernel/section-class';
import { digestShard, digestSpecials, readTable } from '../../src/stages/scan';
import { diffObjects, opened, scan, symbolsOf, type ScanOfObject } from '../support/diff-objects';
import { FENTRY_SITE, code, hex, object, ptr64, relocated, u32, type ObjectBuilder } from '../support/elf-builder';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const LOCAL = { bind: 'local' } as const;
let serial = 0;

function spoilt(bytes: Buffer, edit: (bytes: Buffer) => void): string {
  const copy = Buffer.from(bytes);
  edit(copy);
  const path = join(folder, `${serial++}.o`);
  writeFileSync(path, copy);
  return path;
}

/** Opens and scans a file completely. */
function read(path: string): void {
  const object = ElfObject.open(path);
  const table = readTable(object);
  digestShard(object, table, 0, table.symbols);
  digestSpecials(object, table, {});
  for (let section = 0; section < table.sections; section++) object.name(section);
}

function thrown(action: () => unknown): KlpflowError {
  try {
    action();
  } catch (error) {
    if (error instanceof KlpflowError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const sample = (): ObjectBuilder =>
  object()
    .file('core.c')
    .func('foo', code(hex('f3 0f 1e fa e8'), relocated(4, 4, 'bar', -4), hex('c3')))
    .func('bar', hex('c3'), { bind: 'local' })
    .data('ops', [ptr64('foo'), u32(7)])
    .bss('counter', 8)
    .string('text')
    .special('__mcount_loc', ptr64('foo', 4));

/** File offset of header `section`'s field. */
function header(bytes: Buffer, section: number, field: number): number {
  return Number(bytes.readBigUInt64LE(40)) + section * 64 + field;
}

function sectionOf(bytes: Buffer, type: number): number {
  for (let section = 1; section < bytes.readUInt16LE(60); section++)
    if (bytes.readUInt32LE(header(bytes, section, 4)) === type) return section;
  throw new Error(`no section of type ${type}`);
}

function lastSectionOf(bytes: Buffer, type: number): number {
  let last = sectionOf(bytes, type);
  for (let section = last; section < bytes.readUInt16LE(60); section++)
    if (bytes.readUInt32LE(header(bytes, section, 4)) === type) last = section;
  return last;
}

describe('byte order', () => {
  test('a big-endian object gives the columns of its little-endian twin', () => {
    // s390x kernels are big-endian: a field read in the wrong order is a wrong section or a wrong name, not an error.
    const build = (endian: 'little' | 'big'): ObjectBuilder =>
      object({ machine: EM_S390, endian })
        .file('core.c')
        .func('foo', code(hex('c0 e5'), relocated(4, 20, 'bar', 2), hex('07 fe')))
        .func('bar', hex('07 fe'), { bind: 'local' })
        .alias('foo_alias', 'foo')
        .data('ops', [relocated(8, 22, 'foo', 4), u32(7)])
        .bss('counter.3', 8, { bind: 'local' })
        .file('other.c')
        .func('bar', hex('07 fe'), { bind: 'local', section: '.text.other' })
        .string('text')
        .special('__mcount_loc', relocated(8, 22, 'foo'));
    const [little, big] = [scan(build('little')), scan(build('big'))];
    expect(little.object.little).toBe(true);
    expect(big.object.little).toBe(false);
    const columns = ({ table }: typeof little): Record<string, number[]> =>
      Object.fromEntries(
        (
          [
            'value',
            'size',
            'hash',
            'nameLength',
            'section',
            'info',
            'kind',
            'traits',
            'file',
            'canonical',
            'suffix',
            'sectionClass',
            'sectionSpecial',
            'relaSection',
            'coverStart',
            'covers',
          ] as const
        ).map((name) => [name, [...table[name]]]),
      );
    expect(columns(big)).toEqual(columns(little));
    expect([...big.uses]).toEqual([...little.uses]);
    expect(little.table.symbols).toBeGreaterThan(8);
  });

  test('a big-endian pair is compared like any other', () => {
    // The words of a big-endian rela are a swapped copy: its order and addends must survive.
    const build = (target: string): ObjectBuilder =>
      object({ machine: EM_S390, endian: 'big' })
        .file('core.c')
        .func('a', hex('07 fe'))
        .func('b', hex('07 fe'))
        .data('ops', [relocated(8, 22, 'a', 4), relocated(8, 22, target, -8)]);
    expect(diffObjects(build('a'), build('b')).data.changed).toEqual(['ops']);
    expect(diffObjects(build('a'), build('a').bss('more', 8)).data.changed).toEqual([]);
  });

  const record = (line: number, rest = 1): ObjectBuilder =>
    object({ machine: EM_S390, endian: 'big' })
      .file('x.c')
      .data('__UNIQUE_ID_ddebug868', code(new Uint8Array(32), u32(line * 0x4000 + rest), new Uint8Array(20)), {
        section: '__dyndbg',
        bind: 'local',
      })
      .data('holder', [relocated(8, 22, '__UNIQUE_ID_ddebug868')]);

  test('the line of a big-endian __dyndbg record does not count', () => {
    // s390x: a compiler for it puts the first bit-field into the most significant bits; one added line refused as changed data.
    for (const line of [101, 5000, 200_000])
      expect(diffObjects(record(100), record(line)), String(line)).toMatchObject({ told: [] });
    expect(diffObjects(record(100, 1), record(100, 2)).told).toEqual(['changed-data holder']);
  });

  test('the class of a big-endian __dyndbg record counts', () => {
    // A pr_debug that belongs to another class is taken for a moved one.
    expect(diffObjects(record(100, 0x100), record(100, 0x200)).told).toEqual(['changed-data holder']);
  });
});

describe('size', () => {
  test('70,000 sections: indices of 32 bits', () => {
    // A ThinLTO vmlinux.o has 205,471 sections; an index cut to 16 bits is another section, silently.
    const build = (value: number): ObjectBuilder => {
      const builder = object().file('huge.c');
      for (let i = 0; i < 70_000; i++)
        builder.func(`f${i}`, i === 69_000 ? code(FENTRY_SITE, [0xb8], u32(value), [0xc3]) : hex('c3'), {
          bind: 'local',
        });
      return builder.data('last', [ptr64('f69999')]);
    };
    const scanned = scan(build(1), {}, 4);
    expect(scanned.table.sections).toBeGreaterThan(70_000);
    const [last] = symbolsOf(scanned, 'f69999');
    expect(scanned.object.name(scanned.table.section[last!]!)).toBe('.text.f69999');
    expect(scanned.table.section[last!]).toBeGreaterThan(0xffff);
    const diff = diffObjects(build(1), build(2));
    expect(diff.changed).toEqual({ f69000: 'code' });
    expect(diff.told).toEqual([]);
  });

  test("hot and unlikely code is told by the whole word of its section's name", () => {
    // `hotplug_online` in a section of its own is no hot code: it would make two builds of one profile look like builds of two.
    const names = {
      '.text.hot': 'HOT',
      '.text.hot.f1': 'HOT',
      '.text.hot.': 'HOT',
      '.text.hotplug_online': '',
      '.text.unlikely': 'UNLIKELY',
      '.text.unlikely.f5': 'UNLIKELY',
      '.text.unlikely_path': '',
      '.text': '',
    };
    const builder = object().file('x.c');
    Object.keys(names).forEach((section, i) => builder.func(`f${i}`, hex('c3'), { section }));
    const { object: elf, table } = scan(builder);
    const found = Object.keys(names).map((name) => {
      const section = Array.from({ length: elf.sectionCount }, (_, i) => i).find((i) => elf.name(i) === name)!;
      return (['HOT', 'UNLIKELY'] as const)
        .filter((bit) => (table.sectionClass[section]! & SectionClass[bit]) !== 0)
        .join();
    });
    expect(found).toEqual(Object.values(names));
  });

  test('base names are told apart by all of their bytes, wherever they stand in memory', () => {
    // They are read eight bytes at a time: a last word that takes in what follows gives one name two hashes, one that leaves something out gives two names one.
    const lengths = Array.from({ length: 41 }, (_, i) => i + 1);
    const build = (suffix: string, pad: number): ScanOfObject => {
      const builder = object().file('x'.repeat(pad + 1));
      for (const length of lengths)
        builder
          .data(`${'v'.repeat(length)}${suffix}`, [u32(1)], LOCAL)
          .data(`${'v'.repeat(length - 1)}w${suffix}`, [u32(1)], LOCAL)
          .data(`w${'v'.repeat(length)}${suffix}`, [u32(1)], LOCAL);
      return scan(builder);
    };
    const hashes = ({ object: elf, table }: ScanOfObject, suffix: string): string[] =>
      lengths.flatMap((length) =>
        ['v'.repeat(length), `${'v'.repeat(length - 1)}w`, `w${'v'.repeat(length)}`].map((name) => {
          const [symbol] = symbolsOf({ table, object: elf }, name + suffix);
          return `${table.hash[symbol! * 2]}:${table.hash[symbol! * 2 + 1]}`;
        }),
      );
    const plain = hashes(build('', 0), '');
    expect(new Set(plain).size).toBe(lengths.length * 3);
    for (let pad = 1; pad < 9; pad++) expect(hashes(build('', pad), '')).toEqual(plain);
    // Without the number that the compiler added; and with a part of its own, which counts.
    expect(hashes(build('.7', 3), '.7')).toEqual(plain);
    const parts = hashes(build('.0.cold', 5), '.0.cold');
    expect(parts).toEqual(hashes(build('.12.cold', 2), '.12.cold'));
    expect(new Set([...plain, ...parts]).size).toBe(lengths.length * 6);
  });

  test('however scan is cut into shards, the columns are the same', () => {
    // Threads finish in any order; a digest that depends on its shard makes unchanged functions changed.
    const builder = object()
      .file('x.c')
      .rodata('CSWTCH.1', [u32(1)], { bind: 'local' })
      .rodata('CSWTCH.2', [ptr64('CSWTCH.1')], { bind: 'local' });
    for (let i = 0; i < 40; i++) builder.func(`f${i}`, code([0x48, 0xb8], ptr64('CSWTCH.2'), u32(i)));
    const [one, many] = [scan(builder, {}, 1), scan(builder, {}, 17)];
    expect([...many.table.digest]).toEqual([...one.table.digest]);
    expect([...many.uses]).toEqual([...one.uses]);
    expect(one.table.digest.some((word) => word !== 0)).toBe(true);
  });
});

describe('damage', () => {
  const bytes = sample().bytes();

  test('the sample itself is sound', () => {
    expect(() => read(spoilt(bytes, () => undefined))).not.toThrow();
  });

  const cases: Array<[what: string, code: string, edit: (bytes: Buffer) => void, expected: RegExp]> = [
    ['an executable', 'not-relocatable', (b) => b.writeUInt16LE(2, 16), /executable/],
    ['a shared object', 'not-relocatable', (b) => b.writeUInt16LE(3, 16), /shared object/],
    ['another magic', 'not-elf', (b) => b.write('XELF', 0), /./],
    ['32 bits', 'unsupported-object', (b) => b.writeUInt8(1, 4), /./],
    ['an unknown processor', 'unsupported-object', (b) => b.writeUInt16LE(8, 18), /processor|MIPS/],
    [
      'section headers past the end',
      'malformed-elf',
      (b) => b.writeBigUInt64LE(BigInt(b.length), 40),
      /section headers/,
    ],
    [
      'a huge section header offset',
      'malformed-elf',
      (b) => b.writeBigUInt64LE(0xffff_ffff_ffff_0000n, 40),
      /section headers/,
    ],
    ['no section headers', 'malformed-elf', (b) => b.writeBigUInt64LE(0n, 40), /no section headers/],
    ['section headers of another size', 'malformed-elf', (b) => b.writeUInt16LE(40, 58), /e_shentsize/],
    ['too many section headers', 'malformed-elf', (b) => b.writeUInt16LE(0xfeff, 60), /section headers/],
    [
      'a section past the end',
      'malformed-elf',
      (b) => b.writeBigUInt64LE(BigInt(b.length), header(b, 1, 24)),
      /past the end of the file/,
    ],
    [
      'a section name outside its table',
      'malformed-elf',
      (b) => b.writeUInt32LE(0xffffff, header(b, 1, 0)),
      /name of section/,
    ],
    ['no section name table', 'malformed-elf', (b) => b.writeUInt16LE(0, 62), /string table/],
    [
      'symbols of another size',
      'malformed-elf',
      (b) => b.writeBigUInt64LE(16n, header(b, sectionOf(b, 2), 56)),
      /24-byte records/,
    ],
    [
      'half a symbol',
      'malformed-elf',
      (b) => b.writeBigUInt64LE(b.readBigUInt64LE(header(b, sectionOf(b, 2), 32)) - 8n, header(b, sectionOf(b, 2), 32)),
      /24-byte records/,
    ],
    [
      'a rela section for no section',
      'malformed-elf',
      (b) => b.writeUInt32LE(9999, header(b, sectionOf(b, 4), 44)),
      /applies to section 9999/,
    ],
    [
      'a rela section linked to nothing',
      'malformed-elf',
      (b) => b.writeUInt32LE(1, header(b, sectionOf(b, 4), 40)),
      /not linked to a symbol table/,
    ],
    [
      'a rela section linked to section 0',
      'malformed-elf',
      (b) => b.writeUInt32LE(0, header(b, sectionOf(b, 4), 40)),
      /not linked to a symbol table/,
    ],
    ['half a rela', 'malformed-elf', (b) => b.writeBigUInt64LE(20n, header(b, sectionOf(b, 4), 32)), /24-byte records/],
    [
      'a rela of a symbol that is not there',
      'malformed-elf',
      (b) => b.writeUInt32LE(99_999, Number(b.readBigUInt64LE(header(b, sectionOf(b, 4), 24))) + 12),
      /symbol 99999/,
    ],
    [
      'a symbol in a section that is not there',
      'malformed-elf',
      (b) => b.writeUInt16LE(999, symbol(b, 'foo') + 6),
      /section 999/,
    ],
    [
      'a symbol name outside the string table',
      'malformed-elf',
      (b) => b.writeUInt32LE(0xfffff0, symbol(b, 'foo')),
      /st_name/,
    ],
    [
      'a symbol past the end of its section',
      'malformed-elf',
      (b) => b.writeBigUInt64LE(1_000_000n, symbol(b, 'foo') + 16),
      /ends at/,
    ],
    [
      'an extended index without its section',
      'malformed-elf',
      (b) => b.writeUInt16LE(0xffff, symbol(b, 'foo') + 6),
      /extended section index/,
    ],
  ];

  /** File offset of a symbol by name. */
  function symbol(b: Buffer, name: string): number {
    const table = sectionOf(b, 2);
    const start = Number(b.readBigUInt64LE(header(b, table, 24)));
    const strings = Number(b.readBigUInt64LE(header(b, b.readUInt32LE(header(b, table, 40)), 24)));
    for (let at = start; ; at += 24)
      if (b.toString('latin1', strings + b.readUInt32LE(at)).startsWith(`${name}\0`)) return at;
  }

  for (const [what, wanted, edit, expected] of cases) {
    test(`${what}: ${wanted}, with the place and what was expected`, () => {
      // A damaged or unfinished object read as if it were whole gives a wrong livepatch; a raw RangeError tells nobody what to do.
      const path = spoilt(bytes, edit);
      const { code: got, message, diagnostic } = thrown(() => read(path));
      expect(got).toBe(wanted);
      expect(message).toMatch(expected);
      expect(message).toContain(path);
      expect(diagnostic.where).toMatchObject({ object: path, offset: expect.any(Number) });
    });
  }

  test('every rela section is looked at, not only the first', () => {
    // What all of them are linked to is looked up once: the others' own faults must show all the same.
    const last = lastSectionOf(bytes, 4);
    expect(last).not.toBe(sectionOf(bytes, 4));
    for (const [edit, expected] of [
      [(b) => b.writeUInt32LE(1, header(b, last, 40)), /not linked to a symbol table/],
      [(b) => b.writeUInt32LE(0xffffff, header(b, last, 40)), /not linked to a symbol table/],
      [(b) => b.writeUInt32LE(0, header(b, last, 44)), /applies to section 0/],
      [(b) => b.writeUInt32LE(9999, header(b, last, 44)), /applies to section 9999/],
      [(b) => b.writeBigUInt64LE(16n, header(b, last, 56)), /24-byte records/],
      [(b) => b.writeUInt32LE(1, header(b, last, 60)), /24-byte records/],
      [(b) => b.writeBigUInt64LE(20n, header(b, last, 32)), /24-byte records/],
      [(b) => b.writeUInt32LE(1, header(b, last, 36)), /past the end of the file/],
      [(b) => b.writeUInt32LE(1, header(b, last, 28)), /past the end of the file/],
    ] as Array<[(b: Buffer) => void, RegExp]>)
      expect(thrown(() => read(spoilt(bytes, edit))).message).toMatch(expected);
  });

  test('a file cut anywhere is a typed error', () => {
    // A build that is still writing.
    for (let length = 1; length < bytes.length; length += 37) {
      const path = join(folder, `cut${length}.o`);
      writeFileSync(path, bytes.subarray(0, length));
      expect(() => read(path), `${length} bytes`).toThrow(KlpflowError);
    }
  });

  test('any damaged byte gives an answer or a typed error', () => {
    // No TypeError, no endless loop, no read outside the file.
    const object = opened(bytes);
    expect(object.headers.length).toBe(object.sectionCount * SHDR_WORDS);
    const path = join(folder, 'byte.o');
    let errors = 0;
    for (let at = 0; at < bytes.length; at += 3) {
      const copy = Buffer.from(bytes);
      copy[at] = copy[at]! ^ 0xff;
      writeFileSync(path, copy);
      try {
        read(path);
      } catch (error) {
        errors++;
        expect(error, `byte ${at}`).toBeInstanceOf(KlpflowError);
      }
    }
    expect(errors).toBeGreaterThan(50);
  });

  test('two symbol tables, or two rela sections for one section, are refused', () => {
    // The second one read as the only one loses half of the references.
    const two = spoilt(bytes, (b) => {
      const target = sectionOf(b, 4);
      for (let section = target + 1; section < b.readUInt16LE(60); section++) {
        if (b.readUInt32LE(header(b, section, 4)) === 4)
          b.writeUInt32LE(b.readUInt32LE(header(b, target, 44)), header(b, section, 44));
      }
    });
    expect(thrown(() => read(two)).message).toMatch(/both hold relas/);
  });
});
