import { STB_LOCAL } from '../../elf';
import { coldParent } from '../../livepatch/symbol-rules';
import type { Side } from '../compare';
import { Trait } from '../scan';
import type { PlainSymbol, UnitName } from './result';

/** The unit of a local symbol; globals have none. */
export function unitOf(side: Side, symbol: number): UnitName {
  const file = side.table.file[symbol]!;
  return file === 0 ? null : side.name(file);
}

export function plain(side: Side, symbol: number): PlainSymbol {
  return { name: side.name(symbol), file: unitOf(side, symbol), section: side.sectionName(symbol) };
}

/** Which function each cold part belongs to. One pass over the functions, and none where there are no cold parts. */
export class ColdParts {
  private readonly parents = new Map<number, number>();
  private readonly parts = new Map<number, number[]>();

  constructor(side: Side) {
    const { table } = side;
    if (table.coldCount === 0) return;
    const wanted = new Map<string, number[]>();
    const { listed, listedCount } = table;
    for (let i = 0; i < listedCount; i++) {
      const symbol = listed[i]!;
      if ((table.traits[symbol]! & Trait.COLD) === 0) continue;
      const parent = coldParent(side.name(symbol))!;
      wanted.set(parent, [...(wanted.get(parent) ?? []), symbol]);
    }
    if (wanted.size === 0) return;
    for (let i = 0; i < listedCount; i++) {
      const symbol = listed[i]!;
      if (!table.has(symbol, Trait.FUNC) || table.has(symbol, Trait.COLD)) continue;
      const local = table.info[symbol]! >>> 4 === STB_LOCAL;
      for (const cold of wanted.get(side.name(symbol)) ?? []) {
        // A local of the same unit, else a global.
        if (local ? table.file[symbol] === table.file[cold] : !this.parents.has(cold)) this.parents.set(cold, table.canonical[symbol]!);
      }
    }
    for (const [cold, parent] of this.parents) this.parts.set(parent, [...(this.parts.get(parent) ?? []), table.canonical[cold]!]);
  }

  parentOf(cold: number): number {
    return this.parents.get(cold) ?? 0;
  }

  of(parent: number): readonly number[] {
    return this.parts.get(parent) ?? [];
  }
}
