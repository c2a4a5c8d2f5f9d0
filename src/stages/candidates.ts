/** Why a symbol has no twin: who could have been it, and what each rule has against that. */
import type { SymbolIndex } from '../elf';
import { BothUsers, Users } from './align/users';
import { AlignedUses, shortOf } from './align/evidence';
import { MARGIN } from './align/shortfall';
import { RULES, mayPair, sameContent, type Pairing } from './correlate';
import type { Side } from './side/side';
import { Trait, type ScanTable } from './scan';
import { nameOf } from './symbol-name';

export interface Candidate {
  /** As `--twin` takes it. */
  name: string;
  size: number;
  section: string;
  /** What each rule says. */
  declined: Array<{ rule: string; why: string }>;
}

/** More of one name say nothing that these do not. */
const MOST = 16;

/** The other build's symbols of a symbol's base name. `side` is the build that the symbol is of. */
export function candidatesFor(
  pairing: Pairing,
  orig: Side,
  patched: Side,
  side: 'orig' | 'patched',
  symbol: SymbolIndex,
): Candidate[] {
  const [own, other] = side === 'orig' ? [orig, patched] : [patched, orig];
  const ours = namesakes(own.table, own.table, symbol);
  const all = namesakes(other.table, own.table, symbol);
  const found = all.slice(0, MOST);
  const [group, others] = side === 'orig' ? [[symbol], found] : [found, [symbol]];
  const users = new BothUsers(pairing, new Users(orig, group), new Users(patched, others));
  const aligned = new AlignedUses(pairing, orig, patched);
  return found.map((candidate) => {
    const [a, b] = side === 'orig' ? [symbol, candidate] : [candidate, symbol];
    return {
      name: nameOf(other, candidate),
      size: other.table.size[candidate]!,
      section: other.sectionName(candidate),
      declined: declined(pairing, orig, patched, {
        a,
        b,
        taken: side === 'orig' ? takenBy(pairing, orig, b, 'origin') : takenBy(pairing, patched, a, 'twin'),
        counts: side === 'orig' ? [ours.length, all.length] : [all.length, ours.length],
        users,
        aligned,
        group: { orig: group, patched: others },
      }),
    };
  });
}

interface Question {
  a: number;
  b: number;
  /** The candidate's twin in words, and the rule that paired it; undefined where it has none. */
  taken: string | undefined;
  counts: number[];
  users: BothUsers;
  aligned: AlignedUses;
  group: { orig: number[]; patched: number[] };
}

function declined(
  pairing: Pairing,
  orig: Side,
  patched: Side,
  { a, b, taken, counts, users, aligned, group }: Question,
): Candidate['declined'] {
  const said: Candidate['declined'] = [];
  const say = (rule: string, why: string): unknown => said.push({ rule, why });
  if (taken !== undefined) say('paired', `it is ${taken}`);
  const [ours, theirs] = counts as [number, number];
  const writable = orig.table.has(a, Trait.WRITABLE) || patched.table.has(b, Trait.WRITABLE);
  const object = orig.table.has(a, Trait.OBJECT);
  if (object !== patched.table.has(b, Trait.OBJECT)) {
    say('name', 'one is a function, the other a variable');
    return said;
  }
  const numbered = orig.table.has(a, Trait.NUMBERED) || patched.table.has(b, Trait.NUMBERED);
  say(
    'name',
    ours !== 1 || theirs !== 1
      ? `${ours} of the name in ORIG, ${theirs} in PATCHED`
      : numbered
        ? "the number in the name is the build's own"
        : 'the only one of the name on both sides, in another scope',
  );
  if (!mayPair(pairing, a, b)) say('unit', 'their units are not twins');
  else if (pairing.undecidedUnits.has(patched.table.file[b]!))
    say('unit', 'several units have this name, and nothing tells which is which');
  if (object && orig.table.size[a] !== patched.table.size[b])
    say('size', `${orig.table.size[a]} bytes in ORIG, ${patched.table.size[b]} in PATCHED`);
  if (object && writable) say('content', 'a variable that is written to is another one, whatever its initial value');
  else
    say(
      'content',
      sameContent(pairing.orig, a, pairing.patched, b)
        ? 'equal contents, as others of the name have'
        : 'their contents differ',
    );
  const links = users.linksOf(a, b);
  const name = (side: Side, user: number): string => side.name(user);
  if (links.length === 0) {
    const list = (side: Side, symbols: ReadonlyArray<{ user: number }>): string =>
      [...new Set(symbols.map(({ user }) => name(side, user)))].slice(0, MOST).join(', ') || 'nothing known';
    say(
      'user',
      `used by ${list(orig, users.of('orig', a).list)} in ORIG and ${list(patched, users.of('patched', b).list)} in PATCHED: no common function`,
    );
    return said;
  }
  say(
    'user',
    `${[...new Set(links.map(([user]) => name(orig, user)))].slice(0, MOST).join(', ')} uses both, and others of the name, too, or is not certain to`,
  );
  for (const [user, other] of links.slice(0, MOST)) {
    const reading = aligned.between(user, other, group).get(a)?.get(b);
    if (reading === undefined)
      say(
        'aligned',
        `no instruction of ${name(orig, user)} that uses the one goes with one of ${name(patched, other)} that uses the other`,
      );
    else if (shortOf(reading) > 0)
      say(
        'aligned',
        `the best reading of ${name(orig, user)} in which they are one is worse than the best of all by ${shortOf(reading)}`,
      );
    else
      say(
        'aligned',
        `${name(orig, user)} can be read so that they are one, and in another way that is not worse by ${MARGIN}`,
      );
  }
  return said;
}

/** The twin of a candidate in words; `side` is where that is. */
function takenBy(pairing: Pairing, side: Side, candidate: number, column: 'twin' | 'origin'): string | undefined {
  const partner = pairing[column][candidate]!;
  return partner === 0
    ? undefined
    : `${nameOf(side, partner)}'s twin (paired by ${RULES[pairing.rule[column === 'origin' ? partner : candidate]!]!})`;
}

/** Canonical symbols of the base name that `symbol` of another table has. */
function namesakes(table: ScanTable, of: ScanTable, symbol: SymbolIndex): number[] {
  const { listed, listedCount, hash, canonical } = table;
  const found: number[] = [];
  for (let i = 0; i < listedCount; i++) {
    const other = listed[i]!;
    if (
      table.has(other, Trait.CORRELATABLE) &&
      canonical[other] === other &&
      hash[other * 2] === of.hash[symbol * 2] &&
      hash[other * 2 + 1] === of.hash[symbol * 2 + 1]
    )
      found.push(other);
  }
  return found;
}
