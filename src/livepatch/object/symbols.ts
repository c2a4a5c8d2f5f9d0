import { STT_SECTION } from '../../elf';
import type { OutputSection } from './section';
import type { OutputSymbol } from './section';

/** The symbols of a file that is put together. */
export class OutputSymbols {
  readonly symbols: OutputSymbol[] = [];
  private readonly sectionSymbols = new Map<OutputSection, OutputSymbol>();

  /** Adds a symbol. */
  define(symbol: OutputSymbol): OutputSymbol {
    this.symbols.push(symbol);
    return symbol;
  }

  /** The symbol that stands for a section's start, made at the first call: what strings and other nameless data are referred to by. */
  sectionSymbol(section: OutputSection): OutputSymbol {
    let symbol = this.sectionSymbols.get(section);
    if (symbol === undefined) {
      symbol = this.define({ name: '', info: STT_SECTION, section, value: 0, size: 0 });
      this.sectionSymbols.set(section, symbol);
    }
    return symbol;
  }
}
