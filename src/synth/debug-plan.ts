import { debugBytesPerFunction, type DebugPlan } from './debug';
import { KERNEL_DEBUG } from './shape/debug';
import type { Shape } from './shape/types';

const RELA = 24;

/**
 * How much debug information: as the shape has it, or, where the shape has none to speak of, as measured of kernel objects with it;
 * or as much as fills a file of `without` bytes up to so many.
 * @throws RangeError when that is less than the file has without
 */
export function debugPlan(
  wanted: boolean | { bytes: number },
  shape: Shape,
  functions: number,
  without: number,
): DebugPlan | undefined {
  if (wanted === false) return undefined;
  const measured =
    shape.debug?.['.debug_info'] !== undefined && shape.debug['.debug_info'].bytes > 100 ? shape.debug : KERNEL_DEBUG;
  const bytes = Object.values(measured).reduce((sum, section) => sum + section.bytes + section.relas * RELA, 0);
  const lines = measured['.debug_line']?.bytes ?? 0;
  const perFunction = wanted === true ? bytes : (wanted.bytes - without) / functions;
  const none = debugBytesPerFunction({ variables: 0, lines: 0 });
  if (perFunction < none) {
    throw new RangeError(
      `${functions} functions of this shape take ${without} bytes, and ${Math.ceil(without + none * functions)} with debug information: fewer functions or more bytes`,
    );
  }
  // Rows of the line table take the share that they have in the shape; names of variables take the rest.
  const rows = Math.min((lines / bytes) * perFunction, perFunction - none);
  const variable = debugBytesPerFunction({ variables: 1, lines: 0 }) - none;
  return { lines: rows, variables: (perFunction - none - rows) / variable };
}
