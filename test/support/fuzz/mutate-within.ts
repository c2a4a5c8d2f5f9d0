import { Random } from '../../../src/synth/random';
import { mutate, type Mutant } from '../mutate';

/** Fields of an ELF64 record by width and offset, for both byte orders. */
class Fields {
  constructor(
    readonly bytes: Buffer,
    private readonly little: boolean,
  ) {}

  get(at: number, width: 1 | 2 | 4 | 8): number {
    const { bytes, little } = this;
    if (width === 1) return bytes[at]!;
    if (width === 2) return little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
    if (width === 4) return little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
    return Number(little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  }

  set(at: number, width: 1 | 2 | 4 | 8, value: number): void {
    const { bytes, little } = this;
    if (width === 1) bytes[at] = value & 0xff;
    else if (width === 2) bytes[little ? 'writeUInt16LE' : 'writeUInt16BE'](value & 0xffff, at);
    else if (width === 4) bytes[little ? 'writeUInt32LE' : 'writeUInt32BE'](value >>> 0, at);
    else bytes[little ? 'writeBigInt64LE' : 'writeBigInt64BE'](BigInt(value), at);
  }

  copy(to: number, from: number, width: number): void {
    this.bytes.copy(this.bytes, to, from, from + width);
  }
}

const [SHT_PROGBITS, SHT_SYMTAB, SHT_RELA, SHT_NOBITS] = [1, 2, 4, 8];

/** Half of the seeds: damage that a reader sees at once. The other half: a well-formed object that means something else. */
export function damaged(object: Buffer, seed: number): Mutant {
  return new Random(seed, 0xd1).chance(40) ? mutate(object, seed) : mutateWithin(object, seed);
}

/**
 * One to six changes that leave an ELF64 object well-formed: relocations of other symbols, types and places, symbols that overlap
 * or lie elsewhere, sections with other flags, names and entry sizes, other contents of tables. They get past the reader, to the
 * stages that must not trust what a table says.
 */
function mutateWithin(object: Buffer, seed: number): Mutant {
  const random = new Random(seed, 0x171);
  const bytes = Buffer.from(object);
  const fields = new Fields(bytes, object[5] === 1);
  const done: string[] = [];
  const table = fields.get(40, 8);
  const count = fields.get(60, 2) || fields.get(table + 32, 8);
  const header = (section: number): number => table + section * 64;
  const all = Array.from({ length: count }, (_, section) => ({
    section,
    type: fields.get(header(section) + 4, 4),
    offset: fields.get(header(section) + 24, 8),
    size: fields.get(header(section) + 32, 8),
  }));
  const [symtab] = all.filter(({ type }) => type === SHT_SYMTAB);
  const relas = all.filter(({ type, size }) => type === SHT_RELA && size > 0);
  const contents = all.filter(({ type, size }) => type === SHT_PROGBITS && size > 0);
  const symbols = symtab === undefined ? 0 : symtab.size / 24;
  const symbolAt = (symbol: number): number => symtab!.offset + symbol * 24;
  const near = (value: number): number => Math.max(0, value + random.pick([-8, -4, -1, 1, 4, 8, 16]));

  const changeRela = (): void => {
    if (relas.length === 0) return;
    const { section, offset, size } = random.pick(relas);
    const at = offset + random.below(size / 24) * 24;
    const from = random.chance(70) ? { offset, size } : random.pick(relas);
    const other = from.offset + random.below(from.size / 24) * 24;
    const room = fields.get(header(fields.get(header(section) + 44, 4)) + 32, 8);
    const word = (which: 0 | 1): number => at + 8 + (object[5] === 1 ? which * 4 : 4 - which * 4);
    const what = random.below(7);
    if (what === 0) fields.set(at, 8, random.below(room + 1));
    else if (what === 1) fields.copy(at, other, 8);
    else if (what === 2) fields.copy(at + 8, other + 8, 8);
    else if (what === 3) fields.set(word(1), 4, random.below(symbols));
    else if (what === 4) fields.set(word(0), 4, random.below(48));
    else if (what === 5) fields.copy(at + 16, other + 16, 8);
    else
      fields.set(
        at + 16,
        8,
        random.pick([0, -4, 4, -8, 1, room, -room, 0x7fffffff, -0x80000000, 2 ** 52, random.below(65536)]),
      );
    done.push(
      `rela at ${at} (${['offset', 'offset of another', 'target of another', 'symbol', 'type', 'addend of another', 'addend'][what]})`,
    );
  };
  const changeSymbol = (): void => {
    if (symbols < 2) return;
    const symbol = 1 + random.below(symbols - 1);
    const [at, other] = [symbolAt(symbol), symbolAt(random.below(symbols))];
    const room = all[fields.get(at + 6, 2)]?.size ?? 0;
    const what = random.below(8);
    if (what === 0) fields.copy(at, other, 4);
    else if (what === 1) fields.copy(at + 4, other + 4, 1);
    else if (what === 2) fields.copy(at + 6, other + 6, 18);
    else if (what === 3) fields.set(at + 16, 8, random.below(Math.max(1, room - fields.get(at + 8, 8)) + 1));
    else if (what === 4) {
      const value = random.below(room + 1);
      fields.set(at + 8, 8, value);
      fields.set(at + 16, 8, Math.min(fields.get(at + 16, 8), room - value));
    } else if (what === 5) fields.set(at + 16, 8, 0);
    else if (what === 6) fields.copy(at, other, 24);
    else fields.set(at + 6, 2, random.pick([0, 0xfff1, 0xfff2, 1 + random.below(Math.max(1, count - 1))]));
    done.push(
      `symbol ${symbol} (${['name', 'type', 'place of another', 'size', 'value', 'no size', 'as another', 'section'][what]})`,
    );
  };
  const changeSection = (): void => {
    const section = 1 + random.below(count - 1);
    const [at, other] = [header(section), header(1 + random.below(count - 1))];
    const what = random.below(6);
    if (what === 0) fields.copy(at, other, 4);
    else if (what === 1) fields.copy(at + 8, other + 8, 8);
    else if (what === 2 && all[section]!.type === SHT_PROGBITS)
      fields.set(at + 4, 4, random.pick([SHT_NOBITS, 14, 7, 0x70000001, 0]));
    else if (what === 3) fields.set(at + 48, 8, random.pick([0, 1, 3, 16, 4096, 1 << 20, 2 ** 40]));
    else if (what === 4 && all[section]!.type !== SHT_RELA)
      fields.set(at + 56, 8, random.pick([0, 1, 2, 3, 4, 8, 12, 13, 16, 24, 65536, 2 ** 40]));
    else if (all[section]!.type === SHT_PROGBITS)
      fields.set(
        at + 32,
        8,
        random.pick([0, 1, near(all[section]!.size) % (all[section]!.size + 1), all[section]!.size >> 1]),
      );
    done.push(`section ${section} (${['name', 'flags', 'type', 'alignment', 'entry size', 'size'][what]})`);
  };
  const changeContent = (): void => {
    if (contents.length === 0) return;
    const { section, offset, size } = random.pick(contents);
    const at = offset + random.below(size);
    const what = random.below(3);
    if (what === 0) bytes[at] = random.below(256);
    else if (what === 1)
      for (let i = at; i < Math.min(at + 1 + random.below(16), offset + size); i++)
        bytes[i] = random.pick([0, 0xff, 0x90, 0xcc, random.below(256)]);
    else bytes.copyWithin(at, offset + random.below(size), Math.min(offset + size, offset + random.below(size) + 8));
    done.push(`content of section ${section} at ${at - offset}`);
  };

  for (let left = 1 + random.below(6); left > 0; left--)
    random.pick([
      changeRela,
      changeRela,
      changeRela,
      changeSymbol,
      changeSymbol,
      changeSection,
      changeContent,
      changeContent,
    ])();
  return { bytes, done };
}
