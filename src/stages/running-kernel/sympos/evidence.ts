import type { SymbolIndex } from '../../../elf';

/**
 * What can tell which of several equally named symbols of the running kernel is ORIG's. Kinds of evidence are asked in an
 * order of strength; the first that knows decides.
 */
export interface Evidence {
  /** One phrase for the report. */
  readonly text: string;

  /**
   * The listing's entry that is ORIG's `symbol`; undefined where this evidence does not know, `contradicts` where ORIG and the
   * listing cannot be of one kernel.
   * `entries` are the listing's of that name by address, `namesakes` ORIG's in table order, `symbol` among them.
   */
  entryOf(
    symbol: SymbolIndex,
    namesakes: readonly SymbolIndex[],
    entries: readonly number[],
  ): number | 'contradicts' | undefined;
}
