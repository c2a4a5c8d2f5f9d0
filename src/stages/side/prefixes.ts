import { SHT_NOBITS, type SectionIndex, type SymbolIndex } from '../../elf';
import { wordAt } from '../../arch';
import { PREAMBLE_BYTES, preambleAt, preambleHash } from '../../kernel/kcfi';
import { Trait } from '../scan';
import { above } from './extents';
import { Mapping } from './mapping';
import type { Side } from './side';

/** Sections that are looked through one by one: each takes a pass over all symbols, 0.3 ms in WebAssembly. */
const FEW_SECTIONS = 32;
/** For `nextPrefix`: one of any section. */
const ANY_SECTION = 0xffffffff;

/** By canonical function the nearest prefix that holds its type, 0 for none, and the hash of the type. */
interface TypedFunctions {
  prefixes: Uint32Array;
  hashes: Uint32Array;
}

/**
 * What stands before functions and belongs to them: padding that boot code writes to (`__pfx_f`), and with kCFI the function's type
 * (`__cfi_f`). By place alone: of several names at one address objtool gives any one a `__pfx_` symbol, another one in the next build
 * (`__pfx___do_sys_getpid`, `__pfx___x64_sys_getpid`), and compilers leave NOPs behind a preamble of five bytes that have no name at all.
 */
export class Prefixes {
  private static readonly known = new WeakMap<Side, Prefixes>();
  /** In order of their places. */
  private readonly bySection = new Map<number, number[]>();
  /** Whether `bySection` has all sections. */
  private whole = false;
  private typed: TypedFunctions | undefined;

  static of(side: Side): Prefixes {
    let prefixes = Prefixes.known.get(side);
    if (prefixes === undefined) Prefixes.known.set(side, (prefixes = new Prefixes(side)));
    return prefixes;
  }

  private constructor(private readonly side: Side) {}

  /** A kernel has 50,000 prefixes, and most that ask want those of a few sections. */
  private in(section: SectionIndex): readonly number[] {
    const list = this.bySection.get(section);
    if (list !== undefined || this.whole) return list ?? [];
    if (this.bySection.size >= FEW_SECTIONS) return this.all().get(section) ?? [];
    const { identity, table } = this.side;
    const found: number[] = [];
    if (section < table.sections)
      for (
        let symbol = identity.code.nextPrefix(1, section);
        symbol < table.symbols;
        symbol = identity.code.nextPrefix(symbol + 1, section)
      )
        found.push(symbol);
    this.bySection.set(section, this.inOrder(found));
    return found;
  }

  private all(): ReadonlyMap<number, readonly number[]> {
    if (this.whole) return this.bySection;
    const { table } = this.side;
    this.bySection.clear();
    for (let symbol = 1; symbol < table.symbols; symbol++) {
      if ((table.traits[symbol]! & Trait.PREFIX) === 0 || table.section[symbol]! >= table.sections) continue;
      const list = this.bySection.get(table.section[symbol]!);
      if (list === undefined) this.bySection.set(table.section[symbol]!, [symbol]);
      else list.push(symbol);
    }
    for (const list of this.bySection.values()) this.inOrder(list);
    this.whole = true;
    return this.bySection;
  }

  private inOrder(symbols: SymbolIndex[]): number[] {
    const { value } = this.side.table;
    return symbols.sort((a, b) => value[a]! - value[b]!);
  }

  /** The prefix symbols of a function: those between it and whatever stands before it. */
  before(symbol: SymbolIndex): number[] {
    const { table, identity, extents } = this.side;
    const { section, start } = this.side.rangeOf(symbol);
    const list = this.in(section);
    const found: number[] = [];
    // A .text that units share has 50,000.
    for (let i = above(list.length, (one) => table.value[list[one]!]!, start - 1) - 1; i >= 0; i--) {
      const place = table.value[list[i]!]!;
      if (extents.widestAt(section, place).end !== start || identity.coverAt(section, place) !== 0) break;
      if (place + table.size[list[i]!]! <= start) found.push(list[i]!);
    }
    return found;
  }

  /** The hash of a function's type that indirect calls look for before it. */
  typeHash(symbol: SymbolIndex): number | undefined {
    if (this.side.arch.namelessHash > 0) return this.namelessHash(symbol);
    if (this.side.table.typedCount === 0) return undefined;
    const { prefixes, hashes } = this.typedFunctions();
    const body = this.side.table.canonical[symbol]!;
    return prefixes[body] === 0 ? undefined : hashes[body]!;
  }

  /** Calls `visit` for each function that has one, canonical. */
  forEachTyped(visit: (symbol: SymbolIndex) => void): void {
    const { table, arch } = this.side;
    if (arch.namelessHash > 0) {
      for (let i = 0; i < table.listedCount; i++) {
        const symbol = table.listed[i]!;
        if (
          table.canonical[symbol] === symbol &&
          table.has(symbol, Trait.FUNC) &&
          this.namelessHash(symbol) !== undefined
        )
          visit(symbol);
      }
      return;
    }
    const { prefixes } = this.typedFunctions();
    for (let symbol = 1; symbol < prefixes.length; symbol++) if (prefixes[symbol] !== 0) visit(symbol);
  }

  private namelessHash(symbol: SymbolIndex): number | undefined {
    const { section, start } = this.side.rangeOf(symbol);
    if (section >= this.side.table.sections) return undefined;
    const before = Mapping.of(this.side).hashBefore(section, start);
    return before === 0 ? undefined : wordAt(this.side.object.content(section), start - before);
  }

  /**
   * Found for all functions in one pass: where one is asked about its type because pointers to it are in use, the 40,000 of a kernel are.
   */
  private typedFunctions(): TypedFunctions {
    if (this.typed !== undefined) return this.typed;
    const { table, identity } = this.side;
    const prefixes = new Uint32Array(table.symbols);
    const hashes = new Uint32Array(table.symbols);
    for (let prefix = identity.code.nextPrefix(1, ANY_SECTION); prefix < table.symbols; ) {
      const section = table.section[prefix]!;
      const place = table.value[prefix]!;
      const hash = section < table.sections ? this.hashIn(prefix) : undefined;
      const symbol = hash === undefined ? 0 : identity.objectBehind(section, place);
      // A prefix within another function's bytes is that one's.
      if (
        symbol !== 0 &&
        place + table.size[prefix]! <= table.value[symbol]! &&
        (prefixes[symbol] === 0 || table.value[prefixes[symbol]!]! < place) &&
        identity.coverAt(section, place) === 0
      ) {
        prefixes[symbol] = prefix;
        hashes[symbol] = hash!;
      }
      prefix = identity.code.nextPrefix(prefix + 1, ANY_SECTION);
    }
    return (this.typed = { prefixes, hashes });
  }

  private hashIn(prefix: SymbolIndex): number | undefined {
    const { table, object } = this.side;
    const section = table.section[prefix]!;
    const size = table.size[prefix]!;
    if (size < PREAMBLE_BYTES || section >= table.sections || object.type(section) === SHT_NOBITS) return undefined;
    const from = object.offset(section) + table.value[prefix]!;
    const at = preambleAt(object.bytes, from, from + size);
    return at === undefined ? undefined : preambleHash(object.bytes, at);
  }
}
