import type { SectionIndex, SymbolIndex } from '../../elf';
import { wordAt } from '../../arch';
import { PREAMBLE_BYTES, preambleHash } from '../../kernel/kcfi';
import { Trait } from '../scan';
import { above } from './extents';
import { Mapping } from './mapping';
import type { Side } from './side';

/** Sections that are looked through one by one: each takes a pass over all symbols, 0.3 ms in WebAssembly. */
const FEW_SECTIONS = 32;

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
    const { table, object, arch } = this.side;
    if (arch.namelessHash > 0) {
      const { section, start } = this.side.rangeOf(symbol);
      const before = Mapping.of(this.side).hashBefore(section, start);
      return before === 0 ? undefined : wordAt(object.content(section), start - before);
    }
    for (const prefix of this.before(symbol)) {
      const bytes = object
        .content(table.section[prefix]!)
        .subarray(table.value[prefix]!, table.value[prefix]! + table.size[prefix]!);
      // Clang aligns what is before the NOPs of -fpatchable-function-entry: then the instruction is the last one.
      const hash = preambleHash(bytes, 0) ?? preambleHash(bytes, bytes.length - PREAMBLE_BYTES);
      if (hash !== undefined) return hash;
    }
    return undefined;
  }

  /** Functions that a prefix or a hash stands before, canonical; each once. */
  *functions(): Generator<number> {
    const { table, identity, extents, arch } = this.side;
    const seen = new Set<number>();
    if (arch.namelessHash > 0) {
      const mapping = Mapping.of(this.side);
      for (let i = 0; i < table.listedCount; i++) {
        const symbol = table.listed[i]!;
        if (
          table.canonical[symbol] === symbol &&
          table.has(symbol, Trait.FUNC) &&
          table.section[symbol]! < table.sections &&
          mapping.hashBefore(table.section[symbol]!, table.value[symbol]!) > 0
        )
          yield symbol;
      }
      return;
    }
    for (const [section, prefixes] of this.all()) {
      for (const prefix of prefixes) {
        const next = extents.widestAt(section, table.value[prefix]!).end;
        const symbol = identity.coverAt(section, next);
        if (symbol === 0 || table.value[symbol] !== next || seen.has(symbol)) continue;
        seen.add(symbol);
        yield symbol;
      }
    }
  }
}
