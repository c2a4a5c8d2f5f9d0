/**
 * Compares two functions instruction by instruction.
 *
 * Digests differ for reasons that are no change: a direct call within a merged `.text` holds its distance, a line number
 * sits in an immediate, an operand's target was not decidable without decoding. Here both sides are decoded in step:
 * an instruction without a relocation is equal when its opcode bytes and its branch target (as function + offset) are,
 * any other when its bytes and all its targets are.
 */
import { R_TYPE } from '../../elf';
import { lineArgument, printsValues, type Disassembler, type Instruction } from '../../arch';
import type { Pairing } from '../correlate';
import { firstEntryDifference } from './entries';
import { unitNames } from './line';
import { matchTargets } from './match';
import { sameSymbol } from './same-symbol';
import type { Side } from './side';
import { describeTarget, resolveTarget, type Target } from './target';
import type { ChangeClass, Difference, IgnoredClass, Verdict } from './verdict';

/** One function of one side, decoded, with its relocations by instruction. */
export interface Decoded {
  side: Side;
  symbol: number;
  bytes: Uint8Array;
  instructions: Instruction[];
  /** Targets of instruction i, in offset order, with their offsets in the instruction. */
  targets: Array<Array<{ at: number; target: Target; branch: boolean }>>;
}

export function decodeFunction(side: Side, symbol: number, disassembler: Disassembler): Decoded {
  const bytes = side.bytes(symbol);
  const instructions = disassembler.decode(bytes);
  const targets: Decoded['targets'] = instructions.map(() => []);
  const range = side.rangeOf(symbol);
  const content = side.object.offset(range.section);
  let index = 0;
  for (const rela of side.relasIn(range)) {
    const offset = rela.offset - range.start;
    while (index < instructions.length && offset >= instructions[index]!.offset + instructions[index]!.length) index++;
    const instruction = instructions[index];
    if (instruction === undefined) break;
    const type = rela.words[rela.at + R_TYPE]!;
    const tail = side.arch.tails.length > 1 ? Math.max(0, instruction.offset + instruction.length - offset - side.arch.bias(type)) : 0;
    const branch = side.arch.isBranch(side.object.bytes, content + range.start, content + rela.offset, type);
    targets[index]!.push({ at: offset - instruction.offset, target: resolveTarget(side, rela, range.section, tail), branch });
  }
  return { side, symbol, bytes, instructions, targets };
}

export function compareFunctions(pairing: Pairing, a: Side, b: Side, symbolA: number, symbolB: number, disassembler: Disassembler): Verdict {
  const verdict = (status: Verdict['status'], kind: ChangeClass | IgnoredClass | 'same', first: Difference | null): Verdict =>
    ({ orig: symbolA, patched: symbolB, status, class: kind, first });
  const da = decodeFunction(a, symbolA, disassembler);
  const db = decodeFunction(b, symbolB, disassembler);
  const units = unitNames(a, symbolA);

  let line: Difference | null = null;
  let moved: Difference | null = null;
  let bytesDiffer = false;
  for (let i = 0; i < Math.max(da.instructions.length, db.instructions.length); i++) {
    const ia = da.instructions[i];
    const ib = db.instructions[i];
    const difference = (): Difference => ({ offset: (ia ?? da.instructions.at(-1))?.offset ?? 0, orig: describe(da, i, disassembler), patched: describe(db, i, disassembler) });
    if (ia === undefined || ib === undefined) {
      const rest = ia === undefined ? db : da;
      if (isPadding(rest, i)) {
        if (moved !== null) return verdict('changed', 'code', moved);
        return verdict('ignored', 'padding', difference());
      }
      return verdict('changed', 'code', difference());
    }
    const bytesA = da.bytes.subarray(ia.offset, ia.offset + ia.length);
    const bytesB = db.bytes.subarray(ib.offset, ib.offset + ib.length);
    const sameBytes = equalBytes(bytesA, bytesB);
    const ta = da.targets[i]!;
    const tb = db.targets[i]!;
    if (ta.length !== tb.length || ta.some(({ at }, k) => at !== tb[k]!.at)) return verdict('changed', sameBytes ? 'reference' : 'code', difference());
    if (ta.length === 0 && ia.target !== undefined && ib.target !== undefined) {
      if (insideBoth(da, ia, db, ib) && ia.target !== ib.target && mnemonic(da, ia, disassembler) === mnemonic(db, ib, disassembler)) {
        // A jump within the function goes further because something was put in between: a change, but that something tells more.
        moved ??= difference();
        continue;
      }
      if (ia.length !== ib.length || !equalBytes(bytesA.subarray(0, ia.opcodeLength), bytesB.subarray(0, ib.opcodeLength))) return verdict('changed', 'code', difference());
      if (!sameBranch(pairing, da, ia, db, ib)) return verdict('changed', 'code', difference());
      bytesDiffer ||= !sameBytes;
      continue;
    }
    if (!sameBytes) {
      const argument = ta.length > 0 ? 0 : disassembler.loadedArgument(bytesA, bytesB);
      if (argument !== 0 && reportedAs(da, i, units) === argument && reportedAs(db, i, units) === argument) {
        line ??= difference();
        continue;
      }
      return verdict('changed', 'code', difference());
    }
    for (let k = 0; k < ta.length; k++) {
      const match = matchTargets(pairing, a, b, ta[k]!.target, tb[k]!.target, units);
      if (match === 'line') line ??= difference();
      else if (match === 'table') return verdict('changed', 'table', difference());
      else if (match === 'different') return verdict('changed', k === 0 ? 'reference' : 'second-reference', difference());
    }
  }
  if (moved !== null) return verdict('changed', 'code', moved);
  const entry = firstEntryDifference(pairing, a, b, symbolA, symbolB);
  if (entry !== undefined) return verdict('changed', 'special-entry', entry);
  if (line !== null) return verdict('ignored', 'line', line);
  return bytesDiffer ? verdict('ignored', 'layout', null) : verdict('same', 'same', null);
}

function insideBoth(a: Decoded, ia: Instruction, b: Decoded, ib: Instruction): boolean {
  return ia.target! >= 0 && ia.target! < a.bytes.length && ib.target! >= 0 && ib.target! < b.bytes.length;
}

function mnemonic({ bytes }: Decoded, instruction: Instruction, disassembler: Disassembler): string {
  return disassembler.format(bytes, instruction.offset).split(' ', 1)[0]!;
}

/** Direct branches go to the same place: within the function by offset, else by function and offset. */
function sameBranch(pairing: Pairing, a: Decoded, ia: Instruction, b: Decoded, ib: Instruction): boolean {
  const insideA = ia.target! >= 0 && ia.target! < a.bytes.length;
  const insideB = ib.target! >= 0 && ib.target! < b.bytes.length;
  if (insideA !== insideB) return false;
  if (insideA) return ia.target === ib.target;
  const ownerA = branchOwner(a, ia);
  const ownerB = branchOwner(b, ib);
  if (ownerA.symbol === 0 || ownerB.symbol === 0) return ownerA.symbol === ownerB.symbol;
  return ownerA.delta === ownerB.delta && sameSymbol(pairing, ownerA.symbol, ownerB.symbol);
}

function branchOwner({ side, symbol }: Decoded, instruction: Instruction): { symbol: number; delta: number } {
  const section = side.table.section[symbol]!;
  const place = side.table.value[symbol]! + instruction.target!;
  const owner = side.identity.coverAt(section, place);
  return { symbol: owner, delta: owner === 0 ? 0 : place - side.table.value[owner]! };
}

/** How far before a reporting call its arguments are loaded. */
const ARGUMENTS_WITHIN = 4;

/**
 * Which argument of the call that follows instruction `index` is a source line; 0 if none, or if control may go elsewhere
 * first. A printing function takes any values: its third argument is a line where one before it is the unit's own file name
 * (ASSERT_RTNL: "RTNL: assertion failed at %s (%d)", __FILE__, __LINE__).
 */
function reportedAs({ side, targets, instructions }: Decoded, index: number, units: ReadonlySet<string>): number {
  for (let i = index + 1; i < targets.length; i++) {
    const list = targets[i]!;
    if (!instructions[i]!.flow && !list.some(({ branch }) => branch)) continue;
    const callee = list[0]?.target.symbol ?? 0;
    if (callee === 0) return 0;
    const name = side.name(callee);
    if (!printsValues(name)) return lineArgument(name);
    const near = targets.slice(Math.max(0, index - ARGUMENTS_WITHIN), i).flat();
    return near.some(({ target }) => target.text !== undefined && units.has(target.text.slice(target.text.lastIndexOf('/') + 1))) ? 3 : 0;
  }
  return 0;
}

function isPadding({ instructions, targets }: Decoded, from: number): boolean {
  return instructions.slice(from).every(({ padding }) => padding) && targets.slice(from).every((list) => list.length === 0);
}

/** Instruction `index` in words: branches by where they go, other operands with what their relocations refer to. */
export function describe(decoded: Decoded, index: number, disassembler: Disassembler): string {
  const instruction = decoded.instructions[index];
  if (instruction === undefined) return '(end of function)';
  const text = disassembler.format(decoded.bytes, instruction.offset);
  const names = decoded.targets[index]!.map(({ target }) => describeTarget(decoded.side, target));
  if (instruction.target !== undefined) {
    const mnemonic = text.slice(0, text.indexOf(' '));
    return `${mnemonic} ${names[0] ?? describeBranch(decoded, instruction)}`;
  }
  return names.length === 0 ? text : `${text}    # ${names.join(', ')}`;
}

/** Where a branch without a relocation goes: an offset in the function, or another function. */
function describeBranch(decoded: Decoded, instruction: Instruction): string {
  const inside = instruction.target! >= 0 && instruction.target! < decoded.bytes.length;
  const { symbol, delta } = inside ? { symbol: 0, delta: instruction.target! } : branchOwner(decoded, instruction);
  const distance = delta < 0 ? `-0x${(-delta).toString(16)}` : `+0x${delta.toString(16)}`;
  if (symbol === 0) return inside ? distance : 'outside';
  return delta === 0 ? decoded.side.name(symbol) : decoded.side.name(symbol) + distance;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
