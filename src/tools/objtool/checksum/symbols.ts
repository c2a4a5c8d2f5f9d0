import {
  SHN_LORESERVE,
  SHN_XINDEX,
  STB_LOCAL,
  STT_FILE,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
  STT_SECTION,
  ST_INFO,
  ST_SIZE,
  ST_VALUE,
  SYM_WORDS,
  u64,
  type ElfObject,
} from '../../../elf';
import { coldParent } from '../../../kernel/symbol-rules';

/** Symbols of one section by place; `reach` is the furthest end of the first symbols up to each. */
interface Placed {
  symbols: number[];
  reach: number[];
}

/**
 * The symbol table as `objtool klp checksum` sees it: of several names for one thing the last counts, cold parts are
 * functions that belong to their parents, names are compared without the numbers that compilers append.
 */
export class ChecksumSymbols {
  /** Section of each symbol; 0 where it has none (undefined, absolute, common). */
  readonly section: Uint32Array;
  /** The last symbol of equal place, type and size, of each symbol. */
  readonly canonical: Uint32Array;
  /** Cold part of each function, 0 for none, and the parent of each cold part. */
  readonly coldPart: Uint32Array;
  readonly parent: Uint32Array;
  private readonly sizes: Float64Array;
  private readonly placed = new Map<number, Placed>();
  private readonly names: (Buffer | undefined)[] = [];

  constructor(private readonly elf: ElfObject) {
    const count = elf.symbolCount;
    this.section = new Uint32Array(count);
    this.canonical = Uint32Array.from({ length: count }, (_, i) => i);
    this.coldPart = new Uint32Array(count);
    this.parent = new Uint32Array(count);
    this.sizes = new Float64Array(count);
    for (let i = 1; i < count; i++) {
      this.section[i] = this.sectionOf(i);
      this.sizes[i] = u64(elf.symbols, i * SYM_WORDS + ST_SIZE);
    }
    this.place();
    this.joinColdParts();
    for (const placed of this.placed.values()) {
      let reach = 0;
      placed.reach = placed.symbols.map((symbol) => (reach = Math.max(reach, this.value(symbol) + this.size(symbol))));
    }
  }

  get count(): number {
    return this.elf.symbolCount;
  }

  type(symbol: number): number {
    return this.parent[symbol] !== 0 ? STT_FUNC : this.ownType(symbol);
  }

  /** The function that a symbol is a part of, or itself. */
  whole(symbol: number): number {
    return this.parent[symbol] || symbol;
  }

  isLocal(symbol: number): boolean {
    return ((this.elf.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 4) & 0xf) === STB_LOCAL;
  }

  value(symbol: number): number {
    return u64(this.elf.symbols, symbol * SYM_WORDS + ST_VALUE);
  }

  /** st_size, without a cold part that lies at the function's end. */
  size(symbol: number): number {
    return this.sizes[symbol]!;
  }

  name(symbol: number): string {
    return this.ownType(symbol) === STT_SECTION && this.section[symbol] !== 0
      ? this.elf.name(this.section[symbol]!)
      : this.elf.symbolName(symbol);
  }

  /** Bytes of the name by which others refer to the symbol: for functions and objects without the numbers at its end. */
  demangled(symbol: number): Buffer {
    let bytes = this.names[symbol];
    if (bytes === undefined) {
      const type = this.ownType(symbol);
      const name = this.name(symbol);
      bytes = Buffer.from(type === STT_FUNC || type === STT_OBJECT ? withoutNumbers(name) : name);
      this.names[symbol] = bytes;
    }
    return bytes;
  }

  /** A section's symbols in the order of their places, those of equal place in the table's. Section symbols are left out. */
  in(section: number): readonly number[] {
    return this.placed.get(section)?.symbols ?? [];
  }

  /** The smallest symbol that covers a place, by its canonical name; 0 where none does. */
  covering(section: number, offset: number): number {
    const placed = this.placed.get(section);
    if (placed === undefined) return 0;
    const { symbols, reach } = placed;
    let found = 0;
    for (let i = this.behind(symbols, offset) - 1; i >= 0 && reach[i]! > offset; i--) {
      const symbol = symbols[i]!;
      if (
        this.size(symbol) > 0 &&
        this.value(symbol) + this.size(symbol) > offset &&
        (found === 0 || this.size(symbol) <= this.size(found))
      )
        found = symbol;
    }
    return this.canonical[found]!;
  }

  /** What a call to this place calls: a function that starts there, else any symbol there; 0 for none. */
  calledAt(section: number, offset: number): number {
    const symbols = this.in(section);
    let other = 0;
    for (let i = this.behind(symbols, offset) - 1; i >= 0 && this.value(symbols[i]!) === offset; i--)
      other = symbols[i]!;
    for (let i = this.behind(symbols, offset - 1); i < symbols.length && this.value(symbols[i]!) === offset; i++)
      if (this.type(symbols[i]!) === STT_FUNC) return this.canonical[symbols[i]!]!;
    return this.canonical[other]!;
  }

  private ownType(symbol: number): number {
    return this.elf.symbols[symbol * SYM_WORDS + ST_INFO]! & 0xf;
  }

  /** Number of symbols that start at `offset` or before it. */
  private behind(symbols: readonly number[], offset: number): number {
    let [low, high] = [0, symbols.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.value(symbols[middle]!) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private sectionOf(symbol: number): number {
    const { elf } = this;
    const short = elf.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
    if (short >= SHN_LORESERVE && short !== SHN_XINDEX) return 0;
    const index = short === SHN_XINDEX ? (elf.extendedIndex[symbol] ?? elf.sectionCount) : short;
    if (index >= elf.sectionCount)
      elf.malformed(
        elf.offset(elf.symtabSection) + symbol * 24,
        `symbol ${symbol} is defined in section ${index} of ${elf.sectionCount}`,
      );
    return index;
  }

  private place(): void {
    for (let i = 1; i < this.count; i++) {
      const section = this.section[i]!;
      if (section === 0 || this.ownType(i) === STT_SECTION) continue;
      const placed = this.placed.get(section);
      if (placed === undefined) this.placed.set(section, { symbols: [i], reach: [] });
      else placed.symbols.push(i);
    }
    for (const { symbols } of this.placed.values()) {
      symbols.sort((a, b) => this.value(a) - this.value(b) || a - b);
      const last = new Map<number, number>();
      for (let i = symbols.length - 1, at = -1; i >= 0; i--) {
        const symbol = symbols[i]!;
        if (this.value(symbol) !== at) last.clear();
        at = this.value(symbol);
        const key = this.size(symbol) * 16 + this.ownType(symbol);
        if (last.has(key)) this.canonical[symbol] = last.get(key)!;
        else last.set(key, symbol);
      }
    }
  }

  /** Finds the parent of each cold part: the local of its name under the same FILE symbol, else the global. */
  private joinColdParts(): void {
    const { elf } = this;
    const cold: { symbol: number; file: number; parent: string }[] = [];
    const byName = new Map<string, number>();
    const files = new Uint32Array(this.count);
    for (let i = 1, file = 0; i < this.count; i++) {
      const type = this.ownType(i);
      if (type === STT_FILE) file = i;
      files[i] = this.isLocal(i) ? file : 0;
      if (type === STT_SECTION || this.section[i] === 0) continue;
      const name = elf.symbolName(i);
      const parent = coldParent(name);
      if (parent !== undefined) cold.push({ symbol: i, file: files[i]!, parent });
    }
    if (cold.length === 0) return;
    const wanted = new Set(cold.map(({ parent }) => parent));
    for (let i = 1; i < this.count; i++) {
      const type = this.ownType(i);
      if ((type !== STT_FUNC && type !== STT_NOTYPE) || this.section[i] === 0) continue;
      const name = elf.symbolName(i);
      if (wanted.has(name)) byName.set(this.isLocal(i) ? `${files[i]} ${name}` : name, i);
    }
    for (const { symbol, file, parent: name } of cold) {
      const parent = (this.isLocal(symbol) ? byName.get(`${file} ${name}`) : undefined) ?? byName.get(name);
      if (parent === undefined) continue; // hashed as a function of its own
      const canonical = this.canonical[parent]!;
      this.parent[symbol] = canonical;
      this.coldPart[parent] = this.coldPart[canonical] = symbol;
      const start = this.value(symbol);
      const end = this.value(parent) + this.size(parent);
      if (
        this.section[symbol] === this.section[parent] &&
        start >= this.value(parent) &&
        start + this.size(symbol) === end
      )
        this.sizes[parent]! -= this.size(symbol);
    }
  }
}

/** A name without what compilers append to tell copies apart: `.llvm.<digits>`, or numbers behind dots and `__UNIQUE_ID_` names. */
function withoutNumbers(name: string): string {
  const llvm = name.indexOf('.llvm.');
  if (llvm >= 0) return name.slice(0, llvm);
  if (!name.includes('.') && !name.startsWith('__UNIQUE_ID_')) return name;
  const kept = name.replace(/[0-9._]+$/, '');
  return kept.length <= 1 ? name : kept;
}
