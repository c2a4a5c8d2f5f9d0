import type { Offset, SymbolIndex } from '../../elf';
import { describeTarget } from '../places/target';
import type { Side } from '../side/side';
import type { DataRow } from './change';
import { targetsIn } from './match';

/** The width of a row, which is that of a pointer. */
const ROW = 8;
/** A text of more characters is cut. */
const LONGEST = 200;

/** All rows of two variables that differ, `most` at most; `differing` counts all. */
export function dataRows(
  a: Side,
  symbolA: SymbolIndex,
  b: Side,
  symbolB: SymbolIndex,
  most: number,
): { rows: DataRow[]; differing: number; size: { orig: number; patched: number } } {
  const [ours, theirs] = [new Content(a, symbolA), new Content(b, symbolB)];
  const size = { orig: ours.size, patched: theirs.size };
  const [textA, textB] = [ours.text(), theirs.text()];
  if (textA !== undefined && textB !== undefined && textA !== textB)
    return { rows: [{ offset: 0, orig: textA, patched: textB }], differing: 1, size };
  const rows: DataRow[] = [];
  let differing = 0;
  const length = Math.max(ours.size, theirs.size);
  // A variable of one number is one row, whatever its width.
  const step = length <= ROW ? Math.max(1, length) : ours.step();
  for (let offset = 0; offset < length; offset += step) {
    const [orig, patched] = [ours.words(offset, step), theirs.words(offset, step)];
    if (orig === patched) continue;
    differing++;
    if (rows.length < most) rows.push({ offset, orig, patched });
  }
  return { rows, differing, size };
}

/** The rows of one variable, for a person who has only it. */
export function contentRows(side: Side, symbol: SymbolIndex, most: number): Array<{ offset: Offset; text: string }> {
  const content = new Content(side, symbol);
  const text = content.text();
  if (text !== undefined) return [{ offset: 0, text }];
  const step = content.size <= ROW ? Math.max(1, content.size) : content.step();
  const rows: Array<{ offset: Offset; text: string }> = [];
  for (let offset = 0; offset < content.size && rows.length < most; offset += step)
    rows.push({ offset, text: content.words(offset, step) });
  return rows;
}

class Content {
  readonly size: number;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly references: Map<number, string>;

  constructor(
    private readonly side: Side,
    symbol: SymbolIndex,
  ) {
    this.size = side.table.size[symbol]!;
    this.bytes = side.bytes(symbol);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
    this.references = new Map(
      targetsIn(side, side.rangeOf(symbol)).map(({ at, target }) => [at, describeTarget(side, target)]),
    );
  }

  /** Of a variable that holds one text: that. */
  text(): string | undefined {
    if (this.references.size > 0 || this.bytes.length < 2) return undefined;
    const end = this.bytes.indexOf(0);
    const body = this.bytes.subarray(0, end < 0 ? this.bytes.length : end);
    if (body.length < 2 || !this.bytes.subarray(body.length).every((byte) => byte === 0)) return undefined;
    if (!body.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 9 || byte === 10 || byte === 13))
      return undefined;
    const shown = Buffer.from(body.subarray(0, LONGEST)).toString('latin1');
    return JSON.stringify(shown) + (body.length > LONGEST ? '...' : '');
  }

  /** Bytes of an element, by where references stand: relative ones have four. */
  step(): number {
    return [...this.references.keys()].some((at) => at % ROW !== 0) ? 4 : ROW;
  }

  words(offset: Offset, width: number): string {
    if (offset >= this.size) return '(no such bytes)';
    if (this.bytes.length === 0) return '0';
    const named = [...Array(width).keys()].flatMap((i) => this.references.get(offset + i) ?? []);
    if (named.length > 0) return named.join(', ');
    const end = Math.min(offset + width, this.bytes.length);
    if (this.size > ROW) return hex(this.bytes.subarray(offset, end));
    return this.number(offset, end - offset) ?? hex(this.bytes.subarray(offset, end));
  }

  /** What a variable of a number's width holds; whether it has a sign its bytes do not tell, so that a small one below zero is told as such. */
  private number(offset: Offset, width: number): string | undefined {
    const { little } = this.side.object;
    const { view } = this;
    if (width === 1) return String(view.getUint8(offset));
    if (width === 2) return String(view.getUint16(offset, little));
    if (width === 4) {
      const signed = view.getInt32(offset, little);
      return String(signed < 0 && signed > -65536 ? signed : signed >>> 0);
    }
    if (width !== ROW) return undefined;
    const signed = view.getBigInt64(offset, little);
    return String(signed < 0n && signed > -65536n ? signed : BigInt.asUintN(64, signed));
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/(..)(?=.)/g, '$1 ');
}
