import { describe, expect, test } from 'vitest';
import { KlpflowError } from '../src/diagnostics';
import { structSizes } from '../src/livepatch/btf';

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
  const words = types.flatMap(({ kind, vlen = 0, size = 0, words: rest = [] }, i) => [offsets[i + 1]!, (kind << 24) | vlen, size, ...rest]);
  const body = Buffer.alloc(words.length * 4);
  words.forEach((word, i) => (little ? body.writeUInt32LE(word >>> 0, i * 4) : body.writeUInt32BE(word >>> 0, i * 4)));
  const header = Buffer.alloc(24);
  const put = (at: number, value: number): unknown => (little ? header.writeUInt32LE(value, at) : header.writeUInt32BE(value, at));
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
  { kind: 1, name: 'int', size: 4, words: [32] }, { kind: 2, size: 1 }, { kind: 3, words: [1, 1, 5] }, { kind: 5, name: 'union', size: 8, vlen: 2, words: [0, 1, 0, 0, 1, 0] },
  { kind: 6, name: 'enum', size: 4, vlen: 2, words: [0, 1, 0, 2] }, { kind: 7, name: 'bug_entry' }, { kind: 8, name: 'bug_entry', size: 1 }, { kind: 9, size: 1 }, { kind: 10, size: 1 }, { kind: 11, size: 1 },
  { kind: 12, name: 'func', size: 13 }, { kind: 13, vlen: 3, words: [0, 1, 0, 1, 0, 1] }, { kind: 14, name: 'var', size: 1, words: [0] }, { kind: 15, name: '.data', size: 8, vlen: 1, words: [15, 0, 8] },
  { kind: 16, name: 'double', size: 8 }, { kind: 17, name: 'tag', size: 1, vlen: 0, words: [0] }, { kind: 18, name: 'user', size: 1 }, { kind: 19, name: 'enum64', size: 8, vlen: 1, words: [0, 1, 2] },
];

const STRUCTS: Type[] = [{ kind: 4, name: 'bug_entry', size: 12, vlen: 1, words: [0, 1, 0] }, { kind: 4, name: 'alt_instr', size: 14, vlen: 0 }];

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
      const sizes = structSizes(btf([...EVERY_KIND, ...STRUCTS], little), ['bug_entry', 'alt_instr', 'jump_entry'], 'vmlinux');
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
    expect(structSizes(btf([many, { kind: 5, name: 'jump_entry', size: 16 }]), ['jump_entry'], 'vmlinux')).toEqual({ jump_entry: 16 });
  });

  test('damage is a typed error with its place', () => {
    // A raw RangeError says nothing to a person who passed --btf.
    const whole = btf(STRUCTS);
    const damaged: Array<[string, Buffer]> = [
      ['empty', Buffer.alloc(0)], ['short', whole.subarray(0, 20)], ['magic', Buffer.concat([Buffer.from('ELF!'), whole.subarray(4)])], ['cut', whole.subarray(0, whole.length - 4)],
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
    for (let at = 0; at < whole.length; at++) for (const value of [0, 0x7f, 0xff]) {
      const bytes = Buffer.from(whole);
      bytes[at] = value;
      try {
        structSizes(bytes, ['bug_entry'], 'types.btf');
      } catch (error) {
        expect(error, `byte ${at} = ${value}`).toBeInstanceOf(KlpflowError);
      }
    }
  });
});
