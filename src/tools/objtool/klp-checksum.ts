import { ElfObject } from '../../elf';
import { changeAtomically } from '../../files/changed-file';
import { checksumThreads, fillChecksums } from '../../pipeline/checksum';
import { CheckedObject, checkProcessor } from '../../stages/checksum';
import type { Appended } from './append';
import { hasChecksums, withChecksums } from './checksum/section';
import { reportChecksums } from './checksum/tell';

export interface ChecksumRequest {
  path: string;
  /** Compute, and write nothing. */
  dryRun: boolean;
  /** Where klpflow's own diff compares, which needs none: the object is looked at, and only what is to be told is computed. */
  withoutChecksums?: boolean | undefined;
  /** Full names of symbols whose hash is told part by part. */
  debug: readonly string[];
  tell: (line: string) => void;
  warn: (message: string) => void;
}

/**
 * Adds `.discard.sym_checksum` to an object, in place; an object that has it is left alone. Values are those of objtool 7.2, but for references
 * to strings of 2- and 4-byte units and to constants in sections without entry size, of which objtool sees too little.
 * @throws KlpflowError `unsupported-object`, `malformed-elf`, `input-too-large`; for files that cannot be read or written
 */
export async function addChecksums(request: ChecksumRequest): Promise<void> {
  const { path, dryRun, debug, withoutChecksums = false, tell, warn } = request;
  const elf = ElfObject.open(path);
  const read = (): CheckedObject => {
    const object = CheckedObject.read(elf);
    for (const name of reportChecksums(object, debug, tell)) warn(`--debug-checksum: can't find '${name}'`);
    return object;
  };
  if (withoutChecksums) {
    if (debug.length === 0) checkProcessor(elf);
    else read();
    return;
  }
  const present = hasChecksums(elf);
  // There is nothing to tell or to write.
  if (present && debug.length === 0) {
    if (!dryRun) warn('file already has .discard.sym_checksum section, skipping');
    return;
  }
  const make = async (): Promise<Appended> => {
    const object = read();
    await fillChecksums(object, checksumThreads(elf.bytes.length));
    return withChecksums(elf, object.records());
  };
  if (!present && !dryRun) return changeAtomically(elf.file, make);
  await make();
  if (!dryRun) warn('file already has .discard.sym_checksum section, skipping');
}
