import type { Side } from '../side/side';
import type { AssessInput } from './types';

/** vmlinux.o: no unit defines both the first task and the version's banner. */
export function isWholeKernel({ object, table }: Side): boolean {
  let found = 0;
  for (let i = 0; i < table.listedCount && found < 2; i++) {
    const symbol = table.listed[i]!;
    // Nine and twelve letters: nearly all other names need no string.
    if (table.nameLength[symbol] !== 9 && table.nameLength[symbol] !== 12) continue;
    const name = object.symbolName(symbol);
    if (name === 'init_task' || name === 'linux_banner') found++;
  }
  return found === 2;
}

/** Whether the object is only one unit of the patched one: not all users of its globals are known. */
export function isUnit({ unit, objectName, orig }: AssessInput): boolean {
  return unit ?? (objectName === 'vmlinux' && !isWholeKernel(orig));
}
