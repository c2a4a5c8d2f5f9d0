/** Keeps what went wrong: sources, objects, what klpflow made of them. */
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Made, Tried } from './loop';
import type { Pair, Trial } from './trial';

/** A pair as folders `orig` and `patched`, a script that compiles it, and what is there of objects. */
export function writePair(trial: Trial, pair: Pair, folder: string, words: string): void {
  for (const side of ['orig', 'patched'] as const) {
    for (const { path, text } of pair[side]) {
      mkdirSync(dirname(join(folder, side, path)), { recursive: true });
      writeFileSync(join(folder, side, path), text);
    }
  }
  writeFileSync(join(folder, 'README'), words);
  writeFileSync(join(folder, 'pair.json'), `${JSON.stringify(pair, null, 1)}\n`);
  for (const side of ['orig', 'patched'] as const) {
    cpSync(trial.path(`${trial.file(side)}.o`), join(folder, `${side}.o`), { preserveTimestamps: true });
    cpSync(trial.path(trial.file(side)), join(folder, `${side}.image`), { preserveTimestamps: true });
  }
  for (const name of ['klp.o', 'kpatch.o', 'list', 'Module.symvers']) if (existsSync(trial.path(name))) cpSync(trial.path(name), join(folder, name), { preserveTimestamps: true });
}

export async function keep(trial: Trial, tried: Tried & { made: Made }, seed: number, folder: string): Promise<void> {
  const wrong = tried.judged?.outcomes.filter(({ end }) => end === 'wrong') ?? [];
  if (wrong.length === 0) return;
  const words = `seed ${seed}, patch ${tried.index}; ${tried.cc}; ${tried.edits.join(', ')}\n${wrong.map(({ dialect, why }) => `${dialect}: ${why.join('; ')}\n`).join('')}`;
  writePair(trial, tried.made.pair, join(folder, `${seed}-${tried.index}`), words);
}
