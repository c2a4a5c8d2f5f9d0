import { STT_FUNC } from '../elf';

export interface ModuleSymbol {
  index: number;
  name: string;
  type: number;
  binding: number;
  /** A section's index, or one of SHN_UNDEF, SHN_ABS, SHN_COMMON, SHN_LIVEPATCH. */
  section: number;
  value: number;
  size: number;
}

/** Named symbols of one section, by value, the larger first. */
export class PlacedSymbols {
  static readonly NONE = new PlacedSymbols([]);
  readonly symbols: readonly ModuleSymbol[];
  readonly functions: readonly ModuleSymbol[];
  /** For each symbol the furthest end of it and those before it. */
  private readonly reach: Float64Array;

  constructor(symbols: ModuleSymbol[]) {
    this.symbols = symbols.sort((a, b) => a.value - b.value || b.size - a.size);
    this.functions = symbols.filter(({ type }) => type === STT_FUNC);
    let most = 0;
    this.reach = Float64Array.from(symbols, ({ value, size }) => (most = Math.max(most, value + size)));
  }

  at(offset: number): ModuleSymbol[] {
    const found: ModuleSymbol[] = [];
    for (let i = this.behind(offset - 1); i < this.symbols.length && this.symbols[i]!.value === offset; i++)
      found.push(this.symbols[i]!);
    return found;
  }

  covering(offset: number): ModuleSymbol[] {
    const found: ModuleSymbol[] = [];
    // Nothing before a symbol up to which all end in time can cover the offset.
    for (let i = this.behind(offset) - 1; i >= 0 && this.reach[i]! > offset; i--)
      if (this.symbols[i]!.value + this.symbols[i]!.size > offset) found.push(this.symbols[i]!);
    return found;
  }

  /** Index of the first symbol behind an offset. */
  private behind(offset: number): number {
    let low = 0;
    for (let high = this.symbols.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (this.symbols[middle]!.value <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A kernel function's own symbol: not the padding before one (`__pfx_`, `__cfi_`). */
export function isFunction({ type, name }: ModuleSymbol): boolean {
  return type === STT_FUNC && !isPrefixName(name);
}

export function isPrefixName(name: string): boolean {
  return name.startsWith('__pfx_') || name.startsWith('__cfi_');
}
