import type { ObjectDescription } from '../index';

/** What an object tells, for people: a line a fact. */
export function renderObject({ path, can, missing, ibt, ...found }: ObjectDescription): string {
  const { kind, name, release, ...others } = found;
  const all: Array<[string, string]> = [
    ['object', kind === name ? kind : `${kind} ${name}`],
    ['kernel', release ?? 'it does not say'],
    ...Object.entries(others).map(([what, text]): [string, string] => [what, text ?? 'it does not say']),
    ['ibt', ibt ? 'yes' : 'none seen'],
    ...can.map((text): [string, string] => ['can', text]),
    ...missing.map((text): [string, string] => ['needs', text]),
  ];
  return [path, ...all.map(([what, text]) => `  ${what.padEnd(9)}  ${text}`)].join('\n');
}
