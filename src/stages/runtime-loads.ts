import type { SymbolIndex } from '../elf';
import type { LoadInstead } from '../kernel/load-instead';
import { loadInstead, runtimeConstantOf, type RuntimeConstant } from '../kernel/runtime-constants';
import type { Side } from './side/side';
import type { entriesOf } from './compare/entries';
import { writtenBytes } from './scan/entries';

export type FunctionEntry = ReturnType<typeof entriesOf>[number];

/** What an entry of a table `runtime_<kind>_X` says about a function. */
export interface RuntimeSite {
  constant: RuntimeConstant;
  /** The instruction that reads the variable, and where in the function it goes; undefined where nothing else than the placeholder can stand. */
  load: (LoadInstead & { start: number }) | undefined;
}

/**
 * A runtime constant of a function, and what can be done about it: nothing where the instruction has no room, where something else writes
 * there, too, or where nobody knows how on this processor. `entries` are all of the function.
 */
export function runtimeSite(
  side: Side,
  symbol: SymbolIndex,
  entry: FunctionEntry,
  entries: readonly FunctionEntry[],
): RuntimeSite {
  const constant = runtimeConstantOf(side.object.name(entry.table.section))!;
  const code = side.bytes(symbol);
  // The bytes before an immediate do not tell where its instruction begins.
  const instruction = side.disassembler
    .decode(code)
    .find((each) => entry.site >= each.offset && entry.site < each.offset + each.length);
  if (instruction === undefined) return { constant, load: undefined };
  const { offset: start } = instruction;
  const load = loadInstead(side.object.machine, constant.kind, code, instruction, entry.site);
  if (load === undefined || isWritten(side, symbol, start, start + load.bytes.length, entry, entries))
    return { constant, load: undefined };
  return { constant, load: { ...load, start } };
}

/** Whether a relocation or boot code writes into [from, to) of a function, other than by `own`. */
function isWritten(
  side: Side,
  symbol: SymbolIndex,
  from: number,
  to: number,
  own: FunctionEntry,
  entries: readonly FunctionEntry[],
): boolean {
  if (
    entries.some(
      (entry) =>
        entry !== own && entry.site < to && entry.site + writtenBytes(side.object, entry.table, entry.start) > from,
    )
  )
    return true;
  const { section, start } = side.rangeOf(symbol);
  return !side.relasIn({ section, start: start + from, end: start + to }).next().done;
}
