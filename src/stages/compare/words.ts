import type { Disassembler } from '../../arch';
import { describeTarget } from '../places/target';
import type { Decoded } from '../side/decoded';
import { reached } from './reach';

/** Instruction `index` in words: branches by where they go, operands relative to the instruction by name, others with what their relocations refer to. */
export function describe(decoded: Decoded, index: number, disassembler: Disassembler): string {
  const instruction = decoded.instructions[index];
  if (instruction === undefined) return '(end of function)';
  const text = disassembler.format(decoded.bytes, instruction.offset);
  const names = decoded.targets[index]!.map(({ target }) => describeTarget(decoded.side, target));
  if (instruction.target !== undefined) {
    // `cbz x0, 0x10` tests a register besides.
    const operands = text.lastIndexOf(', ');
    const before = operands < 0 ? `${text.slice(0, text.indexOf(' '))} ` : text.slice(0, operands + 2);
    return `${before}${names[0] ?? describePlace(decoded, instruction.target)}`;
  }
  if (instruction.memory !== undefined) {
    // Its displacement stands before an immediate, which may have a relocation, too.
    const [name = describePlace(decoded, instruction.memory), ...others] = names;
    return withComment(
      text.replace(RELATIVE, () => `${name}(%rip)`),
      others,
    );
  }
  return withComment(text, names);
}

// A displacement of zero is not written.
const RELATIVE = /(?:-?(?:0x)?[0-9a-f]+)?\(%rip\)/i;

function withComment(text: string, names: readonly string[]): string {
  return names.length === 0 ? text : `${text}    # ${names.join(', ')}`;
}

/** Where a branch, or an operand, without a relocation leads: an offset in the function, or another symbol. */
function describePlace(decoded: Decoded, target: number): string {
  const inside = target >= 0 && target < decoded.bytes.length;
  const { symbol, delta } = inside ? { symbol: 0, delta: target } : reached(decoded, target);
  const distance = delta < 0 ? `-0x${(-delta).toString(16)}` : `+0x${delta.toString(16)}`;
  if (symbol === 0) return inside ? distance : 'outside';
  return delta === 0 ? decoded.side.name(symbol) : decoded.side.name(symbol) + distance;
}
