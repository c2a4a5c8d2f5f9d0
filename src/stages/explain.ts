/**
 * explain: the first difference of one symbol, both sides beside each other.
 */
import { KlpflowError } from '../diagnostics';
import { candidatesFor, type Candidate } from './candidates';
import { EVIDENCE, RULES, originOf, twinOf, type Pairing } from './correlate';
import { comparePairs, type Verdict } from './compare';
import type { Side } from './side/side';
import { decodeFunction, type Decoded } from './side/decoded';
import { describe } from './compare/functions';
import { unitNameOf } from './assess/names';
import { Trait } from './scan';
import { nameOf, symbolsNamed } from './symbol-name';

export interface Row {
  orig: { offset: number; text: string } | null;
  patched: { offset: number; text: string } | null;
  same: boolean;
}

export interface SymbolExplanation {
  name: string;
  patchedName: string;
  kind: 'function' | 'data';
  file: string | null;
  section: string;
  size: { orig: number; patched: number };
  pairedBy: { rule: string; evidence: string } | null;
  /** Of a symbol that is not paired: who could have been its twin, and why it is not. */
  candidates: Candidate[];
  /** Others that the name means, each by a name of its own, with what became of it. */
  others: string[];
  verdict: Pick<Verdict, 'status' | 'class' | 'first'> | null;
  rows: Row[];
}

/**
 * Explains a symbol by its name in ORIG or PATCHED, see symbol-name. Of several it is the one that changed; where that is none, or more
 * than one, they are listed: another one's code would be read as this one's. `context` is the number of instructions around the first difference.
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
  if (subjects.length === 0)
    throw new KlpflowError('symbol-not-found', `neither object defines a function or variable ${name}`, {
      symbol: name,
    });
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
  const { named, a, b, verdict } = told[0]!;
  const side = a !== 0 ? orig : patched;
  const symbol = a !== 0 ? a : b;
  const isFunction = side.table.has(symbol, Trait.FUNC) || !side.table.has(symbol, Trait.OBJECT);
  const rule = RULES[pairing.rule[named] || pairing.rule[a] || 0]!;
  const paired = a !== 0 && b !== 0;
  return {
    name: a === 0 ? patched.name(b) : orig.name(named || a),
    patchedName: b === 0 ? '' : patched.name(b),
    kind: isFunction ? 'function' : 'data',
    file: unitNameOf(side, symbol),
    section: side.sectionName(symbol),
    size: { orig: a === 0 ? 0 : orig.table.size[a]!, patched: b === 0 ? 0 : patched.table.size[b]! },
    pairedBy: paired ? { rule, evidence: EVIDENCE[rule] } : null,
    candidates: paired ? [] : candidatesFor(pairing, orig, patched, a !== 0 ? 'orig' : 'patched', symbol),
    others: judged.filter((each) => each !== told[0]).map((each) => described(orig, patched, each)),
    verdict: verdict === null ? null : { status: verdict.status, class: verdict.class, first: verdict.first },
    rows: isFunction ? rows(orig, a, patched, b, verdict, context) : [],
  };
}

/** What a name means: a canonical symbol of ORIG and its twin, 0 for none; `named` is the name itself, where ORIG has it. */
interface Subject {
  named: number;
  a: number;
  b: number;
}

function subjectsNamed(pairing: Pairing, orig: Side, patched: Side, name: string): Subject[] {
  const subjects = symbolsNamed(orig, name).map((named): Subject => {
    const a = orig.table.canonical[named]!;
    return { named, a, b: twinOf(pairing, a) };
  });
  for (const there of symbolsNamed(patched, name)) {
    const b = patched.table.canonical[there]!;
    const a = originOf(pairing, b);
    if (a === 0) subjects.push({ named: 0, a, b });
    else if (!subjects.some((subject) => subject.b === b)) subjects.push({ named: 0, a, b });
  }
  return subjects.filter(({ a, b }, i) => subjects.findIndex((other) => other.a === a && other.b === b) === i);
}

function verdictOf(pairing: Pairing, orig: Side, patched: Side, { a, b }: Subject): Verdict | null {
  return a !== 0 && b !== 0 ? comparePairs(pairing, orig, patched, Uint32Array.of(a, b))[0]! : null;
}

/** One of several: its name that means no other, and what became of it. */
function described(orig: Side, patched: Side, { named, a, b, verdict }: Subject & { verdict: Verdict | null }): string {
  const name = a === 0 ? nameOf(patched, b) : nameOf(orig, named || a);
  return `${name} (${verdict?.status ?? (a === 0 ? 'in PATCHED only' : 'in ORIG only')})`;
}

/** Instructions around the first difference, in step up to it. */
function rows(orig: Side, a: number, patched: Side, b: number, verdict: Verdict | null, context: number): Row[] {
  const disassembler = (a !== 0 ? orig : patched).arch.disassembler();
  const da = a === 0 ? undefined : decodeFunction(orig, a, disassembler);
  const db = b === 0 ? undefined : decodeFunction(patched, b, disassembler);
  const offset = verdict?.first?.offset ?? 0;
  const at = Math.max(
    0,
    (da ?? db)!.instructions.findIndex((instruction) => instruction.offset + instruction.length > offset),
  );
  const one = (decoded: Decoded | undefined, index: number): Row['orig'] => {
    const instruction = decoded?.instructions[index];
    return instruction === undefined
      ? null
      : { offset: instruction.offset, text: describe(decoded!, index, disassembler) };
  };
  const list: Row[] = [];
  for (let i = Math.max(0, at - context); i <= at + context; i++) {
    const x = one(da, i);
    const y = one(db, i);
    if (x === null && y === null) break;
    list.push({ orig: x, patched: y, same: verdict?.first == null || i < at || (x?.text === y?.text && i !== at) });
  }
  return list;
}
