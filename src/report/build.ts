import type { BuildResult } from '../index';
import { append } from '../lists';
import { renderDiagnostics, renderDiff } from './text';
import { plural } from './words';

const VERDICTS = { patchable: 'PATCHABLE', refused: 'REFUSED', unchanged: 'UNCHANGED' } as const;

/** A build for people: what it says of itself, and the first screen of its comparison, where there was one. */
export function renderBuild(result: BuildResult): string {
  const { verdict, diff, diagnostics, output, units, pairs, kernel, evidence, scope, run } = result;
  const lines: string[] = [];
  if (diff === null) lines.push(`${VERDICTS[verdict]}  ${whyNothing(result)}`);
  append(lines, renderDiagnostics(diagnostics));
  const same = units.filter(({ changed }) => !changed).length;
  if (same > 0 && diff !== null)
    lines.push(`${same} of ${plural(units.length, 'unit')} that were compiled have the same code with the patch`);
  if (diff !== null) {
    if (lines.length > 0) lines.push('');
    const { orig, patched } = pairs[0]!;
    const template = result.template ?? undefined;
    const files = { vmlinux: kernel?.image ?? undefined, symvers: kernel?.symvers ?? undefined, template };
    lines.push(renderDiff({ ...diff, output }, { orig, patched, runDir: run.runDir, ...files }));
  }
  if (evidence.length > 0) {
    lines.push('', 'built:');
    append(
      lines,
      evidence.map(
        ({ what, proven, by }) => `  ${what.padEnd(13)}  ${(proven ? 'proven' : 'unproven').padEnd(8)}  ${by}`,
      ),
    );
  }
  if (result.since !== null) append(lines, since(result.since));
  lines.push('', `${run.seconds.toFixed(2)} s${run.folder === '' ? '' : `; tree, objects and logs: ${run.folder}`}`);
  if (scope !== null) lines.push(`scope ${scope.name}: ${scope.why}`);
  return lines.join('\n');
}

function since({ module, mayReplace, dropped, states, data }: NonNullable<BuildResult['since']>): string[] {
  const version = (one: number | null): string => (one === null ? 'none' : String(one));
  return [
    '',
    `since ${module}:`,
    `  while it is loaded   the new one ${mayReplace ? 'may take its place' : 'may not take its place'}`,
    `  functions it alone redirects: ${dropped.length === 0 ? 'none' : dropped.map(({ object, name }) => `${object}:${name}`).join(', ')}`,
    ...states.map((state) => `  state ${state.id}: version ${version(state.old)} -> ${version(state.new)}`),
    ...data.map((place) => `  ${place} keeps the value that it set`),
  ];
}

function whyNothing({ verdict, units, diagnostics }: BuildResult): string {
  if (verdict !== 'refused')
    return units.length === 0 ? 'the patch changes no code' : 'the compiled code is the same with the patch';
  const reasons = diagnostics.filter(({ severity }) => severity === 'refusal' || severity === 'error');
  return plural(reasons.length, 'reason');
}
