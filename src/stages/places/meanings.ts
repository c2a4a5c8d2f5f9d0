import { R_OFFSET, R_SYM, R_TYPE, RELA_WORDS, u64, type SymbolIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import { Kind } from '../scan';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import { onlyShared } from './compared';
import { readingsAccessed, usesIn, type FieldUses } from './evidence';
import { lastGuess } from './guess';
import { offsetReached } from './place-of';
import { readingsAt } from './readings';
import type { Reading } from '../side/reading';
import { agreeWithTwin, type Twin } from './twin';
import { unitOf } from './unit';
import type { Doubt } from './doubt';

/** What the references of one function or object mean, decided together: each is evidence for the others. */
export class RangeMeanings {
  private readonly references: Doubt[] = [];
  private readonly uses: ReadonlyMap<number, FieldUses>;
  private byField: Map<number, Doubt> | undefined;

  /** @param symbol the canonical symbol of the range, 0 for none */
  constructor(
    readonly side: Side,
    readonly symbol: SymbolIndex,
    readonly range: Range,
  ) {
    const relocated = this.collect();
    this.uses = this.isCode && symbol !== 0 && this.open.length > 0 ? usesIn(side, symbol, relocated) : new Map();
    this.decide(this.references, false);
  }

  /** What is decided without the other build, to be evidence for it. */
  get own(): ReadonlyArray<Readonly<Doubt>> {
    return this.references;
  }

  at(field: number): Readonly<Doubt> | undefined {
    this.byField ??= this.settle();
    return this.byField.get(field);
  }

  /** Whether memory is accessed from a place by an index that may be anything. */
  isIndexed(field: number): boolean {
    return (
      this.uses.get(field)?.accessed.some(([low, high]) => !Number.isFinite(low) && !Number.isFinite(high)) === true
    );
  }

  private get isCode(): boolean {
    return (this.side.table.sectionClass[this.range.section]! & SectionClass.EXEC) !== 0;
  }

  private get open(): Doubt[] {
    return this.references.filter(({ decided }) => decided === undefined);
  }

  /** @returns the symbols of relocations, by field */
  private collect(): ReadonlyMap<number, number> {
    const { side, range } = this;
    const { table, arch } = side;
    const relocated = new Map<number, number>();
    let unit: number | undefined;
    const { words, at: first, stop } = side.identity.relas.select(range.section, range.start, range.end);
    for (let at = first; at < stop; at += RELA_WORDS) {
      const offset = u64(words, at + R_OFFSET);
      if (offset < range.start || offset >= range.end || words[at + R_TYPE] === arch.none) continue;
      const field = offset - range.start;
      const symbol = words[at + R_SYM]!;
      relocated.set(field, symbol < table.symbols ? symbol : 0);
      if (symbol >= table.symbols || table.section[symbol]! >= table.sections) continue;
      const kind = table.kind[symbol]!;
      if (kind === Kind.PLACE) {
        const readings = readingsAt(
          side,
          symbol,
          table.section[symbol]!,
          offsetReached(side, range, words, at),
          () => (unit ??= unitOf(side, range)),
        );
        if (readings.list.length > 0)
          this.references.push({
            ...readings,
            field,
            decided: readings.list.length === 1 && !readings.unusual ? readings.list[0] : undefined,
          });
      } else if (kind === Kind.NAMED || kind === Kind.CONTENT || kind === Kind.PRIVATE) {
        const reading = {
          symbol: table.canonical[symbol]!,
          delta: offsetReached(side, range, words, at) - table.value[symbol]!,
        };
        this.references.push({
          list: [reading],
          between: false,
          unusual: false,
          foreign: false,
          field,
          decided: reading,
        });
      }
    }
    return relocated;
  }

  private settle(): Map<number, Doubt> {
    const settled = this.references.map((reference) => ({ ...reference }));
    const known = new Map(settled.map((reference) => [reference.field, reference]));
    if (this.open.length === 0) return known;
    const twin = this.twin();
    if (twin !== undefined) agreeWithTwin(this, twin, settled);
    this.decide(settled, false);
    // What lies in an object and is hardly meant from the one behind it is evidence for what it is compared with.
    for (const reference of settled)
      if (
        reference.decided === undefined &&
        reference.doubtful !== true &&
        !reference.between &&
        !reference.unusual &&
        reference.list.slice(1).every(({ delta }) => delta < 0)
      )
        reference.decided = reference.list[0];
    this.decide(settled, false);
    this.decide(settled, true);
    for (const reference of settled)
      if (reference.decided === undefined)
        reference.decided = lastGuess(this.side, this.isCode, reference, settled, this.uses.get(reference.field));
    return known;
  }

  private twin(): Twin | undefined {
    const { counterpart } = this.side;
    const twin = counterpart === undefined || this.symbol === 0 ? 0 : counterpart.twinOf(this.symbol);
    if (counterpart === undefined || twin === 0) return undefined;
    const range = counterpart.side.rangeOf(twin);
    return { counterpart, range, references: meaningsOf(counterpart.side, range, range.start).own };
  }

  /** Decides by use what use tells, until that tells nothing more: what one reference means is evidence for what it is compared with. */
  private decide(references: readonly Doubt[], loosely: boolean): void {
    if (references.every(({ decided }) => decided !== undefined)) return;
    const byField = new Map(references.map((reference) => [reference.field, reference]));
    for (let progress = true; progress; ) {
      progress = false;
      for (const reference of references) {
        if (reference.decided !== undefined) continue;
        const [only, ...others] = this.readingsUsed(reference, byField, loosely);
        if (only === undefined || others.length > 0) continue;
        reference.decided = only;
        progress = true;
      }
    }
  }

  /** The readings that some use of the reference speaks for. */
  private readingsUsed({ field, list }: Doubt, byField: ReadonlyMap<number, Doubt>, loosely: boolean): Reading[] {
    const uses = this.uses.get(field);
    if (uses === undefined) return [];
    const found = new Set<Reading>();
    for (const distance of uses.accessed)
      for (const reading of readingsAccessed(this.side, list, distance, loosely)) found.add(reading);
    for (const others of uses.compared) {
      if (others === undefined || others.length === 0) continue;
      const only = onlyShared(
        this.side,
        list,
        others.map((other) => byField.get(other)),
      );
      if (only !== undefined) found.add(only);
    }
    return [...found];
  }
}

const known = new WeakMap<Side, Map<string, RangeMeanings>>();

/** Forgets what was decided, as there is more evidence now. */
export function forget(side: Side): void {
  known.delete(side);
}

/** What the references of the function or object around a place mean; of a range without a symbol, each by itself. */
export function meaningsOf(side: Side, { section, start, end }: Range, field: number): RangeMeanings {
  const symbol = side.identity.coverAt(section, field);
  const range = symbol === 0 ? { section, start, end } : side.rangeOf(symbol);
  let meanings = known.get(side);
  if (meanings === undefined) known.set(side, (meanings = new Map()));
  const key = `${range.section}:${range.start}:${range.end}`;
  let found = meanings.get(key);
  if (found === undefined) meanings.set(key, (found = new RangeMeanings(side, symbol, range)));
  return found;
}
