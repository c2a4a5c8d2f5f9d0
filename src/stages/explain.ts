/**
 * explain: the first difference of one symbol, both sides beside each other.
 */
import { KlpflowError } from '../diagnostics';
import { EVIDENCE, RULES, originOf, twinOf, type Pairing } from './correlate';
import { comparePairs, type Side, type Verdict } from './compare';
import { decodeFunction, type Decoded } from './compare/decoded';
import { describe } from './compare/functions';
import { unitOf } from './assess/names';
import { Trait } from './scan';

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
  verdict: Pick<Verdict, 'status' | 'class' | 'first'> | null;
  rows: Row[];
}

/**
 * Explains a symbol by its full name in ORIG or PATCHED. `context` is the number of instructions around the first difference.
 * @throws KlpflowError `symbol-not-found`
 */
export function explainSymbol(pairing: Pairing, orig: Side, patched: Side, name: string, context: number): SymbolExplanation {
  const named = lookUp(orig, name);
  let a = named === 0 ? 0 : orig.table.canonical[named]!;
  let b = a === 0 ? 0 : twinOf(pairing, a);
  if (a === 0) {
    const there = lookUp(patched, name);
    if (there === 0) throw new KlpflowError('symbol-not-found', `neither object defines a function or variable ${name}`, { symbol: name });
    b = patched.table.canonical[there]!;
    a = originOf(pairing, b);
  }
  const side = a !== 0 ? orig : patched;
  const symbol = a !== 0 ? a : b;
  const isFunction = side.table.has(symbol, Trait.FUNC) || !side.table.has(symbol, Trait.OBJECT);
  const verdict = a !== 0 && b !== 0 ? comparePairs(pairing, orig, patched, Uint32Array.of(a, b))[0]! : null;
  const rule = RULES[pairing.rule[named] || pairing.rule[a] || 0]!;
  return {
    name: a === 0 ? name : orig.name(named || a),
    patchedName: b === 0 ? '' : patched.name(b),
    kind: isFunction ? 'function' : 'data',
    file: unitOf(side, symbol),
    section: side.sectionName(symbol),
    size: { orig: a === 0 ? 0 : orig.table.size[a]!, patched: b === 0 ? 0 : patched.table.size[b]! },
    pairedBy: a !== 0 && b !== 0 ? { rule, evidence: EVIDENCE[rule] } : null,
    verdict: verdict === null ? null : { status: verdict.status, class: verdict.class, first: verdict.first },
    rows: isFunction ? rows(orig, a, patched, b, verdict, context) : [],
  };
}

/** The symbol of this name: a function or object with content before any other; several locals of one name give the first. */
function lookUp(side: Side, name: string): number {
  const { table } = side;
  const length = Buffer.byteLength(name);
  let found = 0;
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    if (table.nameLength[symbol] !== length || !table.has(symbol, Trait.FUNC | Trait.OBJECT) || side.name(symbol) !== name) continue;
    if (table.has(symbol, Trait.CONTENT)) return symbol;
    found ||= symbol;
  }
  return found;
}

/** Instructions around the first difference, in step up to it. */
function rows(orig: Side, a: number, patched: Side, b: number, verdict: Verdict | null, context: number): Row[] {
  const disassembler = (a !== 0 ? orig : patched).arch.disassembler();
  const da = a === 0 ? undefined : decodeFunction(orig, a, disassembler);
  const db = b === 0 ? undefined : decodeFunction(patched, b, disassembler);
  const offset = verdict?.first?.offset ?? 0;
  const at = Math.max(0, (da ?? db)!.instructions.findIndex((instruction) => instruction.offset + instruction.length > offset));
  const one = (decoded: Decoded | undefined, index: number): Row['orig'] => {
    const instruction = decoded?.instructions[index];
    return instruction === undefined ? null : { offset: instruction.offset, text: describe(decoded!, index, disassembler) };
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
