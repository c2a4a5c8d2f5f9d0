import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { structLayouts, structSizes } from '../../src/kernel/btf';
import { KERNELS, PRODUCTION, kernelFiles, pairsOf, skipWithout, unavailable, unpack } from '../support/corpus';
import { ModuleFile } from '../support/module-file';

/** One BTF type: kind, vlen, size or type, name, words behind the head. */
interface Type {
  kind: number;
  name?: string;
  vlen?: number;
  size?: number;
  words?: number[];
}

function btf(types: Type[], little = true): Buffer {
  const names = ['', ...types.map(({ name }) => name ?? '')];
  const offsets: number[] = [];
  let strings = Buffer.alloc(0);
  for (const name of names) {
    offsets.push(strings.length);
    strings = Buffer.concat([strings, Buffer.from(`${name}\0`)]);
  }
  const words = types.flatMap(({ kind, vlen = 0, size = 0, words: rest = [] }, i) => [
    offsets[i + 1]!,
    (kind << 24) | vlen,
    size,
    ...rest,
  ]);
  const body = Buffer.alloc(words.length * 4);
  words.forEach((word, i) => (little ? body.writeUInt32LE(word >>> 0, i * 4) : body.writeUInt32BE(word >>> 0, i * 4)));
  const header = Buffer.alloc(24);
  const put = (at: number, value: number): unknown =>
    little ? header.writeUInt32LE(value, at) : header.writeUInt32BE(value, at);
  if (little) header.writeUInt16LE(0xeb9f, 0);
  else header.writeUInt16BE(0xeb9f, 0);
  header[2] = 1;
  put(4, 24);
  put(8, 0);
  put(12, body.length);
  put(16, body.length);
  put(20, strings.length);
  return Buffer.concat([header, body, strings]);
}

/** Every kind with its true tail, so that a wrong length derails what follows. */
const EVERY_KIND: Type[] = [
  { kind: 1, name: 'int', size: 4, words: [32] },
  { kind: 2, size: 1 },
  { kind: 3, words: [1, 1, 5] },
  { kind: 5, name: 'union', size: 8, vlen: 2, words: [0, 1, 0, 0, 1, 0] },
  { kind: 6, name: 'enum', size: 4, vlen: 2, words: [0, 1, 0, 2] },
  { kind: 7, name: 'bug_entry' },
  { kind: 8, name: 'bug_entry', size: 1 },
  { kind: 9, size: 1 },
  { kind: 10, size: 1 },
  { kind: 11, size: 1 },
  { kind: 12, name: 'func', size: 13 },
  { kind: 13, vlen: 3, words: [0, 1, 0, 1, 0, 1] },
  { kind: 14, name: 'var', size: 1, words: [0] },
  { kind: 15, name: '.data', size: 8, vlen: 1, words: [15, 0, 8] },
  { kind: 16, name: 'double', size: 8 },
  { kind: 17, name: 'tag', size: 1, vlen: 0, words: [0] },
  { kind: 18, name: 'user', size: 1 },
  { kind: 19, name: 'enum64', size: 8, vlen: 1, words: [0, 1, 2] },
];

const STRUCTS: Type[] = [
  { kind: 4, name: 'bug_entry', size: 12, vlen: 1, words: [0, 1, 0] },
  { kind: 4, name: 'alt_instr', size: 14, vlen: 0 },
];

function thrown(action: () => unknown): KlpflowError {
  try {
    action();
  } catch (error) {
    if (error instanceof KlpflowError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('BTF', () => {
  for (const little of [true, false]) {
    test(`sizes of structs behind every kind of type, ${little ? 'little' : 'big'}-endian`, () => {
      // One kind skipped by a wrong length and every size behind it is read from somewhere: entries of 12 bytes become 16.
      const sizes = structSizes(
        btf([...EVERY_KIND, ...STRUCTS], little),
        ['bug_entry', 'alt_instr', 'jump_entry'],
        'vmlinux',
      );
      expect(sizes).toEqual({ bug_entry: 12, alt_instr: 14 });
    });
  }

  test('a forward declaration and a typedef of the name are no size', () => {
    // Both stand before the struct in a real kernel; their third word is no size.
    expect(structSizes(btf([...EVERY_KIND]), ['bug_entry'], 'vmlinux')).toEqual({});
  });

  test('unions count and a 65,535-member enum is passed', () => {
    // vlen has 16 bits; read with fewer, the walk derails in big enums.
    const many: Type = { kind: 6, name: 'big', size: 4, vlen: 0xffff, words: new Array<number>(0xffff * 2).fill(7) };
    expect(structSizes(btf([many, { kind: 5, name: 'jump_entry', size: 16 }]), ['jump_entry'], 'vmlinux')).toEqual({
      jump_entry: 16,
    });
  });

  test('damage is a typed error with its place', () => {
    // A raw RangeError says nothing to a person who passed --btf.
    const whole = btf(STRUCTS);
    const damaged: Array<[string, Buffer]> = [
      ['empty', Buffer.alloc(0)],
      ['short', whole.subarray(0, 20)],
      ['magic', Buffer.concat([Buffer.from('ELF!'), whole.subarray(4)])],
      ['cut', whole.subarray(0, whole.length - 4)],
    ];
    const lying = Buffer.from(whole);
    lying.writeUInt32LE(0xfffffff0, 12);
    damaged.push(['types', lying]);
    for (const [what, bytes] of damaged) {
      const error = thrown(() => structSizes(bytes, ['bug_entry'], 'types.btf'));
      expect(error.code, what).toBe('malformed-elf');
      expect(error.diagnostic.where, what).toMatchObject({ object: 'types.btf', offset: expect.any(Number) });
      expect(error.message, what).toContain('types.btf');
    }
  });

  test('any damaged byte gives an answer or a typed error', () => {
    // --btf names any file.
    const whole = btf([...EVERY_KIND, ...STRUCTS]);
    for (let at = 0; at < whole.length; at++)
      for (const value of [0, 0x7f, 0xff]) {
        const bytes = Buffer.from(whole);
        bytes[at] = value;
        try {
          structSizes(bytes, ['bug_entry'], 'types.btf');
          structLayouts(bytes, ['bug_entry'], 'types.btf');
        } catch (error) {
          expect(error, `byte ${at} = ${value}`).toBeInstanceOf(KlpflowError);
        }
      }
  });

  /** Names of members are those of types: one named type a name, so that both are in the strings. */
  const NAMES: Type[] = ['outer', 'first', 'inside', 'flag', 'last'].map((name) => ({ kind: 8, name, size: 1 }));
  /** Offset of a name of NAMES: the strings begin with NUL, then '' again for the first type's own. */
  const nameAt = (name: string): number =>
    1 +
    NAMES.slice(
      0,
      NAMES.findIndex((type) => type.name === name),
    ).reduce((sum, type) => sum + type.name!.length + 1, 0);

  test('offsets of members, also within anonymous unions; bit-fields have none', () => {
    // A member of an anonymous union taken for missing, or counted from the union, moves `init` in struct module.
    const types: Type[] = [
      ...NAMES,
      { kind: 5, size: 8, vlen: 1, words: [nameAt('inside'), 1, 0] },
      {
        kind: 0x80 | 4,
        name: 'outer',
        size: 24,
        vlen: 4,
        words: [
          nameAt('first'),
          1,
          0,
          0,
          NAMES.length + 1,
          64,
          nameAt('flag'),
          1,
          (1 << 24) | 128,
          nameAt('last'),
          1,
          160,
        ],
      },
    ];
    expect(structLayouts(btf(types), ['outer', 'absent'], 'vmlinux')).toEqual({
      outer: { size: 24, offsets: { first: 0, inside: 8, last: 20 } },
    });
    expect(structLayouts(btf(types, false), ['outer'], 'vmlinux')['outer']!.offsets).toEqual({
      first: 0,
      inside: 8,
      last: 20,
    });
  });

  test('anonymous types that hold themselves come to an end', () => {
    // Two such members double the work at each level.
    const itself = NAMES.length + 1;
    const types: Type[] = [
      ...NAMES,
      { kind: 4, size: 8, vlen: 2, words: [0, itself, 0, 0, itself, 0] },
      { kind: 4, name: 'outer', size: 8, vlen: 1, words: [0, itself, 0] },
    ];
    expect(structLayouts(btf(types), ['outer'], 'vmlinux')).toEqual({ outer: { size: 8, offsets: {} } });
  });

  test('the split BTF of a module is refused as such', () => {
    // Read as if it were whole, its names are none and every struct is missing, which sounds like another kernel.
    const whole = btf(STRUCTS);
    const names = whole.length - 'bug_entry\0alt_instr\0'.length - 1;
    const headless = Buffer.from(whole);
    headless[names] = 0x61;
    const beyond = Buffer.from(whole);
    beyond.writeUInt32LE(0x10000, 24);
    for (const bytes of [headless, beyond])
      for (const read of [structSizes, structLayouts])
        expect(thrown(() => read(bytes, ['bug_entry'], 'module.btf')).code).toBe('no-btf');
  });

  test('a kind that is not known is no reason to guess where the next type starts', () => {
    expect(
      thrown(() => structSizes(btf([{ kind: 25, name: 'new' }, ...STRUCTS]), ['bug_entry'], 'vmlinux')).message,
    ).toContain('kind 25');
  });

  for (const kernel of KERNELS) {
    test(`livepatch structs of ${kernel}`, (context) => {
      // Read wrongly, the kernel's list heads are written over the next entry's name.
      skipWithout(context, unavailable(kernel, true));
      const path = join(dirname(unpack(kernel, pairsOf(kernel)[0]!).orig), 'types.btf');
      const layouts = structLayouts(
        readFileSync(path),
        ['klp_patch', 'klp_object', 'klp_func', 'klp_callbacks', 'klp_state', 'module'],
        path,
      );
      expect(layouts['klp_patch']).toMatchObject({ size: 200, offsets: { mod: 0, objs: 8, states: 16, replace: 24 } });
      expect(layouts['klp_object']).toMatchObject({ size: 168, offsets: { name: 0, funcs: 8, callbacks: 16 } });
      expect(layouts['klp_func']).toMatchObject({ size: 152, offsets: { old_name: 0, new_func: 8, old_sympos: 16 } });
      expect(layouts['klp_state']).toMatchObject({ size: 24, offsets: { id: 0, version: 8 } });
      expect(layouts['module']).toMatchObject(
        kernel === 'debian-6.12-gcc'
          ? { size: 1280, offsets: { name: 24, init: 312, exit: 1200 } }
          : { size: 1216, offsets: { name: 24, init: 304, exit: 1176 } },
      );
    });
  }

  // Linux 7.3 took a member out of struct module, and \`exit\` moved: written at the old place, the livepatch never unloads, or jumps to an address that is none.
  test('struct module of 7.3 is as its own modules have it', (context) => {
    skipWithout(context, unavailable(PRODUCTION, true));
    const { btf: path, template } = kernelFiles(PRODUCTION);
    const { module } = structLayouts(readFileSync(path), ['module'], path);
    const file = new ModuleFile(template);
    const at = (name: string): number =>
      Number.parseInt(file.relas('.gnu.linkonce.this_module').find((line) => line.endsWith(` ${name} + 0`))!, 16);
    expect(module).toMatchObject({
      size: file.sections.get('.gnu.linkonce.this_module')!.size,
      offsets: { init: at('init_module'), exit: at('cleanup_module') },
    });
    expect(at('cleanup_module') - at('init_module')).not.toBe(1176 - 304);
  });
});
