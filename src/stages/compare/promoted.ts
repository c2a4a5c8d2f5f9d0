import type { SymbolIndex } from '../../elf';
import { isCompilerConstant, isUncorrelatedStaticLocal } from '../../kernel/symbol-rules';
import type { Pairing } from '../correlate';
import { Kind, Trait } from '../scan';
import type { Side } from '../side/side';

/**
 * Whether an equal base name is no sign of the same thing: compilers number strings and the initial values of arrays (`.str.3`,
 * `__const.f.x`) anew in every build, and what such a name stands for may have changed while the name did not.
 */
export function isNumberedAnew(base: string): boolean {
  return isCompilerConstant(base) || isUncorrelatedStaticLocal(base) || /\.\d+$/.test(base);
}

const PROMOTED = /^(.+)\.llvm\.(\d+)$/;

/** Base name and unit hash of a promoted name; undefined for others. */
export function promotedName(name: string): { base: string; hash: string } | undefined {
  const found = PROMOTED.exec(name);
  return found === null ? undefined : { base: found[1]!, hash: found[2]! };
}

/**
 * Names that other partitions of a ThinLTO link define: `wrap.llvm.<hash>`, undefined here. An edit of the unit that defines
 * `wrap` gives all its promoted names another hash, so every partition that refers to one of them changes without being edited.
 *
 * Which hash became which is known from the folder's other partitions (`pairing.unitHashes`); of two single objects it is
 * learnt from names that occur under one hash in each build. A hash that could be two, or that two could be, is none's twin.
 */
export class PromotedNames {
  private static readonly known = new WeakMap<Pairing, PromotedNames>();
  private readonly hashes: ReadonlyMap<string, string>;
  private readonly origins: ReadonlyMap<string, string>;
  private readonly byName = new Map<string, number>();

  static of(pairing: Pairing, orig: Side, patched: Side): PromotedNames {
    let names = PromotedNames.known.get(pairing);
    if (names === undefined) PromotedNames.known.set(pairing, (names = new PromotedNames(pairing, orig, patched)));
    return names;
  }

  private constructor(
    private readonly pairing: Pairing,
    private readonly orig: Side,
    private readonly patched: Side,
  ) {
    const ours = promotedOf(orig);
    for (const symbol of ours)
      if (orig.table.kind[symbol] === Kind.UNDEFINED) this.byName.set(orig.name(symbol), symbol);
    this.hashes = pairing.unitHashes ?? learnHashes(soleHashes(orig, ours), soleHashes(patched, promotedOf(patched)));
    this.origins = new Map([...this.hashes].map(([from, to]) => [to, from]));
  }

  /** Whether two undefined symbols are one promoted name, under the hash of each build. */
  same(a: number, b: number): boolean {
    const ours = promotedName(this.orig.name(a));
    const theirs = promotedName(this.patched.name(b));
    if (ours === undefined || theirs === undefined || this.hashes.get(ours.hash) !== theirs.hash) return false;
    if (!isNumberedAnew(ours.base) && !isNumberedAnew(theirs.base)) return ours.base === theirs.base;
    // Only the partition that defines it knows the text.
    const content = this.pairing.constants?.get(this.orig.name(a));
    return content !== undefined && content === this.pairing.constants?.get(this.patched.name(b));
  }

  /** What ORIG's build calls PATCHED's undefined `symbol`, and ORIG's own undefined symbol of that name (0: ORIG does not refer to it). */
  originOf(symbol: SymbolIndex): { name: string; symbol: SymbolIndex } | undefined {
    const promoted = promotedName(this.patched.name(symbol));
    const hash = promoted === undefined || isNumberedAnew(promoted.base) ? undefined : this.origins.get(promoted.hash);
    if (promoted === undefined || hash === undefined) return undefined;
    const name = `${promoted.base}.llvm.${hash}`;
    return { name, symbol: this.byName.get(name) ?? 0 };
  }
}

/**
 * Joins base names with one hash in each build to a map from ORIG's hashes to PATCHED's. Contradictions leave nothing: another
 * unit's static of the same name may have taken the first one's place.
 */
export function learnHashes(
  orig: ReadonlyMap<string, string>,
  patched: ReadonlyMap<string, string>,
): Map<string, string> {
  const hashes = new Map<string, string>();
  const origins = new Map<string, string>();
  const learn = (map: Map<string, string>, from: string, to: string): unknown =>
    map.set(from, map.has(from) && map.get(from) !== to ? '' : to);
  for (const [base, from] of orig) {
    const to = patched.get(base) ?? '';
    if (from === '' || to === '') continue;
    learn(hashes, from, to);
    learn(origins, to, from);
  }
  const [ours, theirs] = [new Set(orig.values()), new Set(patched.values())];
  for (const [from, to] of hashes) {
    // A hash that stands in both builds is that of a unit that was not edited.
    const other = from !== to && (ours.has(to) || theirs.has(from));
    if (to === '' || origins.get(to) !== from || other) hashes.delete(from);
  }
  return hashes;
}

/** The hash of each promoted base name; '' where a build has several. */
function soleHashes(side: Side, symbols: readonly SymbolIndex[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const symbol of symbols) {
    const { base, hash } = promotedName(side.name(symbol))!;
    if (isNumberedAnew(base)) continue;
    found.set(base, (found.get(base) ?? hash) === hash ? hash : '');
  }
  return found;
}

/** Promoted symbols that others can see or define; a local is this object's copy of another unit's constant. */
function promotedOf(side: Side): number[] {
  const { table } = side;
  const found: number[] = [];
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    if (table.isLocal(symbol)) continue;
    if (
      table.has(symbol, Trait.PROMOTED) ||
      (table.kind[symbol] === Kind.UNDEFINED && promotedName(side.name(symbol)) !== undefined)
    )
      found.push(symbol);
  }
  return found;
}
