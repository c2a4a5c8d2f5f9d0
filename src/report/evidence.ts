import { quoted } from './next';
import type { DiffResult, Evidence, OutputReport, Proof } from '../index';
import { largest } from '../lists';

/** The evidence block that ends the first screen of a livepatch that was written: what it is for, what proves that it fits, what counted for nothing, and how it is used. */
export function renderEvidence(
  evidence: Evidence,
  { output, objects }: Pick<DiffResult, 'output' | 'objects'>,
): string[] {
  const { release, code, positions, versions, layouts } = evidence;
  const rows: Array<[name: string, state: string, text: string]> = [
    release === null
      ? [
          'kernel',
          'unproven',
          'no file says for which release it is: pass its image (--vmlinux) or a module of it (--template)',
        ]
      : ['kernel', release.name, `as ${release.from} says`],
    proofRow('code', code),
    proofRow('positions', positions),
    ...(versions === null ? [] : [proofRow('versions', versions)]),
    ...(layouts === null ? [] : [proofRow('layouts', layouts)]),
  ];
  const ignored = ignoredClasses(objects);
  if (ignored !== '') rows.push(['ignored', '', `${ignored}: klpflow explain shows the difference of each`]);
  const width = largest(rows.map(([, state]) => state.length));
  return [
    'evidence:',
    ...rows.map(
      ([name, state, text]) => `  ${name.padEnd(9)}  ${state === '' ? text : `${state.padEnd(width)}  ${text}`}`,
    ),
    ...(output?.format === 'ko' ? ['', ...usage(output, objects)] : []),
  ];
}

function proofRow(name: string, { proven, by }: Proof): [string, string, string] {
  return [name, proven ? 'proven' : 'unproven', by];
}

/** What differs and does not count, by why: `12 line, 3 layout`. */
export function ignoredClasses(objects: DiffResult['objects']): string {
  const counts = new Map<string, number>();
  for (const { functions, data } of objects)
    for (const { class: kind } of [...functions.ignored, ...data.ignored])
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
}

/** The module's life: loaded, watched, disabled, removed. */
function usage({ path, module = '' }: OutputReport, objects: DiffResult['objects']): string[] {
  const sys = `/sys/kernel/livepatch/${module}`;
  const modules = objects.map((object) => object.name).filter((object) => object !== 'vmlinux');
  return [
    'use (as root):',
    `  insmod ${quoted(path)}${modules.length === 0 ? '' : `    # before or after ${modules.join(', ')}`}`,
    `  cat ${sys}/transition    # 0 once every task runs the new code`,
    `  echo 0 > ${sys}/enabled    # back to the old code; wait for the transition`,
    `  rmmod ${module}`,
  ];
}
