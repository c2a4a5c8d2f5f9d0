import { append } from '../../lists';
import { STT_FILE, type SymbolIndex } from '../../elf';
import type { Pairing } from '../correlate';
import { Trait } from '../scan';
import { decodeFunction } from '../side/decoded';
import { entriesOf, lineOf } from './entries';
import { fileNamesOf } from './line';
import type { Side } from '../side/side';
import { argumentOf, isToldLine } from './told-line';
import type { Difference } from './verdict';

/** A source line that a record of both builds holds. */
export interface LineMove {
  orig: number;
  patched: number;
}

/** The first line, of an entry of `__bug_table`, in which two functions differ that differ in nothing else; null where none does. */
export function firstMovedLine(a: Side, b: Side, symbolA: SymbolIndex, symbolB: SymbolIndex): Difference | null {
  if (a.table.lines[symbolA] === b.table.lines[symbolB]) return null;
  const theirs = entriesOf(b, symbolB);
  for (const entry of entriesOf(a, symbolA)) {
    const [x, y] = [lineOf(a, entry), theirs.filter(({ key }) => key === entry.key).map((other) => lineOf(b, other))];
    if (x !== undefined && y.length > 0 && !y.includes(x))
      return {
        offset: entry.site,
        orig: `${entry.table.rules.name}: line ${x}`,
        patched: `${entry.table.rules.name}: line ${y[0]}`,
      };
  }
  return { offset: 0, orig: 'a source line', patched: 'another source line' };
}

/** Where source lines moved to, as records say: entries of `__bug_table`, and arguments that can be nothing but a line. */
export class LineMoves {
  private static readonly known = new WeakMap<Pairing, LineMoves>();
  private readonly byUnit = new Map<number, LineMove[]>();

  static of(pairing: Pairing, orig: Side, patched: Side): LineMoves {
    let moves = LineMoves.known.get(pairing);
    if (moves === undefined) LineMoves.known.set(pairing, (moves = new LineMoves(pairing, orig, patched)));
    return moves;
  }

  private constructor(
    private readonly pairing: Pairing,
    private readonly orig: Side,
    private readonly patched: Side,
  ) {}

  /** Lines of the entries that describe the same places of two functions. */
  inFunction(a: number, b: number): LineMove[] {
    if (a === 0 || b === 0) return [];
    const theirs = entriesOf(this.patched, b);
    return entriesOf(this.orig, a).flatMap((entry) => {
      const orig = lineOf(this.orig, entry);
      const others = theirs.filter(({ site, table }) => site === entry.site && table.special === entry.table.special);
      const patched = others.length === 1 ? lineOf(this.patched, others[0]!) : undefined;
      return orig === undefined || patched === undefined ? [] : [{ orig, patched }];
    });
  }

  /** Whether the records nearest to a line of a function's unit, before and behind it, moved as far as from `orig` to `patched`. */
  surround(symbol: SymbolIndex, orig: number, patched: number): boolean {
    const moves = this.inUnit(symbol);
    const before = moves.filter((move) => move.orig <= orig).sort((x, y) => y.orig - x.orig)[0];
    const behind = moves.filter((move) => move.orig >= orig).sort((x, y) => x.orig - y.orig)[0];
    return (
      before !== undefined &&
      behind !== undefined &&
      [before, behind].every((move) => move.patched - move.orig === patched - orig)
    );
  }

  /** All of a function's unit. Which one a global belongs to is known where there is one only; else its own entries are all. */
  private inUnit(symbol: SymbolIndex): LineMove[] {
    const {
      orig: { table },
    } = this;
    const sole = this.orig.allUnits().size === 1;
    const file = table.file[symbol]!;
    const key = sole ? 0 : file !== 0 ? file : -symbol;
    let moves = this.byUnit.get(key);
    if (moves === undefined)
      this.byUnit.set(
        key,
        (moves = this.collect(
          sole
            ? (one) => table.typeOf(one) !== STT_FILE
            : file !== 0
              ? (one) => table.file[one] === file
              : (one) => one === symbol,
        )),
      );
    return moves;
  }

  private collect(belongs: (symbol: SymbolIndex) => boolean): LineMove[] {
    const {
      orig,
      patched,
      pairing: { twin },
    } = this;
    const { listed, listedCount, canonical } = orig.table;
    const found: LineMove[] = [];
    for (let i = 0; i < listedCount; i++) {
      const a = listed[i]!;
      if (
        twin[a] === 0 ||
        canonical[a] !== a ||
        !orig.table.has(a, Trait.CONTENT) ||
        orig.table.has(a, Trait.OBJECT) ||
        !belongs(a)
      )
        continue;
      const b = patched.table.canonical[twin[a]!]!;
      append(found, this.inFunction(a, b));
      append(found, this.inCalls(a, b));
    }
    return found;
  }

  /** Lines that two functions hand to functions or formats that take nothing else, as far as they are decoded alike. */
  private inCalls(a: number, b: number): LineMove[] {
    const { orig, patched } = this;
    const [x, y] = [orig.bytes(a), patched.bytes(b)];
    if (x.length !== y.length || Buffer.compare(x, y) === 0) return [];
    const [ours, theirs] = [
      decodeFunction(orig, a, orig.disassembler),
      decodeFunction(patched, b, patched.disassembler),
    ];
    const units = fileNamesOf(orig, a);
    const found: LineMove[] = [];
    for (
      let i = 0;
      i < ours.instructions.length && ours.instructions[i]!.offset === theirs.instructions[i]?.offset;
      i++
    ) {
      const [line, other] = [argumentOf(ours, i, units), argumentOf(theirs, i, units)];
      if (line !== undefined && other !== undefined && isToldLine(line) && isToldLine(other))
        found.push({ orig: line.value, patched: other.value });
    }
    return found;
  }
}
