import type { Explained, Explanation } from '../index';
import { append, largest } from '../lists';
import { placeWords, renderCounts, renderEntries, renderReferences } from './change';
import { tieWords } from './hunks';
import { sourceWords } from './source';
import { plural } from './words';

/** Why what differs does not count. */
const IGNORED: Readonly<Record<string, string>> = {
  line: 'only source lines differ, which a livepatch does not need',
  layout: 'only distances to what moved differ; what they lead to is the same',
  padding: 'only bytes behind the last instruction differ',
  release: 'only what the build calls itself differs',
};

type Row = Explanation['rows'][number];
type Cell = Row['orig'];

export function renderExplanation(explanation: Explained): string {
  const { name, patchedName, pairedBy, verdict, change, content } = explanation;
  const place = `${explanation.file === null ? '' : `${explanation.file} `}${explanation.section}`;
  const lines = [`${name}  (${explanation.kind}; ${place}; ${sizes(explanation)})`];
  if (patchedName !== '' && patchedName !== name) lines.push(`in PATCHED: ${patchedName}`);
  lines.push(pairing(explanation));
  for (const { name: candidate, size: bytes, section, declined } of explanation.candidates) {
    lines.push(`  ${candidate}  (${section}, ${plural(bytes, 'byte')}) is not its twin:`);
    append(
      lines,
      declined.map(({ rule, why }) => `    ${rule}: ${why}`),
    );
  }
  if (explanation.others.length > 0) lines.push(`others of the name: ${explanation.others.join(', ')}`);
  if (verdict !== null) lines.push(judgement(verdict));
  if (change?.kind === 'code')
    append(
      lines,
      [...renderReferences(change), ...renderEntries(change)].map((line) => `  ${line}`),
    );
  if (explanation.hunks !== undefined) lines.push(`patch: ${tieWords(explanation.hunks)}`);
  append(lines, usersOf(explanation));
  if (change?.kind === 'data') append(lines, dataRows(change));
  if (content.length > 0)
    append(lines, ['', ...content.map(({ offset, text }) => `  ${hex(offset).padStart(6)}  ${text}`)]);
  if (explanation.rows.length > 0) append(lines, pairedBy === null ? oneBuild(explanation) : bothBuilds(explanation));
  return lines.join('\n');
}

function sizes({ size, change, pairedBy }: Explanation): string {
  return pairedBy === null ? plural(Math.max(size.orig, size.patched), 'byte') : renderCounts({ size, change });
}

function pairing({ pairedBy, candidates, size, patchedName }: Explanation): string {
  if (pairedBy !== null) return `paired by ${pairedBy.rule}: ${pairedBy.evidence}`;
  if (candidates.length > 0) return 'not paired';
  return patchedName === '' || size.patched === 0
    ? 'not paired: it exists in ORIG only'
    : 'not paired: it is new in PATCHED';
}

function judgement({ status, class: kind, first }: NonNullable<Explanation['verdict']>): string {
  if (status === 'same') return 'same in both builds';
  const why = status === 'ignored' ? `: ${IGNORED[kind] ?? kind}` : '';
  return `${status}: ${kind}${first === null ? '' : `, first at +0x${hex(first.offset)}`}${why}`;
}

function usersOf({ users, kind }: Explanation): string[] {
  if (users === null) return [];
  const verb = kind === 'data' ? 'used' : 'called or referred to';
  if (users.count === 0) return [`${verb} by nothing`];
  const rest = users.count - users.names.length;
  return [`${verb} by ${users.names.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`];
}

function dataRows({ rows, differing }: Extract<Explanation['change'], { kind: 'data' }>): string[] {
  const width = Math.min(60, Math.max(4, largest(rows.map(({ orig }) => orig.length))));
  return [
    '',
    `          ${'ORIG'.padEnd(width)}   PATCHED`,
    ...rows.flatMap((row) => [
      ...(row.field === undefined ? [] : [`          ${placeWords(row).trimEnd()}`]),
      `  ${hex(row.offset).padStart(6)}  ${row.orig.padEnd(width)} | ${row.patched}`,
    ]),
    ...(differing > rows.length ? [`  ... ${plural(differing - rows.length, 'row')} more`] : []),
  ];
}

/** `-` and `+` for what one build alone has, `~` for another operand, `!` for another instruction. */
const MARKS: Readonly<Record<Row['kind'], string>> = {
  same: ' ',
  padding: ' ',
  argument: '~',
  replaced: '!',
  deleted: '-',
  inserted: '+',
};

function bothBuilds({ rows, skipped, verdict }: Explanation): string[] {
  const width = Math.min(70, Math.max(largest(rows.map(({ orig }) => cell(orig).length)), 8));
  const lines = ['', `    ${'ORIG'.padEnd(width)}   PATCHED`];
  const first = verdict?.first ?? null;
  const told = ['', ''];
  for (const { orig, patched, kind, same, skipped: before } of rows) {
    if (before > 0) lines.push(leftOut(before));
    const left = cell(orig);
    // What counts as the same all the same: the place is marked.
    const isFirst =
      same && first !== null && orig !== null && first.offset >= orig.offset && verdict?.status !== 'same';
    const mark = isFirst && first.offset === orig?.offset ? '!' : MARKS[kind];
    // A long operand gets a line of its own, so that columns stay columns.
    if (left.length > width) lines.push(`  ${mark} ${left}`, `  ${mark} ${' '.repeat(width)} | ${cell(patched)}`);
    else lines.push(`  ${mark} ${left.padEnd(width)} | ${cell(patched)}`.trimEnd());
    append(lines, notes(orig, patched, width));
    const [ours, theirs] = [orig, patched].map((side, i) => newSource(side, told, i));
    if (ours !== '' || theirs !== '') lines.push(`    ${ours!.padEnd(width)} | ${theirs}`.trimEnd());
  }
  if (skipped > 0) lines.push(leftOut(skipped));
  return lines;
}

function oneBuild({ rows, skipped }: Explanation): string[] {
  const lines = [''];
  for (const { orig, patched } of rows) {
    const own = orig ?? patched;
    append(lines, [`    ${cell(own)}`, ...(own?.notes ?? []).map((note) => `           ^ ${note}`)]);
  }
  if (skipped > 0) lines.push(leftOut(skipped));
  return lines;
}

/** What special sections say of an instruction, below it. */
function notes(orig: Cell, patched: Cell, width: number): string[] {
  const [ours, theirs] = [orig?.notes ?? [], patched?.notes ?? []];
  return Array.from({ length: Math.max(ours.length, theirs.length) }, (_, i) => {
    const [left, right] = [ours[i], theirs[i]].map((note) => (note === undefined ? '' : `       ^ ${note}`));
    return `    ${left!.padEnd(width)} | ${right}`.trimEnd();
  });
}

/** The source line of an instruction, where it is another one than that of the row before. */
function newSource(side: Cell, told: string[], build: number): string {
  const words = side === null ? '' : sourceWords(side);
  if (words === '' || words === told[build]) return '';
  told[build] = words;
  return `       = ${words}`;
}

function leftOut(count: number): string {
  return `    ... ${plural(count, 'instruction')} the same`;
}

function cell(side: Cell): string {
  return side === null ? '' : `${hex(side.offset).padStart(5)}  ${side.text}`;
}

function hex(number: number): string {
  return number.toString(16);
}
