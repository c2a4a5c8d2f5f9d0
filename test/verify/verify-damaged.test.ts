/**
 * Damaged modules, and damaged files beside a good one: `verify` reads what others wrote, so that each must end in a result
 * or in a typed error. What this guards against is a stack trace, a result with numbers that are none, and a loop without end.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { verify, type VerifyRequest } from '../../src/verify';
import { kernelFiles, livepatchModule } from '../support/livepatch-module';
import { mutate } from '../support/mutate';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const MUTANTS = 300;

/** What came of it: `result`, or the error's code. @throws what is no typed error */
function outcome(request: VerifyRequest): string {
  try {
    const text = JSON.stringify(verify(request));
    // NaN and Infinity become null, and an offset is never null.
    if (/"(offset|klpSymbols|ordinary|livepatch|sympos)":null/.test(text))
      throw new Error(`a number is none: ${text.slice(0, 500)}`);
    return 'result';
  } catch (error) {
    if (error instanceof KlpflowError && error.code !== 'internal') return error.code;
    throw error;
  }
}

test.each(['module', 'template', 'objects', 'vmlinux'] as const)(
  'a damaged %s ends in a result or a typed error',
  (what) => {
    const files = kernelFiles(folder);
    const module = livepatchModule().module.write(join(folder, 'good.ko'));
    const good: VerifyRequest = { module, ...files };
    expect(outcome(good)).toBe('result');
    const original = readFileSync([good[what]!].flat()[0]!);
    const damaged = join(folder, `damaged-${what}`);
    const outcomes = new Map<string, number>();
    for (let seed = 0; seed < MUTANTS; seed++) {
      const { bytes, done } = mutate(original, seed);
      writeFileSync(damaged, bytes);
      try {
        const came = outcome({ ...good, [what]: what === 'objects' ? [damaged] : damaged });
        outcomes.set(came, (outcomes.get(came) ?? 0) + 1);
      } catch (error) {
        throw new Error(`seed ${seed} (${done.join('; ')}): ${(error as Error).stack}`);
      }
    }
    // The premise: the damage reaches both ends.
    expect(outcomes.get('result')).toBeGreaterThan(MUTANTS / 10);
    expect(outcomes.get('malformed-elf')).toBeGreaterThan(MUTANTS / 20);
  },
);
