/** The rules of evidence: each pairs what it can of one group, and says whether that was anything. */
import { Trait, type ScanTable } from '../scan';
import { sameContent, shareUser } from './evidence';
import type { Group } from './groups';
import { mayPair, needsEvidence, unpaired } from './may-pair';
import type { Pairing } from './pairing';
import type { BothUses } from './use-index';

/**
 * Functions and read-only data of equal content are interchangeable: k equal ones pair with k equal ones in any order.
 *
 * Not if the sides hold different numbers of them while other members differ: then one of them changed, and which one only
 * their users can tell. What they refer to by names that prove nothing counts as content, too: by its twin.
 */
export function pairByContent(pairing: Pairing, group: Group, uses: BothUses): boolean {
  const contents = byContent(pairing, unpaired(pairing, group), uses);
  let progress = false;
  for (const equal of contents) {
    const sole = equal.orig.length === 1 && equal.patched.length === 1;
    if (!sole && equal.orig.length !== equal.patched.length && contents.length > 1) continue;
    for (let i = 0; i < Math.min(equal.orig.length, equal.patched.length); i++) {
      if (!mayPair(pairing, equal.orig[i]!, equal.patched[i]!)) continue;
      pairing.pair(equal.orig[i]!, equal.patched[i]!, sole ? 'content' : 'identical');
      progress = true;
    }
  }
  return progress;
}

/** Members of equal contents, known by the first of them. */
interface Content extends Group {
  table: ScanTable;
  symbol: number;
  uses: string;
  /** Another one with the same key. */
  next: Content | undefined;
}

/** The group's members by content, in the order of the first of each. A writable object is equal to none. */
function byContent(pairing: Pairing, group: Group, uses: BothUses): Group[] {
  const all: Content[] = [];
  // By some words of the content, and by all of the uses: 16,000 functions of one name that differ in their uses alone took 20 seconds in one chain.
  const byKey = new Map<number | string, Content>();
  const add = (side: 'orig' | 'patched', symbol: number): void => {
    const table = pairing[side];
    const canonical = table.canonical[symbol]!;
    const isWritable = table.has(symbol, Trait.WRITABLE);
    const own = isWritable ? '' : usesKey(pairing, uses, canonical, side);
    const word = table.digest[canonical * 4]! ^ Math.imul(table.special[canonical * 2]!, 0x9e3779b1) ^ Math.imul(table.size[symbol]!, 0x85ebca6b);
    const key = own === '' ? word : `${own}${word}`;
    const next = isWritable ? undefined : byKey.get(key);
    for (let known = next; known !== undefined; known = known.next) {
      if (known.uses !== own || known.table.size[known.symbol] !== table.size[symbol] || !sameContent(known.table, known.table.canonical[known.symbol]!, table, canonical)) continue;
      known[side].push(symbol);
      return;
    }
    const content: Content = { orig: [], patched: [], table, symbol, uses: own, next };
    content[side].push(symbol);
    all.push(content);
    if (!isWritable) byKey.set(key, content);
  };
  for (const symbol of group.orig) add('orig', symbol);
  for (const symbol of group.patched) add('patched', symbol);
  return all;
}

/** The twins of what a symbol refers to by ambiguous names, as part of its content; unique while one of them has no twin. */
function usesKey({ twin, patched }: Pairing, uses: BothUses, symbol: number, side: 'orig' | 'patched'): string {
  if (uses[side].firstOf(symbol) === 0) return '';
  return uses[side].of(symbol).map(([slot, target]) => {
    if (target === symbol) return `${slot}:self;`;
    if (side === 'patched') return `${slot}:${target};`;
    return twin[target] === 0 ? `${slot}:open ${target};` : `${slot}:${patched.canonical[twin[target]!]};`;
  }).join('');
}

export function pairByUse(pairing: Pairing, group: Group, votes: Map<number, number>): boolean {
  let progress = false;
  const members = new Set(group.patched);
  for (const a of group.orig) {
    const b = votes.get(a) ?? 0;
    if (b === 0 || pairing.twin[a] !== 0 || pairing.origin[b] !== 0 || !members.has(b) || !mayPair(pairing, a, b)) continue;
    pairing.pair(a, b, 'use');
    progress = true;
  }
  return progress;
}

/**
 * Pairs two that share a using function with each other and with nothing else in the group. Only where every user of the
 * group has a twin: a function that was inlined brings its variables to its caller's.
 */
export function pairByUser(pairing: Pairing, group: Group, uses: BothUses): boolean {
  let progress = false;
  const free = unpaired(pairing, group);
  if (free.orig.length * free.patched.length > 10_000) return false;
  const lost = free.orig.some((a) => [...uses.orig.usersOf(a)].some((user) => pairing.twin[user] === 0))
    || free.patched.some((b) => [...uses.patched.usersOf(b)].some((user) => pairing.origin[user] === 0));
  if (lost) return false;
  const links = free.orig.map((a) => free.patched.filter((b) => mayPair(pairing, a, b) && shareUser(pairing, uses.orig, a, uses.patched, b)));
  free.orig.forEach((a, i) => {
    const [b, ...others] = links[i]!;
    if (b === undefined || others.length > 0) return;
    if (links.some((list, j) => j !== i && list.includes(b))) return;
    pairing.pair(a, b, 'user');
    progress = true;
  });
  return progress;
}

/** The last one of a name on both sides. For a doubtful variable that is only a position, so it needs a common user, or none at all. */
export function pairRemaining(pairing: Pairing, group: Group, uses: BothUses): boolean {
  const free = unpaired(pairing, group);
  if (free.orig.length !== 1 || free.patched.length !== 1) return false;
  const [a] = free.orig as [number];
  const [b] = free.patched as [number];
  if (!mayPair(pairing, a, b)) return false;
  const unused = !uses.orig.isUsed(a) && !uses.patched.isUsed(b);
  if (needsEvidence(pairing, a, b) && !unused && !shareUser(pairing, uses.orig, a, uses.patched, b)) return false;
  pairing.pair(a, b, 'remaining');
  return true;
}
