import { basename, dirname } from 'node:path';
import type { StatusResult } from '../index';

type Tree = StatusResult['builds'][number];
type Stage = Tree['stages'][number];

/** Of units that compiled the number is enough: a header has hundreds. */
const FEW = 4;

/** Trees of builds for people: what each is of, and its stages in their order. */
export function renderTrees(trees: readonly Tree[]): string {
  return trees.length === 0 ? 'no builds' : trees.map(renderTree).join('\n');
}

function renderTree({ folder, about, process, prepared, stages }: Tree): string {
  const what =
    about === null
      ? 'of an earlier version'
      : `${about.release} of ${about.source}, scope ${about.scope}, ${about.compiler}`;
  const now = process !== null ? `process ${process} works in it` : prepared ? 'prepared' : 'not prepared yet';
  const compiled = stages.filter(isCompiled);
  const shown = compiled.length > FEW ? stages.filter((stage) => !isCompiled(stage)) : stages;
  const many =
    compiled.length > FEW
      ? [
          `  done       ${''.padStart(9)}  ${compiled.length} units compiled  ${dirname(compiled[0]!.log)}/compile-*.log`,
        ]
      : [];
  return [`${basename(folder)}: ${what}; ${now}`, ...shown.map(line), ...many].join('\n');
}

const isCompiled = ({ name, state }: Stage): boolean => name.startsWith('compile-') && state === 'done';

function line({ name, state, seconds, log }: Stage): string {
  const took = seconds === null ? '' : `${seconds.toFixed(2)} s`;
  return `  ${state.padEnd(9)}  ${took.padStart(9)}  ${name}  ${log}`;
}
