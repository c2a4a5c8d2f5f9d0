import { STB_LOCAL } from '../../elf';
import { coldParent } from '../../livepatch/symbol-rules';
import type { Side } from '../compare';
import { Trait } from '../scan';
import type { PlainSymbol, UnitName } from './types';

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
    const { listed, listedCount } = table;
    const parents = new Map<number, string>();
    for (let i = 0; i < listedCount; i++) {
      const symbol = listed[i]!;
      if ((table.traits[symbol]! & Trait.COLD) !== 0) parents.set(symbol, coldParent(side.name(symbol))!);
    }
    const wanted = new Set(parents.values());
    // By name, a local's behind its unit: a local of the same unit comes first, else a global.
    const functions = new Map<string, number>();
    for (let i = 0; i < listedCount; i++) {
      const symbol = listed[i]!;
      if (!table.has(symbol, Trait.FUNC) || table.has(symbol, Trait.COLD)) continue;
      const name = side.name(symbol);
      if (!wanted.has(name)) continue;
      const local = table.info[symbol]! >>> 4 === STB_LOCAL;
      functions.set(local ? `${table.file[symbol]}:${name}` : name, table.canonical[symbol]!);
    }
    for (const [cold, name] of parents) {
      const parent = functions.get(`${table.file[cold]}:${name}`) ?? functions.get(name);
      if (parent === undefined) continue;
      this.parents.set(cold, parent);
      const list = this.parts.get(parent);
      if (list === undefined) this.parts.set(parent, [table.canonical[cold]!]);
      else list.push(table.canonical[cold]!);
    }
  }

  parentOf(cold: number): number {
    return this.parents.get(cold) ?? 0;
  }

  of(parent: number): readonly number[] {
    return this.parts.get(parent) ?? [];
  }
}
