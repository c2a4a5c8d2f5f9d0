import { expect } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { ElfObject } from '../../src/elf';
import { MappedFile } from '../../src/files/mapped-file';
import { mutate } from './mutate';

/** Runs `action` on mutants of a file; each must give a result or a typed error. @returns how many gave which */
export function survive(
  original: Buffer,
  count: number,
  action: (object: ElfObject) => void,
): { results: number; errors: number } {
  const outcomes = { results: 0, errors: 0 };
  for (let seed = 0; seed < count; seed++) {
    const { bytes, done } = mutate(original, seed);
    try {
      action(new ElfObject(MappedFile.ofBytes(new Uint8Array(bytes), 'mutant')));
      outcomes.results++;
    } catch (error) {
      expect(error, `seed ${seed}: ${done.join('; ')}: ${(error as Error).stack}`).toBeInstanceOf(KlpflowError);
      outcomes.errors++;
    }
  }
  return outcomes;
}
