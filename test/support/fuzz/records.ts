/** Files of a run directory. Whatever is in them, the next run's answer is right. */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { DiffResult } from '../../../src/index';
import { diff } from '../../../src/pipeline/diff';
import type { DiffRequest } from '../../../src/pipeline/diff-options';
import { Random } from '../../../src/synth/random';
import type { Mutant, Subject } from './outcome';
import type { SmallKernel } from './small-kernel';

/** One to three files of a run directory truncated, flipped, exchanged or gone; then the same diff with its module. */
export async function recordSubject(kernel: SmallKernel, folder: string): Promise<Subject> {
  const { orig, patched, symvers, listing, btf, template } = kernel;
  const whole = join(folder, 'whole');
  const runDir = join(folder, 'run');
  const output = join(folder, 'out.ko');
  const request = (dir: string, seed: number): DiffRequest => ({
    orig,
    patched,
    runDir: dir,
    workers: 1,
    ...(seed % 3 === 0 ? {} : { output: { path: output, format: 'ko', symvers, vmlinux: listing, btf, template } }),
  });
  const answer = async (dir: string, seed: number): Promise<string> => {
    rmSync(output, { force: true });
    const { run: _, ...result } = (await diff(request(dir, seed))) as DiffResult;
    return (
      JSON.stringify(result) +
      (existsSync(output) ? createHash('sha256').update(readFileSync(output)).digest('hex') : '')
    );
  };
  const expected = [await answer(whole, 0), await answer(whole, 1)];
  if (JSON.parse(expected[1]!.replace(/[0-9a-f]{64}$/, '')).output === null)
    throw new Error('the premise: a module is written');
  const files = (readdirSync(whole, { recursive: true }) as string[])
    .filter((name) => name.endsWith('.pb') && statSync(join(whole, name)).isFile())
    .sort();
  return {
    codes: new Set(),
    mutant(seed): Mutant {
      const random = new Random(seed, 0x4ec);
      rmSync(runDir, { recursive: true, force: true });
      for (const name of [...files, 'klpflow-run.json']) {
        mkdirSync(dirname(join(runDir, name)), { recursive: true });
        copyFileSync(join(whole, name), join(runDir, name));
      }
      const done = Array.from({ length: 1 + random.below(3) }, () =>
        damage(join(runDir, random.pick(files)), join(whole, random.pick(files)), random).slice(runDir.length + 1),
      );
      return {
        done,
        async run() {
          for (const time of ['first', 'second']) {
            if ((await answer(runDir, seed)) !== expected[seed % 3 === 0 ? 0 : 1])
              return `BUG: another answer at the ${time} run`;
          }
          return 'right';
        },
      };
    },
  };
}

function damage(path: string, other: string, random: Random): string {
  if (!existsSync(path)) return path;
  const bytes = readFileSync(path);
  const dice = random.below(6);
  if (dice === 0) writeFileSync(path, bytes.subarray(0, random.below(bytes.length)));
  else if (dice === 1) rmSync(path);
  else if (dice === 2) copyFileSync(other, path);
  else if (dice === 3) writeFileSync(path, Buffer.concat([bytes, bytes.subarray(0, random.below(bytes.length))]));
  else {
    for (let left = 1 + random.below(3); left > 0; left--) {
      const at = random.chance(30)
        ? bytes.length - 1 - random.below(Math.min(24, bytes.length))
        : random.below(bytes.length);
      bytes[at]! ^= 1 << random.below(8);
    }
    writeFileSync(path, bytes);
  }
  return `${path}: ${['cut', 'gone', `as ${other}`, 'continued', 'flipped', 'flipped'][dice]}`;
}
