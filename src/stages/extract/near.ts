import type { Range } from '../side/range';
import { Mapping } from '../side/mapping';
import type { Side } from '../side/side';
import type { Reference } from './resolve';

/** What code reaches in its own section without a relocation. */
export interface Near {
  /** Direct branches, as the relocations that the assembler could have left. */
  branches: Array<Reference & { kind: 'symbol' }>;
  /** Offsets in the section of operands that no relocation can stand for, and what they reach. */
  others: Array<{ field: number; place: number }>;
  /** Where control runs on into, past the end of the code; undefined where it does not. */
  next: number | undefined;
}

const NONE: Near = { branches: [], others: [], next: undefined };
/** What stands between functions where control may run through it; int3 ends it. */
const INT3 = 0xcc;

/**
 * References that the assembler resolved because both ends lie in one section (`.noinstr.text`, `.entry.text`): displacements that
 * would lead anywhere once the code is copied. Sections of one function have none.
 */
export function nearReferences(side: Side, range: Range): Near {
  const { section, start, end } = range;
  const { object, table, extents } = side;
  if (start === 0 && end === object.size(section)) return NONE;
  const found: Near = { branches: [], others: [], next: undefined };
  const fields = Array.from(side.relasIn(range), ({ offset }) => offset);
  const code = object.content(section).subarray(start, end);
  const mapping = Mapping.of(side);
  const instructions = side.disassembler.decode(code).filter(({ offset }) => !mapping.isData(section, start + offset));
  for (const instruction of instructions) {
    const { offset, length, target, memory } = instruction;
    const to = target ?? memory;
    if (to === undefined || (to >= 0 && to < end - start)) continue;
    const from = start + offset;
    if (fields.some((known) => known >= from && known < from + length)) continue;
    const near = side.arch.nearRelocation(code, instruction);
    const place = start + to;
    const owner = side.identity.coverAt(section, place);
    if (near === undefined || owner === 0) found.others.push({ field: from, place });
    else
      found.branches.push({
        field: from + near.at,
        type: near.type,
        kind: 'symbol',
        symbol: owner,
        named: owner,
        inside: 0,
        addend: place - table.value[owner]! + near.addend,
      });
  }
  const next = extents.widestAt(section, end - 1).end;
  const last = instructions.findLast(({ padding }) => !padding);
  if (
    last?.runsOn === true &&
    next < object.size(section) &&
    !object.content(section).subarray(end, next).includes(INT3)
  )
    found.next = next;
  return found;
}
