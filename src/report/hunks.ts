import type { HunkTie, PatchTies } from '../index';
import { plural } from './words';

/** `proc/meminfo.c:31 (2 instructions are of its lines)`: what ties a change to a hunk is said with it. */
export function tieWords(ties: readonly HunkTie[]): string {
  return ties.length === 0 ? 'no hunk explains it' : ties.map(wordsOf).join(', ');
}

function wordsOf({ file, line, by, instructions }: HunkTie): string {
  const why = {
    line: `${instructions === 1 ? '1 instruction is' : `${instructions} instructions are`} of its lines`,
    context: `${instructions === 1 ? '1 instruction is' : `${instructions} instructions are`} of lines beside`,
    name: 'by name',
  }[by];
  return `${file}:${line} (${why})`;
}

/** What the patch says of a symbol that changed; undefined where no patch was given. */
export function hunksOf(
  patch: PatchTies | undefined,
  object: string,
  state: string,
  name: string,
  file: string | null,
): string | undefined {
  const found = patch?.symbols.find(
    (symbol) => symbol.object === object && symbol.state === state && symbol.name === name && symbol.file === file,
  );
  return found === undefined ? undefined : tieWords(found.hunks);
}

/** How much of a patch was found again. */
export function patchSummary({ paths, evidence, symbols, idle }: PatchTies): string {
  const tied = symbols.filter(({ hunks }) => hunks.length > 0).length;
  const by = evidence === 'lines' ? 'source lines' : 'names alone: the objects tell no source lines';
  const without = idle.map(({ file, line }) => `${file}:${line}`);
  const few = without.slice(0, 5).join(', ');
  return `${paths.join(', ')}: ${tied} of ${plural(symbols.length, 'change')} tied to hunks, by ${by}${without.length === 0 ? '' : `; nothing comes of ${plural(without.length, 'hunk')}: ${few}${without.length > 5 ? ', ...' : ''}`}`;
}
