import type { SymbolIndex } from '../../elf';
import { Trait, type ScanTable } from '../scan';
import type { Pairing } from './pairing';

/**
 * Pairs symbols that ThinLTO promoted, by the hash of their unit.
 *
 * `helper.llvm.123` gets another hash when its unit is edited, but all promoted names of one unit get the same one. The
 * map of hashes is learnt from promoted twins that are paired already; a hash that maps to two, or that two map to, is not used.
 */
export function pairBySuffix(pairing: Pairing): void {
  const { orig, patched } = pairing;
  const hashes = new Map<number, number>();
  const origins = new Map<number, number>();
  const learn = (map: Map<number, number>, from: number, to: number): void => {
    const known = map.get(from);
    map.set(from, known === undefined || known === to ? to : 0);
  };
  forEachPromoted(orig, (symbol) => {
    const twin = pairing.twin[symbol]!;
    if (twin === 0 || !patched.has(twin, Trait.PROMOTED)) return;
    learn(hashes, orig.suffix[symbol]!, patched.suffix[twin]!);
    learn(origins, patched.suffix[twin]!, orig.suffix[symbol]!);
  });
  // Sole symbols by what PATCHED calls them; 0 where a build has several of one name and hash.
  const ours = new Map<string, number>();
  const theirs = new Map<string, number>();
  const note = (map: Map<string, number>, key: string, symbol: SymbolIndex): unknown =>
    map.set(key, map.has(key) ? 0 : symbol);
  forEachPromoted(orig, (symbol) => {
    const to = hashes.get(orig.suffix[symbol]!) ?? 0;
    if (pairing.twin[symbol] === 0 && to !== 0 && origins.get(to) === orig.suffix[symbol])
      note(ours, keyOf(orig, symbol, to), symbol);
  });
  if (ours.size === 0) return;
  forEachPromoted(patched, (symbol) => {
    if (pairing.origin[symbol] === 0) note(theirs, keyOf(patched, symbol, patched.suffix[symbol]!), symbol);
  });
  for (const [key, symbol] of ours) {
    const other = theirs.get(key) ?? 0;
    if (symbol !== 0 && other !== 0) pairing.pair(symbol, other, 'suffix');
  }
}

/** Base name, type and unit hash. */
function keyOf(table: ScanTable, symbol: SymbolIndex, suffix: number): string {
  return `${table.hash[symbol * 2]}:${table.hash[symbol * 2 + 1]}:${table.info[symbol]! & 0xf}:${suffix}`;
}

function forEachPromoted({ listed, listedCount, traits }: ScanTable, visit: (symbol: SymbolIndex) => void): void {
  const wanted = Trait.PROMOTED | Trait.CORRELATABLE;
  for (let i = 0; i < listedCount; i++) if ((traits[listed[i]!]! & wanted) === wanted) visit(listed[i]!);
}
