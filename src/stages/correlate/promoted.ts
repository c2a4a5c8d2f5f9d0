import { Trait, type ScanTable } from '../scan';
import type { Pairing } from './pairing';

const MARK = '.llvm.';

/**
 * Pairs symbols that ThinLTO promoted, by the hash of their unit.
 *
 * `helper.llvm.123` gets another hash when its unit is edited, but all promoted names of one unit get the same one. The
 * map of hashes is learnt from promoted twins that are paired already; a hash that would map to two is not used.
 */
export function pairBySuffix(pairing: Pairing, origName: (symbol: number) => string, patchedName: (symbol: number) => string): void {
  const { orig, patched } = pairing;
  const hashes = new Map<string, string>();
  forEachPromoted(orig, (symbol) => {
    const twin = pairing.twin[symbol]!;
    if (twin === 0 || !patched.has(twin, Trait.PROMOTED)) return;
    const from = suffixOf(origName(symbol));
    const to = suffixOf(patchedName(twin));
    const known = hashes.get(from);
    hashes.set(from, known === undefined || known === to ? to : '');
  });
  const byName = new Map<string, number[]>();
  forEachPromoted(patched, (symbol) => {
    if (pairing.origin[symbol] !== 0 || !patched.has(symbol, Trait.CORRELATABLE)) return;
    const name = patchedName(symbol);
    byName.set(name, [...(byName.get(name) ?? []), symbol]);
  });
  forEachPromoted(orig, (symbol) => {
    if (pairing.twin[symbol] !== 0 || !orig.has(symbol, Trait.CORRELATABLE)) return;
    const name = origName(symbol);
    const to = hashes.get(suffixOf(name));
    if (to === undefined || to === '') return;
    const found = byName.get(name.slice(0, name.indexOf(MARK)) + to) ?? [];
    if (found.length === 1 && pairing.origin[found[0]!] === 0 && (patched.info[found[0]!]! & 0xf) === (orig.info[symbol]! & 0xf)) {
      pairing.pair(symbol, found[0]!, 'suffix');
    }
  });
}

function suffixOf(name: string): string {
  return name.slice(name.indexOf(MARK));
}

function forEachPromoted(table: ScanTable, visit: (symbol: number) => void): void {
  for (let symbol = 1; symbol < table.symbols; symbol++) if (table.has(symbol, Trait.PROMOTED)) visit(symbol);
}
