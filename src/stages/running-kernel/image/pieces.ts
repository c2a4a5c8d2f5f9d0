import type { SectionIndex, SymbolIndex } from '../../../elf';
import type { Range } from '../../side/range';
import type { Side } from '../../side/side';
import { Trait } from '../../scan/traits';

/** Code that lies somewhere as one: a section, or a function with the padding before it. */
export interface Piece extends Range {
  /** Functions that begin in it, by address. */
  functions: readonly SymbolIndex[];
}

/** A whole section of code; undefined for one without functions. */
export function wholeSection(orig: Side, section: SectionIndex): Piece | undefined {
  const { table, object } = orig;
  const functions: SymbolIndex[] = [];
  for (let i = table.coverStart[section]!; i < table.coverStart[section + 1]!; i++) {
    const symbol = table.covers[i]!;
    if (table.has(symbol, Trait.FUNC) && !table.has(symbol, Trait.PREFIX)) functions.push(symbol);
  }
  return functions.length === 0 ? undefined : { section, start: 0, end: object.size(section), functions };
}

/**
 * The functions of a section one by one, those at one address together. `ld -r` puts sections of one name of several units behind each other
 * (`ovl_do_rename.constprop.0` of two units of overlay.o), which the module's own link had elsewhere.
 */
export function eachFunction({ table }: Side, { section, functions }: Piece): Piece[] {
  const prefixes = new Map<number, number>();
  for (let i = table.coverStart[section]!; i < table.coverStart[section + 1]!; i++) {
    const symbol = table.covers[i]!;
    if (table.has(symbol, Trait.PREFIX)) prefixes.set(table.value[symbol]! + table.size[symbol]!, table.value[symbol]!);
  }
  const pieces = new Map<number, { section: SectionIndex; start: number; end: number; functions: SymbolIndex[] }>();
  for (const symbol of functions) {
    const value = table.value[symbol]!;
    const end = value + table.size[symbol]!;
    const known = pieces.get(value);
    if (known === undefined)
      pieces.set(value, { section, start: prefixes.get(value) ?? value, end, functions: [symbol] });
    else {
      known.functions.push(symbol);
      known.end = Math.max(known.end, end);
    }
  }
  return [...pieces.values()];
}
