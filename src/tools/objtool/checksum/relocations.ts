import {
  RELA_SIZE,
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHT_RELA,
  s64,
  u64,
  type ElfObject,
} from '../../../elf';

export interface Relocation {
  offset: number;
  type: number;
  /** Number in the symbol table. */
  symbol: number;
  addend: number;
}

interface Table {
  words: Uint32Array;
  /** Numbers of the relocations in the order of their places. */
  order: Uint32Array;
}

/** Relocations by place. Assemblers do not sort them, so every table is looked at in the order of places. */
export class Relocations {
  /** Rela section of each section, 0 for none. */
  private readonly tables: Uint32Array;
  private readonly orders = new Map<number, Uint32Array>();
  private latest: (Table & { section: number }) | undefined;

  constructor(private readonly elf: ElfObject) {
    this.tables = new Uint32Array(elf.sectionCount);
    for (let i = 1; i < elf.sectionCount; i++) if (elf.type(i) === SHT_RELA) this.tables[elf.info(i)] ||= i;
  }

  /** The first relocation at `from` or behind it and before `to`. @throws KlpflowError `malformed-elf` */
  first(section: number, from: number, to: number): Relocation | undefined {
    const table = this.open(section);
    return this.at(section, table, startOf(table, from), to);
  }

  /** Relocations from `from` to before `to`, in the order of places. @throws KlpflowError `malformed-elf` */
  *within(section: number, from: number, to: number): Generator<Relocation> {
    const table = this.open(section);
    for (let i = startOf(table, from); ; i++) {
      const relocation = this.at(section, table, i, to);
      if (relocation === undefined) return;
      yield relocation;
    }
  }

  private at(section: number, { words, order }: Table, number: number, to: number): Relocation | undefined {
    if (number === order.length) return undefined;
    const at = order[number]! * RELA_WORDS;
    const offset = u64(words, at + R_OFFSET);
    if (offset >= to) return undefined;
    const symbol = words[at + R_SYM]!;
    if (symbol >= this.elf.symbolCount)
      this.elf.malformed(
        this.elf.offset(this.tables[section]!) + order[number]! * RELA_SIZE,
        `the relocation names symbol ${symbol} of ${this.elf.symbolCount}`,
      );
    return { offset, type: words[at + R_TYPE]!, symbol, addend: s64(words, at + R_ADDEND) };
  }

  private open(section: number): Table {
    if (this.latest?.section === section) return this.latest;
    const table = this.tables[section] ?? 0;
    const words = table === 0 ? new Uint32Array(0) : this.elf.relas(table);
    let order = this.orders.get(section);
    if (order === undefined) {
      order = Uint32Array.from({ length: words.length / RELA_WORDS }, (_, i) => i);
      const offset = (i: number): number => u64(words, i * RELA_WORDS + R_OFFSET);
      if (order.some((i) => i > 0 && offset(i) < offset(i - 1))) order.sort((a, b) => offset(a) - offset(b) || a - b);
      this.orders.set(section, order);
    }
    this.latest = { section, words, order };
    return this.latest;
  }
}

/** Which of the table's relocations, in the order of places, is the first at `from` or behind it. */
function startOf({ words, order }: Table, from: number): number {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (u64(words, order[middle]! * RELA_WORDS + R_OFFSET) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}
