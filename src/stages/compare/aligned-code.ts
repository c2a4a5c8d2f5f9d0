/** Two functions' instructions beside each other: what was put in, what was taken out, and what only refers to something else. */
import type { Pairing } from '../correlate';
import { bytesOf, type Decoded } from '../side/decoded';
import { codeLines, type CodeLine } from './code-lines';
import { commonPairs } from './edit-script';
import { matchTargets } from './match';

/** `argument`: one instruction with another operand, or a branch that leads elsewhere; `replaced`: another instruction in its place. */
export type RowKind = 'same' | 'argument' | 'replaced' | 'inserted' | 'deleted' | 'padding';

/** Numbers of the instructions, -1 for none. */
export interface CodeRow {
  orig: number;
  patched: number;
  kind: RowKind;
}

export interface AlignedCode {
  orig: CodeLine[];
  patched: CodeLine[];
  rows: CodeRow[];
}

const NO_UNITS: ReadonlySet<string> = new Set();

export function alignCode(pairing: Pairing, da: Decoded, db: Decoded): AlignedCode {
  const orig = codeLines(pairing, 'orig', da);
  const patched = codeLines(pairing, 'patched', db);
  const numbers = new Map<string, number>();
  const numbered = (lines: readonly CodeLine[]): Int32Array =>
    Int32Array.from(lines, ({ form, references }) => {
      const key = `${form}\0${references.map(({ identity }) => identity).join('\0')}`;
      let number = numbers.get(key);
      if (number === undefined) numbers.set(key, (number = numbers.size));
      return number;
    });
  const rows: CodeRow[] = [];
  let [i, j] = [0, 0];
  const gap = (endA: number, endB: number): void => {
    for (const row of pairGap(orig, patched, [i, endA], [j, endB])) rows.push(row);
  };
  for (const [x, y] of commonPairs(numbered(orig), numbered(patched))) {
    gap(x, y);
    rows.push({ orig: x, patched: y, kind: 'same' });
    [i, j] = [x + 1, y + 1];
  }
  gap(orig.length, patched.length);
  const partner = new Map(rows.map((row) => [row.orig, row.patched]));
  return { orig, patched, rows: rows.map((row) => ({ ...row, kind: kindOf(row) })) };

  function kindOf({ orig: x, patched: y }: CodeRow): RowKind {
    const [ours, theirs] = [orig[x], patched[y]];
    if ((ours?.padding ?? true) && (theirs?.padding ?? true)) return 'padding';
    if (ours === undefined || ours.padding) return theirs === undefined ? 'padding' : 'inserted';
    if (theirs === undefined || theirs.padding) return 'deleted';
    if (ours.form !== theirs.form) return ours.head === theirs.head ? 'argument' : 'replaced';
    if (ours.leadsTo !== undefined)
      return partner.get(ours.leadsTo) === theirs.leadsTo || (ours.leadsTo === -1 && theirs.leadsTo === -1)
        ? 'same'
        : 'argument';
    return sameReferences(pairing, da, db, [x, ours], [y, theirs]) ? 'same' : 'argument';
  }
}

/** What identities do not tell, compare does: content that another partition names otherwise. */
function sameReferences(
  pairing: Pairing,
  da: Decoded,
  db: Decoded,
  [x, ours]: readonly [number, CodeLine],
  [y, theirs]: readonly [number, CodeLine],
): boolean {
  if (ours.references.length !== theirs.references.length) return false;
  if (ours.references.every(({ identity }, i) => identity !== '' && identity === theirs.references[i]!.identity))
    return true;
  const [ta, tb] = [da.targets[x]!, db.targets[y]!];
  if (ta.length === 0 && tb.length === 0)
    return (
      Buffer.compare(bytesOf(da, x), bytesOf(db, y)) === 0 && ours.references.every(({ identity }) => identity === '')
    );
  return (
    ta.length === tb.length &&
    ta.length === ours.references.length &&
    ta.every(
      ({ target }, i) => matchTargets({ pairing, a: da.side, b: db.side }, target, tb[i]!.target, NO_UNITS) === 'same',
    )
  );
}

/** More cells than this are not weighed: what has so many is paired as it comes. */
const MOST_CELLS = 40_000;

/** Pairs what lies between two pairs: first by likeness, and what is left over on both sides row by row. */
function pairGap(
  orig: readonly CodeLine[],
  patched: readonly CodeLine[],
  [fromA, toA]: [number, number],
  [fromB, toB]: [number, number],
): CodeRow[] {
  const rows: CodeRow[] = [];
  let [i, j] = [fromA, fromB];
  const between = (endA: number, endB: number): void => {
    for (; i < endA && j < endB; i++, j++) rows.push({ orig: i, patched: j, kind: 'replaced' });
    for (; i < endA; i++) rows.push({ orig: i, patched: -1, kind: 'deleted' });
    for (; j < endB; j++) rows.push({ orig: -1, patched: j, kind: 'inserted' });
  };
  for (const [x, y] of likest(orig.slice(fromA, toA), patched.slice(fromB, toB))) {
    between(fromA + x, fromB + y);
    rows.push({ orig: i++, patched: j++, kind: 'argument' });
  }
  between(toA, toB);
  return rows;
}

/** The pairs, in order, of which most are one instruction with another operand. */
function likest(a: readonly CodeLine[], b: readonly CodeLine[]): Array<[number, number]> {
  const [n, m] = [a.length, b.length];
  if (n === 0 || m === 0 || n * m > MOST_CELLS) return [];
  const likeness = (x: CodeLine, y: CodeLine): number =>
    x.padding || y.padding ? 0 : x.form === y.form ? 3 : x.head === y.head ? 2 : 0;
  const best = new Int32Array((n + 1) * (m + 1));
  for (let i = n - 1; i >= 0; i--)
    for (let j = m - 1; j >= 0; j--) {
      const like = likeness(a[i]!, b[j]!);
      const pair = like === 0 ? 0 : like + best[(i + 1) * (m + 1) + j + 1]!;
      best[i * (m + 1) + j] = Math.max(pair, best[(i + 1) * (m + 1) + j]!, best[i * (m + 1) + j + 1]!);
    }
  const pairs: Array<[number, number]> = [];
  for (let i = 0, j = 0; i < n && j < m; ) {
    const like = likeness(a[i]!, b[j]!);
    if (like > 0 && best[i * (m + 1) + j] === like + best[(i + 1) * (m + 1) + j + 1]!) pairs.push([i++, j++]);
    else if (best[i * (m + 1) + j] === best[(i + 1) * (m + 1) + j]!) i++;
    else j++;
  }
  return pairs;
}
