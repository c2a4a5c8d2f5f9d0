import { Random } from '../../src/synth/random';

/** A damaged copy of an object and what was done to it. */
export interface Mutant {
  bytes: Buffer;
  done: string[];
}

/** Fields of a record: name, offset, width in bytes. */
type Fields = ReadonlyArray<readonly [string, number, 1 | 2 | 4 | 8]>;

const HEADER: Fields = [
  ['e_type', 16, 2],
  ['e_machine', 18, 2],
  ['e_version', 20, 4],
  ['e_shoff', 40, 8],
  ['e_flags', 48, 4],
  ['e_ehsize', 52, 2],
  ['e_shentsize', 58, 2],
  ['e_shnum', 60, 2],
  ['e_shstrndx', 62, 2],
];
const SECTION: Fields = [
  ['sh_name', 0, 4],
  ['sh_type', 4, 4],
  ['sh_flags', 8, 8],
  ['sh_addr', 16, 8],
  ['sh_offset', 24, 8],
  ['sh_size', 32, 8],
  ['sh_link', 40, 4],
  ['sh_info', 44, 4],
  ['sh_addralign', 48, 8],
  ['sh_entsize', 56, 8],
];
const SYMBOL: Fields = [
  ['st_name', 0, 4],
  ['st_info', 4, 1],
  ['st_other', 5, 1],
  ['st_shndx', 6, 2],
  ['st_value', 8, 8],
  ['st_size', 16, 8],
];
const RELA: Fields = [
  ['r_offset', 0, 8],
  ['r_type', 8, 4],
  ['r_sym', 12, 4],
  ['r_addend', 16, 8],
];

const SHT_SYMTAB = 2;
const SHT_STRTAB = 3;
const SHT_RELA = 4;
const SHT_NOBITS = 8;

/** One to three random damages to an ELF64 object, most of them to a field of a header, section, symbol or rela. The same seed gives the same mutant. */
export function mutate(object: Buffer, seed: number): Mutant {
  const random = new Random(seed, 0x3d);
  let bytes = Buffer.from(object);
  const done: string[] = [];
  const little = object[5] === 1;
  const read = (at: number, width: number): bigint => {
    let value = 0n;
    for (let i = 0; i < width; i++) value |= BigInt(object[at + (little ? i : width - 1 - i)] ?? 0) << BigInt(8 * i);
    return value;
  };
  const write = (at: number, width: number, value: bigint): void => {
    for (let i = 0; i < width; i++)
      if (at + width <= bytes.length)
        bytes[at + (little ? i : width - 1 - i)] = Number((value >> BigInt(8 * i)) & 0xffn);
  };
  // All offsets are of the undamaged object.
  const table = Number(read(40, 8));
  const count = Number(read(60, 2)) || Number(read(table + 32, 8));
  const sections = Array.from({ length: count }, (_, i) => ({
    type: Number(read(table + i * 64 + 4, 4)),
    offset: Number(read(table + i * 64 + 24, 8)),
    size: Number(read(table + i * 64 + 32, 8)),
  }));
  const withContent = (...types: number[]): typeof sections =>
    sections.filter(
      ({ type, size }) => size > 0 && type !== SHT_NOBITS && (types.length === 0 || types.includes(type)),
    );

  /** A value that is likely to be wrong: a boundary, a neighbour, or another record's. */
  const wrong = (at: number, width: number, other: number): bigint => {
    const now = read(at, width);
    const all = (1n << BigInt(8 * width)) - 1n;
    const values = [
      0n,
      1n,
      now + 1n,
      now - 1n,
      now * 2n,
      now / 2n,
      now ^ 0x80n,
      all,
      all >> 1n,
      (all >> 1n) + 1n,
      0xffffn,
      0xff00n,
      0xfff1n,
      0x7fffffffn,
      0xffffffffn,
      1n << 53n,
      BigInt(count),
      BigInt(object.length),
      read(other, width),
      BigInt(random.next()),
      BigInt(random.below(256)),
    ];
    return random.pick(values) & all;
  };
  const field = (what: string, base: number, other: number, fields: Fields): void => {
    const [name, offset, width] = random.pick(fields);
    const value = wrong(base + offset, width, other + offset);
    write(base + offset, width, value);
    done.push(`${what}.${name} = 0x${value.toString(16)}`);
  };
  const record = (what: string, type: number, fields: Fields): void => {
    const tables = withContent(type);
    if (tables.length === 0) return;
    const { offset, size } = random.pick(tables);
    const [at, other] = [random.below(size / 24), random.below(size / 24)];
    field(`${what} at ${offset + at * 24}`, offset + at * 24, offset + other * 24, fields);
  };

  for (let left = 1 + random.below(3); left > 0; left--) {
    const dice = random.below(100);
    if (dice < 5) field('header', 0, 0, HEADER);
    else if (dice < 35) {
      const [at, other] = [random.below(count), random.below(count)];
      field(`section ${at}`, table + at * 64, table + other * 64, SECTION);
    } else if (dice < 60) record('symbol', SHT_SYMTAB, SYMBOL);
    else if (dice < 82) record('rela', SHT_RELA, RELA);
    else if (dice < 86) {
      const { offset, size } = random.pick(withContent(SHT_STRTAB));
      const at = offset + random.below(size);
      write(at, 1, BigInt(random.below(256)));
      done.push(`string byte ${at}`);
    } else if (dice < 92) {
      const { offset, size } = random.pick(withContent());
      const [from, length] = [offset + random.below(size), 1 + random.below(16)];
      for (let i = 0; i < length; i++) write(from + i, 1, BigInt(random.below(256)));
      done.push(`${length} bytes from ${from}`);
    } else if (dice < 97) {
      const [a, b] = [random.below(count), random.below(count)];
      for (let i = 0; i < 64; i += 8) write(table + a * 64 + i, 8, read(table + b * 64 + i, 8));
      done.push(`section ${a} = section ${b}`);
    } else {
      const length = random.below(bytes.length);
      bytes = bytes.subarray(0, length);
      done.push(`cut to ${length} bytes`);
    }
  }
  return { bytes, done };
}
