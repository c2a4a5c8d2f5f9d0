/** Keeps what went wrong, shrunk: sources, objects, what klpflow made of them; so many of each kind. */
import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Made, Tried } from './loop';
import type { Program } from './model';
import { kindOf, shrink } from './shrink';
import { fileOf, pairOf, type Pair, type Trial } from './trial';

const MOST = 3;

/** A pair as folders `orig` and `patched`, as one file for `--pair`, and what the trial has of objects. */
export function writePair(trial: Trial, pair: Pair, folder: string, words: string): void {
  for (const side of ['orig', 'patched'] as const) {
    for (const { path, text } of pair[side]) {
      mkdirSync(dirname(join(folder, side, path)), { recursive: true });
      writeFileSync(join(folder, side, path), text.join('\n'));
    }
    for (const [from, to] of [
      ['.o', '.o'],
      ['', '.image'],
    ] as const)
      if (existsSync(trial.path(trial.file(side) + from)))
        cpSync(trial.path(trial.file(side) + from), join(folder, side + to), { preserveTimestamps: true });
  }
  for (const name of [...trial.target.formats.map(fileOf), 'list', 'Module.symvers', 'template.ko'])
    if (existsSync(trial.path(name))) cpSync(trial.path(name), join(folder, name), { preserveTimestamps: true });
  writeFileSync(join(folder, 'README'), words);
  writeFileSync(join(folder, 'pair.json'), `${JSON.stringify(pair, null, 1)}\n`);
}

/** Kinds of the items that differ. */
function edited(orig: Program, patched: Program): string[] {
  const of = (program: Program): Map<number, string> =>
    new Map(
      program.units.flatMap(({ path, items }) => items.map((item) => [item.id, JSON.stringify({ ...item, path })])),
    );
  const [before, after] = [of(orig), of(patched)];
  const ids = new Set([...before.keys(), ...after.keys()].filter((id) => before.get(id) !== after.get(id)));
  const kinds = [orig, patched].flatMap(({ units }) =>
    units.flatMap(({ items }) => items.filter(({ id }) => ids.has(id)).map(({ kind }) => kind)),
  );
  return kinds.length === 0 ? ['program'] : [...new Set(kinds)].sort();
}

export async function keep(
  trial: Trial,
  { index, cc, edits, judged, made }: Tried & { made: Made },
  seed: number,
  folder: string,
): Promise<void> {
  const told = new Set<string>();
  for (const outcome of judged?.outcomes ?? []) {
    const kind = kindOf(outcome);
    if (outcome.end !== 'wrong' || told.has(kind)) continue;
    told.add(kind);
    const { orig, patched } = await shrink(trial, made, outcome.dialect, kind);
    const name =
      `${edited(orig, patched).join('+')}-${kind.replace(/^refused: /, '').replace(/[^a-z0-9]+/gi, '-')}`.slice(0, 90);
    mkdirSync(folder, { recursive: true });
    const number = readdirSync(folder).filter((other) => other.replace(/-\d+$/, '') === name).length + 1;
    if (number > MOST) continue;
    const pair = pairOf(orig, patched);
    const { outcomes } = await trial.judge(pair);
    const now = outcomes
      .map(({ dialect, end, why }) => `${dialect}: ${end}${why.length > 0 ? `: ${why.join('; ')}` : ''}\n`)
      .join('');
    const { emulator } = trial.target;
    const under = emulator.length > 0 ? `, each under ${emulator.join(' ')}` : '';
    const words =
      `${now}\nFound as seed ${seed}, patch ${index}; ${cc}; ${edits.join(', ')}. Shrunk; sources in orig/ and patched/.\n` +
      `Again: npm run test:live -- --pair pair.json [--keep FOLDER]. By hand: orig.image list; patched.image list; orig.image list LIVEPATCH Module.symvers${under}\n` +
      `Compiled with: ${cc} ${pair.flags.join(' ')} and for each unit ${pair.orig.map((unit) => `${unit.path}: ${unit.flags.join(' ')}`).join('; ')}\n`;
    writePair(trial, pair, join(folder, `${name}-${number}`), words);
  }
}
