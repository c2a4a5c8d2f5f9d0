import type { IrExplanation } from '../index';
import { plural } from './words';

const MARKS: Readonly<Record<IrExplanation['rows'][number]['kind'], string>> = {
  same: ' ',
  argument: '~',
  replaced: '!',
  deleted: '-',
  inserted: '+',
};

/** The IR of one function as a unified difference: its lines are too long to stand beside each other. */
export function renderIr({ name, program, lines, rows, skipped }: IrExplanation): string {
  const sizes = [lines.orig, lines.patched].map((count) => (count === null ? 'none' : plural(count, 'line')));
  const differing = rows.filter(({ kind }) => kind !== 'same').length;
  const shown = rows.flatMap(({ kind, orig, patched, skipped: before }) => [
    ...(before > 0 ? [leftOut(before)] : []),
    ...(kind === 'same'
      ? [`    ${patched}`]
      : [
          ...(orig === null ? [] : [`  ${kind === 'deleted' ? '-' : `${MARKS[kind]}-`} ${orig}`]),
          ...(patched === null ? [] : [`  ${kind === 'inserted' ? '+' : `${MARKS[kind]}+`} ${patched}`]),
        ]),
  ]);
  return [
    `${name}  (IR by ${program}; ORIG ${sizes[0]}, PATCHED ${sizes[1]}; ${differing === 0 ? 'the same' : `${plural(differing, 'line')} differ${differing === 1 ? 's' : ''}`})`,
    ...(shown.length === 0 ? [] : ['', ...shown]),
    ...(skipped > 0 && shown.length > 0 ? [leftOut(skipped)] : []),
  ].join('\n');
}

function leftOut(count: number): string {
  return `    ... ${plural(count, 'line')} the same`;
}
