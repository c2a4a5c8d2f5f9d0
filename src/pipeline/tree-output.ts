/** What becomes of the units of a folder: an object each, all of them or none. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { KlpflowError, fileError, cannotWrite } from '../diagnostics';
import { removeAbandonedOutputs, writeAtomically } from '../files/output-file';
import { decodeLivepatch, loadHash, makeFolder, readRecords, type RecordPlace } from '../records';
import { holdsDevices } from './files';
import type { OutputReport } from './output';
import type { OutputFormat } from '../livepatch/formats';

/** A unit's livepatch object as it was recorded. */
export interface UnitLivepatch {
  /** Path in the folder. */
  name: string;
  place: RecordPlace;
}

/**
 * Whether a folder of outputs can be made, before any work: what is linked later is all that lies in it, so it has to be empty or
 * absent, and where no input is looked for.
 * @throws KlpflowError `usage` for a place inside of an input, `write-failed`
 */
export function checkOutputFolder(path: string, inputs: readonly string[]): void {
  const refuse = (why: string): never => {
    throw cannotWrite(path, why);
  };
  const parent = dirname(resolve(path));
  if (!existsSync(parent) || !statSync(parent).isDirectory()) refuse('there is no such folder to make it in');
  if (holdsDevices(realpathSync(parent))) refuse('that is no place for files');
  const place = join(realpathSync(parent), basename(resolve(path)));
  for (const input of inputs) {
    const way = relative(realpathSync(input), place);
    if (way === '' || !way.startsWith('..'))
      throw new KlpflowError(
        'usage',
        `${path} lies in ${input}: its objects would be taken for inputs of the next run`,
      );
  }
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory()) refuse('it is not a folder, and two folders were given');
  if (readdirSync(path).length > 0)
    refuse('it is not empty, and what an earlier run left there would be linked with what this one writes');
}

let serial = 0;

/**
 * Writes the objects under a temporary name beside `path`, which is renamed when all are there. `unchanged` is called before that.
 * @throws KlpflowError `write-failed`, `no-space`, `run-dir-unusable` for a record that went away meanwhile
 */
export async function writeUnits(
  path: string,
  format: OutputFormat,
  units: readonly UnitLivepatch[],
  unchanged: () => void,
): Promise<OutputReport> {
  const target = resolve(path);
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.${serial++}.tmp`);
  const files: NonNullable<OutputReport['files']> = [];
  try {
    await loadHash();
    for (const { name, place } of units) {
      const object = recordedObject(place);
      makeFolder(dirname(join(temporary, name)));
      await writeAtomically(join(temporary, name), [object]);
      files.push({ path: name, bytes: object.length, sha256: createHash('sha256').update(object).digest('hex') });
    }
    unchanged();
    // Over an empty folder this takes its place.
    renameSync(temporary, target);
  } catch (cause) {
    rmSync(temporary, { recursive: true, force: true });
    throw (cause as NodeJS.ErrnoException).syscall === undefined ? cause : fileError(path, cause, 'write');
  }
  await removeAbandonedOutputs(target);
  const list = files.map(({ path: name, sha256 }) => `${sha256}  ${name}\n`).join('');
  return {
    path,
    format,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    sha256: createHash('sha256').update(list).digest('hex'),
    files,
  };
}

function recordedObject({ file, key }: RecordPlace): Uint8Array {
  const messages = readRecords(file, 'livepatch', key);
  const object = typeof messages === 'string' ? undefined : decodeLivepatch(messages[0])?.object;
  if (object === undefined)
    throw new KlpflowError('run-dir-unusable', `${file} was written by this run and is gone or damaged`, {
      object: file,
    });
  return object;
}
