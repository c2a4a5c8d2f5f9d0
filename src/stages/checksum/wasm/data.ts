/** An object's identity: size, bytes, and what each of its fields refers to. */
import * as chunks from './chunks';
import { bitsOf, homeOf, lengthOf, sizeOf, valueOf } from './memory';
import * as references from './references';
import * as relas from './relas';
import { NOBITS, byteAt, holds } from './sections';

// Numbers of the parts that are told of objects.
const LENGTH: u32 = 1;
const DATA: u32 = 2;
const STRING: u32 = 3;
const NAME: u32 = 4;
const ADDEND: u32 = 5;

export function addData(symbol: u32): void {
  const section = homeOf(symbol);
  const start = valueOf(symbol);
  const size = sizeOf(symbol);
  begin(LENGTH, 0);
  chunks.u32Of(<u32>size);
  if ((bitsOf(section) & NOBITS) == 0) {
    begin(DATA, 0);
    const room: i64 = holds(section, start) ? <i64>lengthOf(section) - start : 0;
    chunks.bytes(room > 0 ? byteAt(section, start) : 0, <u32>min(size, room));
  }
  const end = start + size;
  for (let found = relas.first(section, start, end); found; ) {
    const number = relas.at();
    const target = relas.symbol;
    const addend = relas.addend;
    const at = relas.offset - start;
    if (references.isString(target)) {
      begin(STRING, at);
      references.string(target, addend);
    } else {
      const named = references.named(target, addend);
      if (named != 0) {
        begin(NAME, at);
        chunks.name(named);
        begin(ADDEND, at);
        chunks.longOf(references.distance);
      }
    }
    found = relas.next(section, end, number);
  }
}

function begin(part: u32, offset: i64): void {
  chunks.enter(part, 0, offset);
  chunks.placeOf(offset);
}
