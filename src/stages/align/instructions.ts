import type { SymbolIndex } from '../../elf';
import { decodeFunction } from '../side/decoded';
import { entriesOf, referencesOf } from '../compare/entries';
import type { Side } from '../side/side';
import { isTwin } from '../correlate/same-symbol';
import { resolveTarget } from '../places/target';
import { append } from '../../lists';
import type { Pairing } from '../correlate';
import { Trait } from '../scan';

/** An instruction without what moves with its neighbours: its text, and what it refers to. */
export interface Step {
  /** Without symbols and, of a branch, without its distance. */
  text: string;
  mnemonic: string;
  references: Reference[];
  /** Number of the basic block that it is in: no branch leads out of one but at its end, none within the function into it but to its start. */
  block: number;
}

interface Reference {
  /** Canonical; 0 for a string, a constant, anonymous data. */
  symbol: SymbolIndex;
  /** Distance from the symbol; else the text, or a digest of what is there. */
  what: string;
}

/** A function's instructions, in order. */
export function stepsOf(side: Side, symbol: SymbolIndex): Step[] {
  const { disassembler } = side;
  const decoded = decodeFunction(side, symbol, disassembler);
  const entries = entriesOf(side, symbol);
  const steps: Step[] = [];
  // A field with a relocation holds no distance yet.
  const branches = decoded.instructions.map(({ target }, i) => (decoded.targets[i]!.length > 0 ? undefined : target));
  const starts = new Set(branches);
  let block = 0;
  decoded.instructions.forEach(({ offset, length, target, padding, runsOn }, i) => {
    if (starts.has(offset)) block++;
    const own = block;
    if (branches[i] !== undefined || !runsOn) block++;
    const references = decoded.targets[i]!.map(
      ({ target: to }): Reference => ({
        symbol: to.symbol,
        what: to.symbol !== 0 ? String(to.delta) : (to.text ?? to.digest.join()),
      }),
    );
    // The jump that depends on a key is a NOP in the object.
    append(references, keysAt(side, entries, offset, offset + length));
    if (padding && references.length === 0) return;
    // By itself: a place relative to the instruction is written as one in the function otherwise.
    const text = disassembler.format(decoded.bytes.subarray(offset, offset + length), 0);
    const space = text.indexOf(' ');
    const mnemonic = space < 0 ? text : text.slice(0, space);
    steps.push({ text: target === undefined ? text : mnemonic, mnemonic, references, block: own });
  });
  return steps;
}

/** What special sections say of the code at [from, to): the static key that a jump depends on. Places in code move with it and tell nothing. */
function keysAt(side: Side, entries: ReturnType<typeof entriesOf>, from: number, to: number): Reference[] {
  return entries
    .filter(({ site }) => site >= from && site < to)
    .flatMap((entry) => referencesOf(entry).map((rela) => resolveTarget(side, rela, entry.table.section, 0)))
    .filter(({ symbol: key }) => key !== 0 && side.table.has(key, Trait.OBJECT))
    .map(({ symbol: key, delta }) => ({ symbol: key, what: String(delta) }));
}

/** A whole instruction that is the same, one whose operands differ, and one that uses a variable in another way. */
export const WHOLE = 4;
const SAME_REFERENCE = 3;
const SAME_VARIABLE = 2;
export const SAME_KIND = 1;

/** Members of one open group, on both sides: any of them may be any. */
export interface OpenMembers {
  orig: ReadonlySet<number>;
  patched: ReadonlySet<number>;
}

/** How alike two instructions are: 0 where they refer to different things. */
export function likeness(pairing: Pairing, members: OpenMembers, a: Step, b: Step): number {
  if (a.references.length !== b.references.length) return 0;
  let open = false;
  for (const [i, x] of a.references.entries()) {
    const y = b.references[i]!;
    if (members.orig.has(x.symbol) || members.patched.has(y.symbol)) {
      if (!members.orig.has(x.symbol) || !members.patched.has(y.symbol)) return 0;
      open = true;
      if (x.what !== y.what) return SAME_KIND;
    } else if (
      x.what !== y.what ||
      (x.symbol === 0) !== (y.symbol === 0) ||
      (x.symbol !== 0 && !maybeSame(pairing, x.symbol, y.symbol))
    )
      return 0;
  }
  if (a.text === b.text) return WHOLE;
  if (open) return a.mnemonic === b.mnemonic ? SAME_REFERENCE : SAME_VARIABLE;
  return a.mnemonic !== b.mnemonic ? 0 : a.references.length > 0 ? SAME_REFERENCE : SAME_KIND;
}

/** Twins; or of one name, as long as neither has another twin. Undefined symbols have none. */
function maybeSame(pairing: Pairing, a: number, b: number): boolean {
  const { orig, patched, twin, origin } = pairing;
  if (isTwin(pairing, a, b)) return true;
  if (orig.hash[a * 2] !== patched.hash[b * 2] || orig.hash[a * 2 + 1] !== patched.hash[b * 2 + 1]) return false;
  const open = twin[a] === 0 && origin[b] === 0;
  return open || (!orig.has(a, Trait.CORRELATABLE) && !patched.has(b, Trait.CORRELATABLE));
}
