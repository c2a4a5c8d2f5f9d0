import { Trait, type ScanTable } from '../scan';
import type { Pairing } from './pairing';

/**
 * Pairs symbols that ThinLTO promoted, by the hash of their unit.
 *
 * `helper.llvm.123` gets another hash when its unit is edited, but all promoted names of one unit get the same one. The
 * map of hashes is learnt from promoted twins that are paired already; a hash that would map to two is not used.
 */
export function pairBySuffix(pairing: Pairing): void {
  const { orig, patched } = pairing;
  const hashes = new Map<number, number>();
  forEachPromoted(orig, (symbol) => {
    const twin = pairing.twin[symbol]!;
    if (twin === 0 || !patched.has(twin, Trait.PROMOTED)) return;
    const from = orig.suffix[symbol]!;
    const to = patched.suffix[twin]!;
    const known = hashes.get(from);
    hashes.set(from, known === undefined || known === to ? to : 0);
  });
  const free = new Map<string, number[]>();
  forEachPromoted(patched, (symbol) => {
    if (pairing.origin[symbol] !== 0) return;
    const key = keyOf(patched, symbol, patched.suffix[symbol]!);
    free.set(key, [...(free.get(key) ?? []), symbol]);
  });
  forEachPromoted(orig, (symbol) => {
    if (pairing.twin[symbol] !== 0) return;
    const to = hashes.get(orig.suffix[symbol]!) ?? 0;
    const [found, ...others] = (free.get(keyOf(orig, symbol, to)) ?? []).filter((candidate) => pairing.origin[candidate] === 0);
    if (to !== 0 && found !== undefined && others.length === 0) pairing.pair(symbol, found, 'suffix');
  });
}

/** Base name, type and unit hash. */
function keyOf(table: ScanTable, symbol: number, suffix: number): string {
  return `${table.hash[symbol * 2]}:${table.hash[symbol * 2 + 1]}:${table.info[symbol]! & 0xf}:${suffix}`;
}

function forEachPromoted({ listed, listedCount, traits }: ScanTable, visit: (symbol: number) => void): void {
  const wanted = Trait.PROMOTED | Trait.CORRELATABLE;
  for (let i = 0; i < listedCount; i++) if ((traits[listed[i]!]! & wanted) === wanted) visit(listed[i]!);
}
