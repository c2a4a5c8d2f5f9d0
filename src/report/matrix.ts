/** A run of a matrix for people: the table, what differs between kernels, and why. */
import type { CellReport, CellVerdict, CheckedCell, MatrixCheck, MatrixResult, MatrixStatus } from '../index';
import { append, largest, put } from '../lists';
import { plural } from './words';

/** One word a cell, in tables. */
export const WORDS: Readonly<Record<CellVerdict, string>> = {
  patchable: 'PATCHABLE',
  refused: 'REFUSED',
  unchanged: 'UNCHANGED',
  failed: 'FAILED',
};

/** Lists longer than this end in a count; the page and `--json` have them all. */
const LONGEST = 20;

export function renderMatrix(result: MatrixResult, page: string | null): string {
  const { cells, differences, verdict, run } = result;
  const lines = [`${WORDS[verdict]}  ${countsOf(result)}`, '', ...tableOf(result)];
  const bad = cells.filter((cell) => cell.verdict === 'refused' || cell.verdict === 'failed');
  if (bad.length > 0) append(lines, ['', 'reasons:', ...bad.slice(0, LONGEST).flatMap(reasonsOf)]);
  if (bad.length > LONGEST) lines.push(`  and of ${bad.length - LONGEST} more cells`);
  if (differences.length > 0) {
    lines.push('', 'what differs between kernels:');
    for (const { patch, groups } of differences.slice(0, LONGEST)) {
      lines.push(`  ${patch}`);
      for (const { verdict: of, why, reasons, kernels } of groups) {
        lines.push(`    ${WORDS[of].padEnd(9)}  ${shown(kernels)}${why.length === 0 ? '' : `: ${shown(why)}`}`);
        append(lines, saidOf(reasons, '      '));
      }
    }
  }
  const reused = run.cells.filter(({ seconds }, i) => seconds === null && cells[i]!.verdict !== 'failed').length;
  const signers = [...new Set(cells.map(({ signedBy }) => signedBy).filter((by) => by !== null))];
  for (const by of signers)
    lines.push('', `signed by ${by}: ${plural(cells.filter(({ signedBy }) => signedBy === by).length, 'module')}`);
  lines.push(
    '',
    `${run.seconds.toFixed(2)} s; ${reused} of ${plural(cells.length, 'cell')} were there before${page === null ? '' : `; ${page}`}`,
  );
  return lines.join('\n');
}

/** `3 patchable, 1 refused`. */
export function countsOf({ cells, kernels, patches }: MatrixResult): string {
  const counts = (Object.keys(WORDS) as CellVerdict[]).flatMap((verdict) => {
    const count = cells.filter((cell) => cell.verdict === verdict).length;
    return count === 0 ? [] : [`${count} ${verdict}`];
  });
  return `${plural(kernels.length, 'kernel')}, ${patches.length} ${patches.length === 1 ? 'patch' : 'patches'}: ${counts.join(', ')}`;
}

export function renderStatus({ cells }: MatrixStatus): string {
  const states = ['done', 'active', 'waiting', 'failed', 'absent', 'missing'] as const;
  const counts = states.flatMap((state) => {
    const count = cells.filter((cell) => cell.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  const unique = (of: 'kernel' | 'patch'): string[] => [...new Set(cells.map((cell) => cell[of]))];
  const found = new Map(cells.map(({ kernel, patch, state }) => [`${kernel} ${patch}`, state]));
  return [
    `${plural(cells.length, 'cell')}: ${counts.join(', ')}`,
    '',
    ...table(unique('kernel'), unique('patch'), found),
  ].join('\n');
}

function tableOf({ kernels, patches, cells }: MatrixResult): string[] {
  return table(kernels, patches, new Map(cells.map((cell) => [`${cell.kernel} ${cell.patch}`, WORDS[cell.verdict]])));
}

function table(kernels: readonly string[], patches: readonly string[], found: ReadonlyMap<string, string>): string[] {
  const rows = [
    ['', ...patches],
    ...kernels.map((kernel) => [kernel, ...patches.map((patch) => found.get(`${kernel} ${patch}`) ?? '-')]),
  ];
  const widths = rows[0]!.map((_, i) => largest(rows.map((row) => row[i]!.length)));
  return rows.map((row) => `  ${row.map((text, i) => text.padEnd(widths[i]!)).join('  ')}`.trimEnd());
}

function reasonsOf({ kernel, patch, reasons }: CellReport): string[] {
  return [`  ${kernel} ${patch}`, ...saidOf(reasons, '    ')];
}

function saidOf(reasons: CellReport['reasons'], indent: string): string[] {
  return [
    ...reasons.slice(0, 3).map(({ code, message }) => `${indent}${code}: ${message.split('\n')[0]!}`),
    ...(reasons.length > 3 ? [`${indent}and ${reasons.length - 3} more`] : []),
  ];
}

function shown(list: readonly string[]): string {
  return list.length <= LONGEST
    ? list.join(', ')
    : `${list.slice(0, LONGEST).join(', ')} and ${list.length - LONGEST} more`;
}

export function renderCheck({ ok, cells, kernels, patches, missing, refused }: MatrixCheck): string {
  const size = `${plural(cells, 'cell')} of ${plural(kernels.length, 'kernel')} and ${patches.length} ${patches.length === 1 ? 'patch' : 'patches'}`;
  if (ok) return `READY  ${size}: nothing is missing`;
  return [
    ...(missing.length === 0 ? [] : [`MISSING  ${missing.length} of ${size} cannot be done`, ...checked(missing)]),
    ...(refused.length === 0
      ? []
      : [`REFUSED  ${refused.length} of ${size}: the patch does not fit`, ...checked(refused)]),
  ].join('\n');
}

/** What a kernel lacks is told once, not for each of its patches. */
function checked(cells: readonly CheckedCell[]): string[] {
  const lines = new Map<string, string[]>();
  for (const { kernel, patch, diagnostics } of cells)
    for (const { code, message, hint, at } of diagnostics)
      put(lines, `${kernel}\0    ${at}: ${code}: ${message}\n      ${hint}`, patch);
  return [...lines].map(([key, of]) => `  ${key.split('\0')[0]} ${shown(of)}\n${key.split('\0')[1]}`);
}
