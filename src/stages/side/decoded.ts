import { R_TYPE, type SymbolIndex } from '../../elf';
import type { Disassembler, Instruction } from '../../arch';
import type { Range } from './range';
import type { Side } from './side';
import { resolveTarget, type Target } from '../places/target';

/** Code of one side, decoded, with its relocations by instruction. */
export interface Decoded {
  side: Side;
  /** The function; 0 for code that no symbol covers. */
  symbol: SymbolIndex;
  range: Range;
  bytes: Uint8Array;
  instructions: Instruction[];
  /** Targets of instruction i, in offset order, with their offsets in the instruction. */
  targets: Array<Array<{ at: number; target: Target; branch: boolean }>>;
}

export function decodeFunction(side: Side, symbol: SymbolIndex, disassembler: Disassembler): Decoded {
  return { ...decodeRange(side, side.rangeOf(symbol), disassembler), symbol };
}

export function decodeRange(side: Side, range: Range, disassembler: Disassembler): Decoded {
  const bytes = side.object.content(range.section).subarray(range.start, range.end);
  const instructions = disassembler.decode(bytes);
  const targets: Decoded['targets'] = instructions.map(() => []);
  const content = side.object.offset(range.section);
  let index = 0;
  for (const rela of side.relasIn(range)) {
    const offset = rela.offset - range.start;
    while (index < instructions.length && offset >= instructions[index]!.offset + instructions[index]!.length) index++;
    const instruction = instructions[index];
    if (instruction === undefined) break;
    const type = rela.words[rela.at + R_TYPE]!;
    const tail =
      side.arch.tails.length > 1
        ? Math.max(0, instruction.offset + instruction.length - offset - side.arch.bias(type))
        : 0;
    const branch = side.arch.isBranch(side.object.bytes, content + range.start, content + rela.offset, type);
    targets[index]!.push({
      at: offset - instruction.offset,
      target: resolveTarget(side, rela, range.section, tail),
      branch,
    });
  }
  return { side, symbol: 0, range, bytes, instructions, targets };
}

/** The bytes of instruction `index`. */
export function bytesOf({ bytes, instructions }: Decoded, index: number): Uint8Array {
  const { offset, length } = instructions[index]!;
  return bytes.subarray(offset, offset + length);
}
