import type { Side } from '../side/side';
import { isTwin } from '../correlate/same-symbol';
import type { Pairing } from '../correlate';
import { Trait } from '../scan';

/**
 * Name of the source's function: compilers put what they made of it behind a dot (`f.constprop.0`, `f.part.0`, `f.isra.0.cold`,
 * `f.llvm.123`), which C's names do not hold.
 */
export function sourceName(name: string): string {
  const dot = name.indexOf('.', 1);
  return dot < 0 ? name : name.slice(0, dot);
}

/** Whether a function of ORIG and one of PATCHED come from one function of the source. */
export function sameSource(pairing: Pairing, orig: Side, patched: Side, a: number, b: number): boolean {
  if (isTwin(pairing, a, b)) return true;
  if (orig.table.has(a, Trait.OBJECT) || patched.table.has(b, Trait.OBJECT)) return false;
  const unitA = orig.table.file[a]!;
  const unitB = patched.table.file[b]!;
  // A global belongs to no unit that ELF tells; a piece of it is a local.
  if (unitA !== 0 && unitB !== 0 && !pairing.sameUnit(unitA, unitB)) return false;
  return sourceName(orig.name(a)) === sourceName(patched.name(b));
}

/** Functions by their source's name, of one side. */
export class SourceIndex {
  private readonly byName = new Map<string, number[]>();

  constructor(side: Side) {
    const { listed, listedCount, traits, canonical } = side.table;
    for (let i = 0; i < listedCount; i++) {
      const symbol = listed[i]!;
      if ((traits[symbol]! & Trait.FUNC) === 0 || canonical[symbol] !== symbol) continue;
      const name = sourceName(side.name(symbol));
      const list = this.byName.get(name);
      if (list === undefined) this.byName.set(name, [symbol]);
      else list.push(symbol);
    }
  }

  of(name: string): readonly number[] {
    return this.byName.get(name) ?? [];
  }
}
