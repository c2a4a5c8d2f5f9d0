import type { Manifest, ManifestFunction } from './manifest';
import { append } from '../lists';

/** What grading reads of `diff --json`. */
export interface Answer {
  verdict: string;
  objects: Array<{
    functions: Record<'changed' | 'new' | 'removed', Array<{ name: string; patchedName?: string | undefined }>> & {
      ignored: Array<{ name: string }>;
    };
    data: { changed: Array<{ name: string }>; new: Array<{ name: string }> };
  }>;
  diagnostics: Array<{ code: string; severity: string; message: string }>;
}

/** Codes of refusals that each kind of change must bring. */
const REFUSALS: ReadonlyArray<readonly [code: string, wanted: (manifest: Manifest) => boolean]> = [
  ['changed-data', ({ data }) => data.changed.length > 0],
  ['ambiguous-data', ({ data }) => data.ambiguous.length > 0],
  ['init-change', ({ functions }) => functions.changed.some(({ kind }) => kind === 'init-instruction')],
];

/**
 * What is wrong with klpflow's answer on a synthetic pair: changes that it does not find, changes that nobody made, a wrong name of
 * the other side, refusals without a reason or none where there is one. Empty where the answer is right.
 */
export function grade(manifest: Manifest, answer: Answer): string[] {
  const found = (kind: 'changed' | 'new' | 'removed'): string[] =>
    answer.objects.flatMap((object) => object.functions[kind].map(bothNames));
  const wrong = (['changed', 'new', 'removed'] as const).flatMap((kind) =>
    differences(`functions ${kind}`, manifest.functions[kind].map(bothNames), found(kind)),
  );
  const data = (kind: 'changed' | 'new'): string[] =>
    answer.objects.flatMap((object) => object.data[kind].map(({ name }) => name));
  append(wrong, differences('data changed', manifest.data.changed, data('changed')));
  append(wrong, differences('data new', manifest.data.new, data('new')));
  const errors = new Set(
    answer.diagnostics.filter(({ severity }) => severity === 'error' || severity === 'refusal').map(({ code }) => code),
  );
  for (const [code, wanted] of REFUSALS) {
    if (wanted(manifest) && !errors.delete(code)) wrong.push(`no diagnostic ${code}`);
  }
  for (const code of errors)
    wrong.push(`refused with ${code}: ${answer.diagnostics.find((told) => told.code === code)!.message}`);
  return wrong;
}

/** `name`, or `name -> patched name` where they differ. */
function bothNames({
  name,
  patchedName,
}: Pick<ManifestFunction, 'name'> & { patchedName?: string | undefined }): string {
  return patchedName === undefined || patchedName === name ? name : `${name} -> ${patchedName}`;
}

/** Static functions of different units share names, so each counts as often as it stands. */
function differences(what: string, expected: readonly string[], found: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of expected) counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const name of found) counts.set(name, (counts.get(name) ?? 0) - 1);
  return [...counts]
    .filter(([, left]) => left !== 0)
    .map(
      ([name, left]) =>
        `${what}: ${name} ${left > 0 ? `is missing ${left} times` : `is reported ${-left} times too often`}`,
    );
}
