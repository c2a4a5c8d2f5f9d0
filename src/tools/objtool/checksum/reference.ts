import { SHF_STRINGS, SHT_NOBITS, STT_SECTION, type ElfObject } from '../../../elf';
import type { Chunks } from './chunks';
import type { ChecksumSymbols } from './symbols';

/** What a reference refers to, in terms that do not move with its neighbours. */
export class References {
  private readonly constants: ReadonlySet<number>;

  constructor(
    private readonly elf: ElfObject,
    private readonly symbols: ChecksumSymbols,
  ) {
    this.constants = new Set(
      Array.from({ length: elf.sectionCount }, (_, i) => i).filter(
        (i) => i > 0 && elf.name(i).startsWith('.rodata.cst'),
      ),
    );
  }

  /** Whether the symbol lies among strings, which count by their text. */
  isString(symbol: number): boolean {
    return (this.elf.sectionFlags(this.symbols.section[symbol]!) & SHF_STRINGS) !== 0;
  }

  /** Whether the symbol is a constant without a name of its own (`.rodata.cst16`), which counts by its value. */
  isConstant(symbol: number): boolean {
    if (!this.constants.has(this.symbols.section[symbol]!)) return false;
    return this.symbols.type(symbol) === STT_SECTION || this.symbols.name(symbol).startsWith('.LC');
  }

  /**
   * The string at `offset` from the symbol, without its end. objtool ends it at the first zero byte also in sections of
   * 2- and 4-byte units, and so sees one character of `L"..."`; here a unit must be zero.
   */
  string(chunks: Chunks, symbol: number, offset: number): void {
    const section = this.symbols.section[symbol]!;
    const bytes = this.elf.content(section);
    const unit = Math.max(1, this.elf.entsize(section));
    const start = this.symbols.value(symbol) + offset;
    if (start < 0 || start >= bytes.length) return;
    let end = start;
    while (end + unit <= bytes.length && bytes.subarray(end, end + unit).some((byte) => byte !== 0)) end += unit;
    chunks.bytes(bytes, start, end);
  }

  /** The constant at `offset` from the symbol. Clang 19 leaves its size 0; then the section's name tells it. */
  constant(chunks: Chunks, symbol: number, offset: number): void {
    const section = this.symbols.section[symbol]!;
    const bytes = this.elf.content(section);
    const start = this.symbols.value(symbol) + offset;
    const size = this.elf.entsize(section) || Number(/\d+/.exec(this.elf.name(section))?.[0] ?? 0);
    if (start >= 0 && start < bytes.length) chunks.bytes(bytes, start, Math.min(start + size, bytes.length));
  }

  /** The symbol that is meant, and the offset from it: by name, else the smallest symbol that covers the place; undefined where none does. */
  named(symbol: number, offset: number): { symbol: number; offset: number } | undefined {
    const { symbols } = this;
    if (symbols.type(symbol) !== STT_SECTION) return { symbol, offset };
    const covering = symbols.covering(symbols.section[symbol]!, offset);
    return covering === 0 ? undefined : { symbol: covering, offset: offset - symbols.value(covering) };
  }

  hasBytes(symbol: number): boolean {
    return this.elf.type(this.symbols.section[symbol]!) !== SHT_NOBITS;
  }
}
