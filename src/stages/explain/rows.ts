import type { Offset, SymbolIndex } from '../../elf';
import { alignCode, type CodeRow, type RowKind } from '../compare/aligned-code';
import { describe } from '../compare/words';
import type { Pairing } from '../correlate';
import { decodeFunction, type Decoded } from '../side/decoded';
import type { Side } from '../side/side';
import type { SiteNote } from './notes';

/** An instruction in words, and what special sections say about it. */
export interface Cell {
  offset: Offset;
  text: string;
  notes: string[];
  /** Of an instruction that differs, the source line that it is of, behind it the places that inlined it; absent where nothing says. */
  source?: SourceFrame[];
}

export interface SourceFrame {
  function: string;
  /** As debug information names it. */
  file: string;
  line: number;
}

export interface Row {
  orig: Cell | null;
  patched: Cell | null;
  kind: RowKind;
  same: boolean;
  /** How many rows before this one are left out: they are the same. */
  skipped: number;
}

/** What special sections say of both builds' function. */
export interface BothNotes {
  orig: SiteNote[];
  patched: SiteNote[];
}

/** More rows of one function nobody reads. */
const MOST = 20_000;

/**
 * Both functions' instructions beside each other: those that differ with `context` rows around, and the row at `first`, which a verdict names.
 * `after` are the rows left out at the end.
 */
export function alignedRows(
  pairing: Pairing,
  da: Decoded,
  db: Decoded,
  context: number,
  first: number | null,
  notes: BothNotes,
): { rows: Row[]; after: number } {
  const { rows } = alignCode(pairing, da, db);
  const at = first === null ? -1 : rows.findIndex(({ orig }) => orig >= 0 && covers(da, orig, first));
  const differs = ({ kind }: CodeRow, i: number): boolean => (kind !== 'same' && kind !== 'padding') || i === at;
  return shown(rows, differs, context, [da, db], notes);
}

/** One build's instructions, where the other has none: as many as there is room for. */
export function rowsOf(
  of: Decoded,
  build: 'orig' | 'patched',
  context: number,
  notes: BothNotes,
): { rows: Row[]; after: number } {
  const rows = of.instructions.map(
    (_, i): CodeRow =>
      build === 'orig' ? { orig: i, patched: -1, kind: 'deleted' } : { orig: -1, patched: i, kind: 'inserted' },
  );
  const most = context * 4;
  return shown(rows, (_, i) => i < most, 0, build === 'orig' ? [of, undefined] : [undefined, of], notes);
}

export function decoded(side: Side, symbol: SymbolIndex): Decoded {
  return decodeFunction(side, symbol, side.disassembler);
}

function covers({ instructions }: Decoded, index: number, offset: Offset): boolean {
  const { offset: start, length } = instructions[index]!;
  return offset < start + length;
}

function shown(
  rows: readonly CodeRow[],
  differs: (row: CodeRow, i: number) => boolean,
  context: number,
  [da, db]: [Decoded | undefined, Decoded | undefined],
  notes: BothNotes,
): { rows: Row[]; after: number } {
  const near = new Uint8Array(rows.length);
  rows.forEach((row, i) => {
    if (differs(row, i)) near.fill(1, Math.max(0, i - context), i + context + 1);
  });
  const list: Row[] = [];
  let skipped = 0;
  for (const [i, { orig, patched, kind }] of rows.entries()) {
    if (near[i] === 0 || list.length >= MOST) {
      skipped++;
      continue;
    }
    list.push({
      orig: orig < 0 ? null : cell(da!, orig, notes.orig),
      patched: patched < 0 ? null : cell(db!, patched, notes.patched),
      kind,
      same: kind === 'same' || kind === 'padding',
      skipped,
    });
    skipped = 0;
  }
  return { rows: list, after: skipped };
}

function cell(of: Decoded, index: number, notes: readonly SiteNote[]): Cell {
  const { offset, length } = of.instructions[index]!;
  return {
    offset,
    text: describe(of, index, of.side.disassembler),
    notes: notes.filter((note) => note.offset >= offset && note.offset < offset + length).map(({ text }) => text),
  };
}
