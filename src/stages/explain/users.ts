import type { SymbolIndex } from '../../elf';
import { Trait } from '../scan';
import { usersOf } from '../assess/references';
import type { Side } from '../side/side';
import { nameOf } from '../symbol-name';

/** Names that are listed; `count` counts all. */
const MOST = 20;

export interface Users {
  names: string[];
  count: number;
}

/** Who refers to a symbol, functions first. */
export function usersNamed(side: Side, symbol: SymbolIndex): Users {
  const users = new Set((usersOf(side, new Set([symbol])).get(symbol) ?? []).map((user) => user.symbol));
  users.delete(0);
  users.delete(symbol);
  const sorted = [...users].sort(
    (a, b) => Number(side.table.has(a, Trait.OBJECT)) - Number(side.table.has(b, Trait.OBJECT)) || a - b,
  );
  return { names: sorted.slice(0, MOST).map((user) => nameOf(side, user)), count: sorted.length };
}
