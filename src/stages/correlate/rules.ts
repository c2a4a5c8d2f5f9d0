/** The rules of evidence: each pairs what it can of one group, and says whether that was anything. */
import type { SymbolIndex } from '../../elf';
import { Trait, type ScanTable } from '../scan';
import { sameContent, shareUser } from './evidence';
import type { Group } from './groups';
import { mayPair, needsEvidence, unpaired } from './may-pair';
import type { Pairing } from './pairing';
import { doubtsAgree, type BothUses } from './use-index';

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
    // An object's address may be what counts about it (a tag, a key): of several equal ones that are used, their uses tell.
    if (!sole && isUsedObject(pairing, uses, equal)) continue;
    if (!sole && equal.orig.length !== equal.patched.length && contents.length > 1) continue;
    for (let i = 0; i < Math.min(equal.orig.length, equal.patched.length); i++) {
      if (!mayPair(pairing, equal.orig[i]!, equal.patched[i]!)) continue;
      pairing.pair(equal.orig[i]!, equal.patched[i]!, sole ? 'content' : 'identical');
      progress = true;
    }
  }
  return progress;
}

function isUsedObject({ orig, patched }: Pairing, uses: BothUses, group: Group): boolean {
  return (
    group.orig.some((symbol) => orig.has(symbol, Trait.OBJECT) && uses.orig.isUsed(orig.canonical[symbol]!)) ||
    group.patched.some((symbol) => patched.has(symbol, Trait.OBJECT) && uses.patched.isUsed(patched.canonical[symbol]!))
  );
}

/** Members of equal contents, known by the first of them. */
interface Content extends Group {
  table: ScanTable;
  symbol: SymbolIndex;
  uses: string;
  /** Another one with the same key. */
  next: Content | undefined;
}

/** The group's members by content, in the order of the first of each. A writable object is equal to none. */
function byContent(pairing: Pairing, group: Group, uses: BothUses): Group[] {
  const all: Content[] = [];
  // By some words of the content, and by all of the uses: 16,000 functions of one name that differ in their uses alone took 20 seconds in one chain.
  const byKey = new Map<number | string, Content>();
  const add = (side: 'orig' | 'patched', symbol: SymbolIndex): void => {
    const table = pairing[side];
    const canonical = table.canonical[symbol]!;
    const isWritable = table.has(symbol, Trait.WRITABLE);
    const own = isWritable ? '' : usesKey(pairing, uses, canonical, side);
    const word =
      table.digest[canonical * 4]! ^
      Math.imul(table.special[canonical * 2]!, 0x9e3779b1) ^
      Math.imul(table.size[symbol]!, 0x85ebca6b);
    const key = own === '' ? word : `${own}${word}`;
    const next = isWritable ? undefined : byKey.get(key);
    for (let known = next; known !== undefined; known = known.next) {
      if (
        known.uses !== own ||
        known.table.size[known.symbol] !== table.size[symbol] ||
        !sameContent(known.table, known.table.canonical[known.symbol]!, table, canonical)
      )
        continue;
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
function usesKey({ twin, patched }: Pairing, uses: BothUses, symbol: SymbolIndex, side: 'orig' | 'patched'): string {
  if (uses[side].firstOf(symbol) === 0) return '';
  return uses[side]
    .of(symbol)
    .map(([slot, target]) => {
      if (target === symbol) return `${slot}:self;`;
      if (side === 'patched') return `${slot}:${target};`;
      return twin[target] === 0 ? `${slot}:open ${target};` : `${slot}:${patched.canonical[twin[target]!]};`;
    })
    .join('');
}

export function pairByUse(pairing: Pairing, group: Group, votes: Map<number, number>): boolean {
  let progress = false;
  const members = new Set(group.patched);
  for (const a of group.orig) {
    const b = votes.get(a) ?? 0;
    if (b === 0 || pairing.twin[a] !== 0 || pairing.origin[b] !== 0 || !members.has(b)) continue;
    pairing.pair(a, b, 'use');
    progress = true;
  }
  return progress;
}

/**
 * Pairs two that share a using function with each other and with nothing else in the group. Only where every user of the
 * group has a twin: a function that was inlined brings its variables to its caller's. Of several of the name in that function it
 * may be one that was removed and one that was added; then its instructions have to tell (`align`).
 */
export function pairByUser(pairing: Pairing, group: Group, uses: BothUses): boolean {
  let progress = false;
  const free = unpaired(pairing, group);
  if (free.orig.length * free.patched.length > 10_000) return false;
  const lost =
    free.orig.some((a) => [...uses.orig.usersOf(a)].some((user) => pairing.twin[user] === 0)) ||
    free.patched.some((b) => [...uses.patched.usersOf(b)].some((user) => pairing.origin[user] === 0));
  if (lost) return false;
  const links = free.orig.map((a) =>
    free.patched.filter((b) => mayPair(pairing, a, b) && shareUser(pairing, uses.orig, a, uses.patched, b)),
  );
  free.orig.forEach((a, i) => {
    const [b, ...others] = links[i]!;
    if (b === undefined || others.length > 0) return;
    if (links.some((list, j) => j !== i && list.includes(b)) || !isOnlyOne(pairing, uses, a, b)) return;
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
  if (
    needsEvidence(pairing, a, b) &&
    !isUnused(pairing, uses, a, b) &&
    !isDoubtfulAlike(pairing, uses, a, b) &&
    !(shareUser(pairing, uses.orig, a, uses.patched, b) && isOnlyOne(pairing, uses, a, b))
  )
    return false;
  pairing.pair(a, b, 'remaining');
  return true;
}

/** Whether nobody uses either. Uses of a name that is alone are not noted. */
function isUnused({ orig, patched }: Pairing, uses: BothUses, a: number, b: number): boolean {
  return (
    orig.has(a, Trait.AMBIGUOUS) && patched.has(b, Trait.AMBIGUOUS) && !uses.orig.isUsed(a) && !uses.patched.isUsed(b)
  );
}

/**
 * Whether unchanged users use both in the same places, if they use them at all: each use is of the object before, or of this one, in both builds
 * alike. Then it is one variable, or one that nobody uses (`tomoyo_builtin_profile.10`, one byte behind the array that `tomoyo_load_builtin_policy` goes through).
 */
function isDoubtfulAlike({ orig, patched, twin, origin }: Pairing, uses: BothUses, a: number, b: number): boolean {
  if (
    !orig.has(a, Trait.AMBIGUOUS) ||
    !patched.has(b, Trait.AMBIGUOUS) ||
    uses.orig.isSurelyUsed(a) ||
    uses.patched.isSurelyUsed(b)
  )
    return false;
  const ours = uses.orig.doubtful.byTarget.get(a);
  const theirs = uses.patched.doubtful.byTarget.get(b);
  if (ours === undefined || theirs === undefined || ours.size !== theirs.size) return false;
  const alike = (x: number, y: number): boolean =>
    x === a ? y === b : y !== b && (twin[x] === 0 ? origin[y] === 0 : patched.canonical[twin[x]!] === y);
  return [...ours].every((user) => {
    const other = twin[user] === 0 ? 0 : patched.canonical[twin[user]!]!;
    return (
      other !== 0 &&
      theirs.has(other) &&
      sameContent(orig, user, patched, other) &&
      doubtsAgree(uses, user, other, alike)
    );
  });
}

/** Whether the users of either use no other symbol of its name. */
function isOnlyOne({ orig, patched }: Pairing, uses: BothUses, a: number, b: number): boolean {
  const only = (table: ScanTable, index: BothUses['orig'], symbol: SymbolIndex): boolean =>
    !table.has(symbol, Trait.OBJECT) ||
    [...index.usersOf(symbol)].every((user) =>
      index
        .of(user)
        .every(
          ([, target]) =>
            target === symbol ||
            table.hash[target * 2] !== table.hash[symbol * 2] ||
            table.hash[target * 2 + 1] !== table.hash[symbol * 2 + 1],
        ),
    );
  return only(orig, uses.orig, a) && only(patched, uses.patched, b);
}
