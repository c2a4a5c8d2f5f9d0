/** Records that hold a source line (`__dyndbg`, `alloc_tags`): their bytes without it. */
import { words } from './digest';
import { big, byteAt } from './file';
import { lineMask, lineOffset } from './host';

let known: u32 = 0;
let lineAt: i32 = -1;
let mask: u32 = 0;

/** Where the line is in a record of `section`, -1 for none. */
export function lineIn(section: u32): i32 {
  if (section != known) {
    known = section;
    lineAt = lineOffset(section);
    mask = lineMask(section);
  }
  return lineAt;
}

/** Bits of the word at `lineIn` that are the line; valid after it. */
export function lineBits(): u32 {
  return mask;
}

/** Mixes the record at [start, end) of the file as `bytes` of ./digest does, with zero for its line. */
export function mixRecordBytes(digest: usize, section: u32, start: u32, end: u32): void {
  const offset = lineIn(section);
  const line: u32 = offset >= 0 && end - start >= <u32>offset + 4 ? start + offset : end;
  let at = start;
  while (end - at >= 16) {
    words(
      digest,
      wordWithout(at, line),
      wordWithout(at + 4, line),
      wordWithout(at + 8, line),
      wordWithout(at + 12, line),
    );
    at += 16;
  }
  let k1: u32 = 0,
    k2: u32 = 0,
    k3: u32 = 0,
    k4: u32 = 0;
  for (let i: u32 = 0; at < end; at++, i++) {
    const byte = byteWithout(at, line) << ((i & 3) << 3);
    if (i < 4) k1 |= byte;
    else if (i < 8) k2 |= byte;
    else if (i < 12) k3 |= byte;
    else k4 |= byte;
  }
  words(digest, k1, k2, k3, k4);
  words(digest, end - start, 0, 0, 0);
}

function wordWithout(at: u32, line: u32): u32 {
  return (
    byteWithout(at, line) |
    (byteWithout(at + 1, line) << 8) |
    (byteWithout(at + 2, line) << 16) |
    (byteWithout(at + 3, line) << 24)
  );
}

function byteWithout(at: u32, line: u32): u32 {
  const byte = byteAt(at);
  const i = at - line;
  return i > 3 ? byte : byte & ~((mask >>> ((big ? 3 - i : i) << 3)) & 0xff);
}
