/**
 * explain: what differs of one symbol, both sides beside each other, and what is known of a symbol that only one build has.
 */
import type { Offset } from '../../elf';
import { KlpflowError } from '../../diagnostics';
import { unitNameOf } from '../assess/names';
import { candidatesFor, type Candidate } from '../candidates';
import { comparePairs, type Change, type Verdict } from '../compare';
import { contentRows, dataRows } from '../compare/data-rows';
import { EVIDENCE, RULES, originOf, twinOf, type Pairing } from '../correlate';
import { Trait } from '../scan';
import type { Side } from '../side/side';
import { nameOf, namesLike, symbolsBegun, symbolsNamed } from '../symbol-name';
import { siteNotes } from './notes';
import { alignedRows, decoded, rowsOf, type BothNotes, type Row } from './rows';
import { usersNamed, type Users } from './users';

export interface SymbolExplanation {
  name: string;
  patchedName: string;
  kind: 'function' | 'data';
  file: string | null;
  section: string;
  size: { orig: number; patched: number };
  /** Where its code stands in each object, for tools that know places; null where a build lacks it, or its section is one of several of a name. */
  places: { orig: Place | null; patched: Place | null };
  pairedBy: { rule: string; evidence: string } | null;
  /** Of a symbol that is not paired: who could have been its twin, and why it is not. */
  candidates: Candidate[];
  /** Others that the name means, each by a name of its own, with what became of it. */
  others: string[];
  verdict: Pick<Verdict, 'status' | 'class' | 'first'> | null;
  /** All that changed. */
  change: Change | null;
  /** Instructions that differ and those around them. */
  rows: Row[];
  /** How many behind the last row are left out. */
  skipped: number;
  /** What special sections say of the function, of all of it; PATCHED's come along into a livepatch. */
  entries: BothNotes;
  /** What a variable holds, where it is the same in both builds, or one build alone has it. */
  content: Array<{ offset: Offset; text: string }>;
  /** Who uses it in the build that has it, PATCHED's where both have; null where nobody asked. */
  users: Users | null;
}

export interface Place {
  section: string;
  value: Offset;
}

/** Rows of a variable. */
const MOST_ROWS = 1000;
const CONTENT_ROWS = 16;

/**
 * Explains a symbol by its name in ORIG or PATCHED, see symbol-name. Of several it is the one that changed; where that is none, or more
 * than one, they are listed: another one's code would be read as this one's. `context` is the number of instructions around each difference.
 * @throws KlpflowError `symbol-not-found`, `several-symbols`
 */
export function explainSymbol(
  pairing: Pairing,
  orig: Side,
  patched: Side,
  name: string,
  context: number,
): SymbolExplanation {
  const subjects = subjectsNamed(pairing, orig, patched, name);
  if (subjects.length === 0) {
    const like = [...new Set([...namesLike(orig, name), ...namesLike(patched, name)])].slice(0, 8);
    throw new KlpflowError(
      'symbol-not-found',
      `neither object defines a function or variable ${name}${like.length === 0 ? '' : `; there is ${like.join(', ')}`}`,
      { symbol: name },
    );
  }
  const judged = subjects.map((subject) => ({ ...subject, verdict: verdictOf(pairing, orig, patched, subject) }));
  const differing =
    judged.length === 1 ? judged : judged.filter((each) => each.verdict === null || each.verdict.status === 'changed');
  const inOrig = differing.filter((each) => each.a !== 0);
  // One of each build that are no twins: PATCHED's is among the candidates of ORIG's.
  const told = differing.length > 1 && inOrig.length === 1 ? inOrig : differing;
  if (told.length !== 1)
    throw new KlpflowError(
      'several-symbols',
      `${name} is ${judged.map((each) => described(orig, patched, each)).join('; ')}`,
      { symbol: name },
    );
  const others = judged.filter((each) => each !== told[0]).map((each) => described(orig, patched, each));
  return explained(pairing, orig, patched, told[0]!, { others, context, users: true });
}

/** `users`: whether to look for who refers to it, a pass over all relocations. */
export function explained(
  pairing: Pairing,
  orig: Side,
  patched: Side,
  { named, a, b, verdict }: Judged,
  { others, context, users }: { others: string[]; context: number; users: boolean },
): SymbolExplanation {
  const [side, symbol] = a !== 0 ? [orig, a] : [patched, b];
  const isFunction = side.table.has(symbol, Trait.FUNC) || !side.table.has(symbol, Trait.OBJECT);
  const rule = RULES[pairing.rule[named] || pairing.rule[a] || 0]!;
  const paired = a !== 0 && b !== 0;
  const [ours, theirs] = isFunction
    ? [a === 0 ? undefined : decoded(orig, a), b === 0 ? undefined : decoded(patched, b)]
    : [];
  const entries: BothNotes = {
    orig: ours === undefined ? [] : siteNotes(ours),
    patched: theirs === undefined ? [] : siteNotes(theirs),
  };
  const own = ours ?? theirs;
  const { rows, after } =
    ours !== undefined && theirs !== undefined
      ? alignedRows(pairing, ours, theirs, context, verdict?.first?.offset ?? null, entries)
      : own === undefined
        ? { rows: [], after: 0 }
        : rowsOf(own, a !== 0 ? 'orig' : 'patched', context, entries);
  const change =
    !isFunction && verdict !== null && verdict.status !== 'same'
      ? ({ kind: 'data', ...dataRows(orig, a, patched, b, MOST_ROWS) } as const)
      : (verdict?.change ?? null);
  return {
    name: a === 0 ? patched.name(b) : orig.name(named || a),
    patchedName: b === 0 ? '' : patched.name(b),
    kind: isFunction ? 'function' : 'data',
    file: unitNameOf(side, symbol),
    section: side.sectionName(symbol),
    size: { orig: a === 0 ? 0 : orig.table.size[a]!, patched: b === 0 ? 0 : patched.table.size[b]! },
    places: { orig: placeOf(orig, a), patched: placeOf(patched, b) },
    pairedBy: paired ? { rule, evidence: EVIDENCE[rule] } : null,
    candidates: paired ? [] : candidatesFor(pairing, orig, patched, a !== 0 ? 'orig' : 'patched', symbol),
    others,
    verdict: verdict === null ? null : { status: verdict.status, class: verdict.class, first: verdict.first },
    change,
    rows,
    skipped: after,
    entries,
    content: isFunction || change !== null ? [] : contentRows(side, symbol, CONTENT_ROWS),
    users: users && (!isFunction || !paired) ? (b !== 0 ? usersNamed(patched, b) : usersNamed(orig, a)) : null,
  };
}

function placeOf(side: Side, symbol: number): Place | null {
  if (symbol === 0) return null;
  const section = side.sectionName(symbol);
  return side.object.sectionsNamed(section).length === 1 ? { section, value: side.table.value[symbol]! } : null;
}

/** What a name means: a canonical symbol of ORIG and its twin, 0 for none; `named` is the name itself, where ORIG has it. */
interface Subject {
  named: number;
  a: number;
  b: number;
}

export interface Judged extends Subject {
  verdict: Verdict | null;
}

function subjectsNamed(pairing: Pairing, orig: Side, patched: Side, name: string): Subject[] {
  const whole = [symbolsNamed(orig, name), symbolsNamed(patched, name)] as const;
  const [ours, theirs] = whole.some((found) => found.length > 0)
    ? whole
    : [symbolsBegun(orig, name), symbolsBegun(patched, name)];
  const subjects = ours.map((named): Subject => {
    const a = orig.table.canonical[named]!;
    return { named, a, b: twinOf(pairing, a) };
  });
  for (const there of theirs) {
    const b = patched.table.canonical[there]!;
    const a = originOf(pairing, b);
    if (a === 0) subjects.push({ named: 0, a, b });
    else if (!subjects.some((subject) => subject.b === b)) subjects.push({ named: 0, a, b });
  }
  return subjects.filter(({ a, b }, i) => subjects.findIndex((other) => other.a === a && other.b === b) === i);
}

export function verdictOf(pairing: Pairing, orig: Side, patched: Side, { a, b }: Subject): Verdict | null {
  return a !== 0 && b !== 0 ? comparePairs(pairing, orig, patched, Uint32Array.of(a, b), true)[0]! : null;
}

/** One of several: its name that means no other, and what became of it. */
function described(orig: Side, patched: Side, { named, a, b, verdict }: Judged): string {
  const name = a === 0 ? nameOf(patched, b) : nameOf(orig, named || a);
  return `${name} (${verdict?.status ?? (a === 0 ? 'in PATCHED only' : 'in ORIG only')})`;
}
