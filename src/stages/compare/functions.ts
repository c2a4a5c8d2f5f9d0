/**
 * Compares two functions instruction by instruction.
 *
 * Digests differ for reasons that are no change: a direct call within a merged `.text` holds its distance, a line number
 * sits in an immediate, an operand's target was not decidable without decoding. Here both sides are decoded in step:
 * an instruction without a relocation is equal when its opcode bytes and its branch target (as function + offset) are,
 * any other when its bytes and all its targets are.
 */
import type { SymbolIndex } from '../../elf';
import type { Disassembler, Instruction } from '../../arch';
import type { Pairing } from '../correlate';
import { sameBehind } from './behind';
import { codeChange } from './code-change';
import { bytesOf, decodeFunction, type Decoded } from '../side/decoded';
import { firstEntryDifference } from './entries';
import { fileNamesOf } from './line';
import { isMovedLine } from './line-argument';
import { firstMovedLine } from './line-moves';
import { matchTargets } from './match';
import { reached } from './reach';
import { sameSymbol } from '../correlate/same-symbol';
import type { Side } from '../side/side';
import { describe } from './words';
import type { ChangeClass, Difference, IgnoredClass, Verdict } from './verdict';

export function compareFunctions(
  pairing: Pairing,
  a: Side,
  b: Side,
  symbolA: SymbolIndex,
  symbolB: SymbolIndex,
  detail: boolean,
): Verdict {
  const { disassembler } = a;
  const [da, db] = [decodeFunction(a, symbolA, disassembler), decodeFunction(b, symbolB, disassembler)];
  const code = compareCode(pairing, da, db, fileNamesOf(a, symbolA), disassembler);
  const verdict = (rest: CodeVerdict): Verdict => ({
    orig: symbolA,
    patched: symbolB,
    ...rest,
    ...(detail && rest.status === 'changed'
      ? { change: { kind: 'code', ...codeChange(pairing, da, db) } as const }
      : {}),
  });
  if (code.status === 'changed') return verdict(code);
  const entry = firstEntryDifference(pairing, a, b, symbolA, symbolB);
  if (entry !== undefined) return verdict({ status: 'changed', class: 'special-entry', first: entry });
  const line =
    code.class === 'line' || code.class === 'padding' || code.class === 'release'
      ? null
      : firstMovedLine(a, b, symbolA, symbolB);
  return verdict(line === null ? code : { status: 'ignored', class: 'line', first: line });
}

type CodeVerdict = Pick<Verdict, 'status' | 'class' | 'first'>;

/** Compares instructions, functions' or others. */
export function compareCode(
  pairing: Pairing,
  da: Decoded,
  db: Decoded,
  units: ReadonlySet<string>,
  disassembler: Disassembler,
): CodeVerdict {
  const { side: a } = da;
  const { side: b } = db;
  const verdict = (
    status: Verdict['status'],
    kind: ChangeClass | IgnoredClass | 'same',
    first: Difference | null,
  ): CodeVerdict => ({ status, class: kind, first });
  let line: Difference | null = null;
  let release: Difference | null = null;
  let moved: Difference | null = null;
  let layout: Difference | null = null;
  for (let i = 0; i < Math.max(da.instructions.length, db.instructions.length); i++) {
    const ia = da.instructions[i];
    const ib = db.instructions[i];
    const difference = (): Difference => ({
      offset: (ia ?? da.instructions.at(-1))?.offset ?? 0,
      orig: describe(da, i, disassembler),
      patched: describe(db, i, disassembler),
    });
    if (ia === undefined || ib === undefined) {
      const rest = ia === undefined ? db : da;
      if (isPadding(rest, i)) {
        if (moved !== null) return verdict('changed', 'code', moved);
        return verdict('ignored', 'padding', difference());
      }
      return verdict('changed', 'code', difference());
    }
    const bytesA = bytesOf(da, i);
    const bytesB = bytesOf(db, i);
    const sameBytes = equalBytes(bytesA, bytesB);
    const ta = da.targets[i]!;
    const tb = db.targets[i]!;
    if (ta.length !== tb.length || ta.some(({ at }, k) => at !== tb[k]!.at))
      return verdict('changed', sameBytes ? 'reference' : 'code', difference());
    if (ta.length === 0 && ia.target !== undefined && ib.target !== undefined) {
      if (
        insideBoth(da, ia, db, ib) &&
        ia.target !== ib.target &&
        mnemonic(da, ia, disassembler) === mnemonic(db, ib, disassembler)
      ) {
        // A jump within the function goes further because something was put in between: a change, but that something tells more.
        moved ??= difference();
        continue;
      }
      if (
        ia.length !== ib.length ||
        !equalBytes(bytesA.subarray(0, ia.opcodeLength), bytesB.subarray(0, ib.opcodeLength))
      )
        return verdict('changed', 'code', difference());
      if (!sameReach(pairing, da, ia.target, db, ib.target, sameBytes)) return verdict('changed', 'code', difference());
      if (!sameBytes) layout ??= difference();
      continue;
    }
    if (
      ta.length === 0 &&
      ia.memory !== undefined &&
      ib.memory !== undefined &&
      equalBut(bytesA, bytesB, ia.opcodeLength - DISPLACEMENT)
    ) {
      if (!sameReach(pairing, da, ia.memory, db, ib.memory, sameBytes))
        return verdict('changed', 'reference', difference());
      if (!sameBytes) layout ??= difference();
      continue;
    }
    if (!sameBytes) {
      if (!isMovedLine(pairing, da, db, i, units)) return verdict('changed', 'code', difference());
      line ??= difference();
      continue;
    }
    for (let k = 0; k < ta.length; k++) {
      const match = matchTargets({ pairing, a, b }, ta[k]!.target, tb[k]!.target, units);
      if (match === 'line') line ??= difference();
      else if (match === 'release') release ??= difference();
      else if (match === 'table') return verdict('changed', 'table', difference());
      else if (match === 'different')
        return verdict('changed', k === 0 ? 'reference' : 'second-reference', difference());
    }
  }
  if (moved !== null) return verdict('changed', 'code', moved);
  if (release !== null) return verdict('ignored', 'release', release);
  if (line !== null) return verdict('ignored', 'line', line);
  return layout !== null ? verdict('ignored', 'layout', layout) : verdict('same', 'same', null);
}

function insideBoth(a: Decoded, ia: Instruction, b: Decoded, ib: Instruction): boolean {
  return ia.target! >= 0 && ia.target! < a.bytes.length && ib.target! >= 0 && ib.target! < b.bytes.length;
}

function mnemonic({ bytes }: Decoded, instruction: Instruction, disassembler: Disassembler): string {
  return disassembler.format(bytes, instruction.offset).split(' ', 1)[0]!;
}

/**
 * Whether what two instructions without a relocation reach is the same: within the function by offset, else by symbol and distance, and
 * where none is, by what lies there. Data between instructions can look like a branch to anywhere: then its bytes count.
 */
function sameReach(
  pairing: Pairing,
  a: Decoded,
  targetA: number,
  b: Decoded,
  targetB: number,
  sameBytes: boolean,
): boolean {
  const insideA = targetA >= 0 && targetA < a.bytes.length;
  const insideB = targetB >= 0 && targetB < b.bytes.length;
  if (insideA !== insideB) return false;
  if (insideA) return targetA === targetB;
  const [x, y] = [reached(a, targetA), reached(b, targetB)];
  if (x.outside || y.outside) return x.outside === y.outside && sameBytes;
  if (x.symbol === 0 && y.symbol === 0) return sameBehind(pairing, a.side, b.side, x.place, y.place);
  return x.symbol !== 0 && y.symbol !== 0 && x.delta === y.delta && sameSymbol(pairing, x.symbol, y.symbol);
}

/** Bytes of an operand relative to the instruction, which stands before the immediate. */
const DISPLACEMENT = 4;

/** Whether two encodings are equal but for the displacement at `at`. */
function equalBut(a: Uint8Array, b: Uint8Array, at: number): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i] || (i >= at && i < at + DISPLACEMENT));
}

function isPadding({ instructions, targets }: Decoded, from: number): boolean {
  return (
    instructions.slice(from).every(({ padding }) => padding) && targets.slice(from).every((list) => list.length === 0)
  );
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
