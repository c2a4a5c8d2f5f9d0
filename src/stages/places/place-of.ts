import type { Instruction } from '../../arch';
import { R_ADDEND, R_OFFSET, R_SYM, R_TYPE, s64, u64, type Offset, type SectionIndex, type WordIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Range } from '../side/range';
import type { Side } from '../side/side';

/** Where the rela at word `at` leads: offset in its symbol's section; of an address by which others are reached, to the first of them. The field lies in `user`. */
export function offsetReached(side: Side, user: Range, words: Uint32Array, at: WordIndex): number {
  return (
    side.table.value[words[at + R_SYM]!]! +
    s64(words, at + R_ADDEND) +
    biasOf(side, user, u64(words, at + R_OFFSET), words[at + R_TYPE]!) +
    shiftOf(side, user.section, u64(words, at + R_OFFSET))
  );
}

/** How far from the place that a field names what is meant begins: compilers name variables of one section by the address of another one. */
export function shiftOf(side: Side, section: SectionIndex, field: Offset): number {
  return side.identity.anchors.at(section, field)?.shift ?? 0;
}

/** What the processor adds to a field: only an instruction counts from its own end, a PC-relative word of a table means what it says. */
export function biasOf(side: Side, user: Range, field: number, type: number): number {
  const { table, arch } = side;
  return (table.sectionClass[user.section]! & SectionClass.EXEC) !== 0 && arch.isPcRelative(type)
    ? arch.bias(type) + tailAt(side, user, field)
    : 0;
}

/** Instruction bytes behind the field at `field`; where the bytes before it do not tell, the code around it is decoded: a function, or `user`. */
function tailAt(side: Side, user: Range, field: number): number {
  const { object, arch } = side;
  const from = object.offset(user.section);
  const tail = arch.tail(object.bytes, from, from + field);
  if (tail >= 0) return tail;
  const owner = side.identity.coverAt(user.section, field);
  const { section, start, end } = owner === 0 ? user : side.rangeOf(owner);
  const instruction = instructionsOf(side, { section, start, end }).find(
    ({ offset, length }) => start + offset + length > field,
  );
  // Four bytes are the width of every relocated operand that can have something behind it.
  return instruction === undefined ? 0 : Math.max(0, start + instruction.offset + instruction.length - field - 4);
}

interface DecodedRange extends Range {
  instructions: readonly Instruction[];
}

/** What was decoded last: all fields of one function are asked for one behind the other. */
const last = new WeakMap<Side, DecodedRange>();

function instructionsOf(side: Side, { section, start, end }: Range): readonly Instruction[] {
  const known = last.get(side);
  if (known !== undefined && known.section === section && known.start === start && known.end === end)
    return known.instructions;
  const instructions = side.disassembler.decode(side.object.content(section).subarray(start, end));
  last.set(side, { section, start, end, instructions });
  return instructions;
}
