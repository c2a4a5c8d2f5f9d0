import { chmod, stat } from 'node:fs/promises';
import { ElfObject } from '../../elf';
import { writeAtomically } from '../../files/output-file';
import { hasChecksums, withChecksums } from './checksum/section';
import { symbolChecksums } from './checksum';

export interface ChecksumRequest {
  path: string;
  /** Compute, and write nothing. */
  dryRun: boolean;
  /** Full names of symbols whose hash is told part by part. */
  debug: readonly string[];
  tell: (line: string) => void;
  warn: (message: string) => void;
}

/**
 * Adds `.discard.sym_checksum` to an object, in place; an object that has it is left alone.
 * @throws KlpflowError as `symbolChecksums`; for files that cannot be read or written
 */
export async function addChecksums({ path, dryRun, debug, tell, warn }: ChecksumRequest): Promise<void> {
  const elf = ElfObject.open(path);
  const present = hasChecksums(elf);
  // There is nothing to tell or to write.
  if (present && debug.length === 0) {
    if (!dryRun) warn('file already has .discard.sym_checksum section, skipping');
    return;
  }
  const { symbols, unknown } = symbolChecksums(elf, { debug: new Set(debug), tell });
  for (const name of unknown) warn(`--debug-checksum: can't find '${name}'`);
  if (present && !dryRun) warn('file already has .discard.sym_checksum section, skipping');
  if (present || dryRun) return;
  const { mode } = await stat(path);
  await writeAtomically(path, withChecksums(elf, symbols));
  await chmod(path, mode);
}
