import { describe, expect, test } from 'vitest';
import { STT_FUNC } from '../../../src/elf/constants';
import { NOTHING, body, diffObjects, inc, lea, opened, scan } from '../../support/diff-objects';
import { hex, object, ptr64, ref64, u32, type ObjectBuilder } from '../../support/elf-builder';

describe('data', () => {
  test('a changed initial value is refused', () => {
    // The running kernel's variable keeps its value: the livepatch would silently not contain the change.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('limit', [u32(value)])
        .func('f', body(inc('limit')));
    const diff = diffObjects(build(1), build(2));
    expect(diff.data.changed).toEqual(['limit']);
    expect(diff.told).toEqual(['changed-data limit']);
    expect(diff.changed).toEqual({});
  });

  test('a variable that gets an initial value is refused', () => {
    // .bss holds no bytes: nothing to compare is not equal.
    const build = (value: number): ObjectBuilder =>
      (value === 0
        ? object().file('x.c').bss('limit', 4)
        : object()
            .file('x.c')
            .data('limit', [u32(value)])
      ).func('f', body(inc('limit')));
    expect(diffObjects(build(0), build(2)).told).toEqual(['changed-data limit']);
  });

  test('a variable that grows is refused', () => {
    // Code of the patch would write past the running kernel's variable.
    const build = (size: number): ObjectBuilder => object().file('x.c').bss('state', size);
    expect(diffObjects(build(8), build(16)).told).toEqual(['changed-data state']);
    const common = (size: number): ObjectBuilder => object().file('x.c').common('tentative', size);
    expect(diffObjects(common(8), common(16)).told).toEqual(['changed-data tentative']);
    expect(diffObjects(common(8), common(8).bss('more', 4)).told).toEqual([]);
  });

  test('a pointer to something else is refused', () => {
    // The bytes of a pointer are zero in both builds: only its relocation differs.
    const build = (target: string): ObjectBuilder =>
      object()
        .file('x.c')
        .func('read_old', hex('c3'))
        .func('read_new', hex('c3'))
        .data('ops', [ptr64('read_old'), ptr64(target)]);
    expect(diffObjects(build('read_old'), build('read_new')).told).toEqual(['changed-data ops']);
  });

  test('a variable that becomes per-CPU is another variable', () => {
    // `static int depth` made DEFINE_PER_CPU keeps name, size and bytes; the changed code adds %gs to the address of the
    // running kernel's ordinary variable and writes somewhere.
    const build = (section: string): ObjectBuilder =>
      object()
        .file('x.c')
        .data('depth', [u32(5)], { section })
        .func('f', section === '.data.depth' ? body(inc('depth')) : body([0x65], inc('depth')));
    expect(diffObjects(build('.data.depth'), build('.data..percpu')).changed).toEqual({ f: 'code' });
    expect(diffObjects(build('.data.depth'), build('.data..percpu')).told).toEqual(['changed-placement depth']);
  });

  test('a CSWTCH table that differs changes its user, with class table', () => {
    // GCC's switch tables are never correlated: a changed table is a change that upstream reports as "nothing changed".
    const build = (name: string, value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .rodata(name, [u32(1), u32(value)], { bind: 'local' })
        .func('f', body(lea(name)));
    expect(diffObjects(build('CSWTCH.7', 2), build('CSWTCH.9', 2))).toMatchObject(NOTHING);
    expect(diffObjects(build('CSWTCH.7', 2), build('CSWTCH.9', 3)).changed).toEqual({ f: 'table' });
  });

  test('a table inside a table', () => {
    // A compound literal that points to another: the inner one's content is part of the user.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .rodata('CSWTCH.1', [u32(value)], { bind: 'local' })
        .rodata('__compound_literal.2', [ptr64('CSWTCH.1')], { bind: 'local' })
        .func('f', body(lea('__compound_literal.2')));
    expect(diffObjects(build(2), build(3)).changed).toEqual({ f: 'table' });
  });

  test('anonymous constants count by their sh_entsize bytes', () => {
    // .LC labels and the offsets of .rodata.cst16 move with every other constant of the unit.
    const build = (first: number, value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .constant('.rodata.cst16', [u32(first), u32(0), u32(0), u32(0)])
        .constant('.rodata.cst16', [u32(value), u32(0), u32(0), u32(0)])
        .func('f', body(lea({ section: '.rodata.cst16' }, 16)));
    expect(diffObjects(build(1, 2), build(7, 2))).toMatchObject(NOTHING);
    expect(diffObjects(build(1, 2), build(1, 3)).changed).toEqual({ f: 'table' });
  });

  test("an entsize that the section's name contradicts is the one that counts", () => {
    // .rodata.cst64.sigma has entsize 160: 64 bytes of it compared would miss the rest.
    const build = (last: number): ObjectBuilder =>
      object()
        .file('chacha.c')
        .section('.rodata.cst64.sigma', { entsize: 160, flags: 0x12, body: [new Uint8Array(156), u32(last)] })
        .func('f', body(lea({ section: '.rodata.cst64.sigma' })));
    expect(diffObjects(build(1), build(2)).changed).toEqual({ f: 'table' });
  });

  test('strings of an entsize above every size are whole sections', () => {
    // As a signed number it is -1: the end was looked for backwards, out of the file; of 2^63 the search stood still for ever.
    const build = (text: string): Buffer => {
      const bytes = Buffer.from(
        object()
          .file('x.c')
          .func('f', body(lea({ string: text })))
          .bytes(),
      );
      const built = opened(bytes);
      const strings = Array.from({ length: built.sectionCount }, (_, section) => section).filter(
        (section) => (built.sectionFlags(section) & 0x20) !== 0,
      );
      expect(strings).toHaveLength(1);
      bytes.writeBigUInt64LE(2n ** 64n - 1n, built.headersOffset + strings[0]! * 64 + 56);
      return bytes;
    };
    expect(diffObjects(build('one'), build('one'))).toMatchObject(NOTHING);
    expect(diffObjects(build('one'), build('two')).changed).toEqual({ f: 'reference' });
  });

  test('anonymous .rodata extends to where another object is known to begin', () => {
    // A place that g refers to may lie in the middle of what f hands out whole ("one\\0two\\0"): f must not pass for unchanged.
    const build = (one: number, two: number): ObjectBuilder =>
      object()
        .file('x.c')
        .section('.rodata', { body: [u32(one), u32(5), u32(two), u32(6)] })
        .func('f', body(lea({ section: '.rodata' })))
        .func('g', body(lea({ section: '.rodata' }, 8)));
    expect(diffObjects(build(1, 2), build(1, 3)).changed).toEqual({ f: 'table', g: 'table' });
    expect(diffObjects(build(1, 2), build(7, 2)).changed).toEqual({ f: 'table' });
    // 155,667 bytes of Debian's .rodata have no symbol; without an end the edit of one unit's table changes all users of the section.
    const units = (two: number): ObjectBuilder =>
      object()
        .section('.rodata', { body: [u32(1), u32(5), u32(two), u32(6)] })
        .file('x.c')
        .func('f', body(lea({ section: '.rodata' })), { bind: 'local' })
        .file('y.c')
        .func('g', body(lea({ section: '.rodata' }, 8)), { bind: 'local' });
    expect(diffObjects(units(2), units(3)).changed).toEqual({ g: 'table' });
    expect(diffObjects(build(1, 2), build(1, 2).bss('more', 4))).toMatchObject({ changed: {} });
  });

  test('anonymous writable data counts by content', () => {
    // .data..L__unnamed_1 has no symbol: its change leaves no trace, neither in a function nor as changed data.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .section('.data..L__unnamed_1', { body: [u32(value), u32(2)] })
        .func('f', body(lea({ section: '.data..L__unnamed_1' })));
    const diff = diffObjects(build(1), build(3));
    expect([...Object.keys(diff.changed), ...diff.told].length).toBeGreaterThan(0);
  });

  test('another place of a section without symbols is a change', () => {
    // Assembler tables without symbols (.data of head_64.S): `section + 8` instead of `section + 0` is not seen.
    const build = (offset: number): ObjectBuilder =>
      object()
        .file('head_64.S')
        .section('.data', { body: [u32(1), u32(2), u32(3), u32(4)] })
        .func('f', body(lea({ section: '.data' }, offset)));
    expect(diffObjects(build(0), build(8)).changed).toEqual({ f: 'reference' });
  });

  test('a compound literal that points to another numbered variable is not passed over', () => {
    // Both variables have the base name `state`: the literal's digest is the same. Its user contradicts the others.
    const build = (target: string): ObjectBuilder =>
      object()
        .file('x.c')
        .bss('state.1', 8, { bind: 'local' })
        .bss('state.2', 8, { bind: 'local' })
        .func('one', body(inc('state.1')))
        .func('two', body(inc('state.2')))
        .rodata('__compound_literal.4', [ptr64(target)], { bind: 'local' })
        .func('f', body(lea('__compound_literal.4')));
    // Premise: where nothing changed the variables pair.
    expect(diffObjects(build('state.1'), build('state.1')).twin('state.1')?.name).toBe('state.1');
    const diff = diffObjects(build('state.1'), build('state.2'));
    expect([...Object.keys(diff.changed), ...diff.told].length).toBeGreaterThan(0);
  });

  test('a ratelimit state is private to each build', () => {
    // `_rs.3` of one function is `_rs.4` of the next build: correlated by number it would be another function's.
    const build = (name: string): ObjectBuilder =>
      object()
        .file('x.c')
        .data(name, [u32(5), u32(10)], { bind: 'local' })
        .func('f', body(lea(name)));
    expect(diffObjects(build('_rs.3'), build('_rs.4'))).toMatchObject(NOTHING);
  });

  test('a ratelimit state with another burst is a change of its function', () => {
    // pr_warn_ratelimited with its own DEFINE_RATELIMIT_STATE(_rs, 5 * HZ, 10): the patch changes 10 to 20, nothing is seen.
    const build = (burst: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('_rs.3', [u32(5), u32(burst)], { bind: 'local' })
        .func('f', body(lea('_rs.3')));
    const diff = diffObjects(build(10), build(20));
    expect([...Object.keys(diff.changed), ...diff.told].length).toBeGreaterThan(0);
  });
});

test('read-only data that refers to itself', () => {
  // What lies between symbols may hold pointers to itself; each of 200 places leads to another one.
  const self = (last: number): ObjectBuilder =>
    object()
      .file('x.c')
      .section('.rodata', {
        body: [
          ...Array.from({ length: 200 }, (_, i) => ptr64({ section: '.rodata' }, BigInt((i * 8 + 8) % 1600))),
          u32(last),
        ],
      })
      .func('f', body(lea({ section: '.rodata' })));
  expect(diffObjects(self(1), self(1)).changed).toEqual({});
  expect(diffObjects(self(1), self(2)).changed).toEqual({ f: 'table' });
});

test('read-only data that refers to itself without end ends in a typed error', () => {
  // Each of 20 merged constants opens 19 others: without a bound the scan of one function would never end.
  const section = '.rodata.cst160';
  const self = object()
    .file('x.c')
    .section(section, {
      flags: 0x12,
      entsize: 160,
      align: 8,
      body: Array.from({ length: 400 }, (_, i) => ptr64({ section }, BigInt((i % 20) * 160))),
    })
    .func('f', body(lea({ section })));
  expect(() => diffObjects(self, self)).toThrow(/refers to itself/);
});

describe('values of 4 GiB and more', () => {
  test('an absolute symbol counts with all of its 64 bits', () => {
    // The columns hold 32: `0x100000005` and `0x200000005` are one there.
    const build = (high: number): ObjectBuilder =>
      object()
        .file('x.c')
        .abs('limit', high * 2 ** 32 + 5)
        .func('f', body([0x48, 0xb8, ref64('limit')]));
    expect(diffObjects(build(1), build(2)).changed).toEqual({ f: 'reference' });
    expect(diffObjects(build(1), build(1).bss('more', 8))).toMatchObject({ changed: {} });
  });

  test.each(['value', 'size'] as const)('a %s of 4 GiB in a section is refused, not cut', (field) => {
    const builder = object().file('x.c').bss('huge', 8, { bind: 'local' });
    const elf = opened(builder);
    const bytes = builder.bytes();
    const at = elf.offset(elf.symtabSection) + 24 * 2 + (field === 'value' ? 8 : 16);
    expect(elf.symbolName(2)).toBe('huge');
    bytes.writeBigUInt64LE(
      0x140000000n,
      elf.headersOffset + 64 * bytes.readUInt16LE(elf.offset(elf.symtabSection) + 24 * 2 + 6) + 32,
    );
    expect(() => scan(bytes)).not.toThrow();
    bytes.writeBigUInt64LE(0x100000000n, at);
    expect(() => scan(bytes)).toThrow(
      expect.objectContaining({
        code: 'malformed-elf',
        message: expect.stringMatching(/symbol 2 \(huge\) has an offset or a size of 4 GiB or more/) as string,
      }),
    );
  });
});

test('a function in SHN_COMMON is refused', () => {
  // It has a size and no bytes: whoever decoded it read the headers of section 0xfffffff2.
  const builder = object().file('x.c').func('f', body()).common('shared', 16);
  const bytes = builder.bytes();
  const elf = opened(builder);
  const symbol = [...Array(elf.symbolCount).keys()].find((number) => elf.symbolName(number) === 'shared')!;
  expect(() => scan(bytes)).not.toThrow();
  bytes.writeUInt8((1 << 4) | STT_FUNC, elf.offset(elf.symtabSection) + 24 * symbol + 4);
  expect(() => scan(bytes)).toThrow(
    expect.objectContaining({
      code: 'malformed-elf',
      message: expect.stringContaining('(shared) is a function in SHN_COMMON') as string,
    }),
  );
});
