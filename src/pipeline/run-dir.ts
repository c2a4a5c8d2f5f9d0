import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { KlpflowError, fileError } from '../diagnostics';
import type { FileIdentity } from '../files/mapped-file';
import { makeFolder, type RecordPlace } from '../records';
import { isTemporary, removeAbandoned, temporaryIn } from '../files/temporary';

/** Layout of a run directory; another number is another layout. */
const LAYOUT = 1;
const MARKER = 'klpflow-run.json';

/**
 * A run directory: results by what they depend on.
 *
 *   inputs/<identity>.pb            content digest of a file, by what stat says of it
 *   copies/<identity>.o             a file of more than 2 GiB without its debugging sections
 *   objects/<digest>/table.pb       columns of an object's symbols and sections
 *   objects/<digest>/digest-F-T.pb  content digests of the symbols at F to T of the column covers
 *   objects/<digest>/special-K.pb   special-section entries, K from the entry sizes that were given
 *   objects/<digest>/census-K.pb    how many of its functions stand in what runs, K from that
 *   pairs/<digest>--<digest>/K.pb   the outcome of a pair, K from the options that matter
 *   pairs/<digest>--<digest>/livepatch-K.pb   what extract made of it, K from the options and the files it read besides
 *   kernels/<digest>/               what a kernel's image says, as the files that it stands for; facts.pb vouches for them. Of a compressed file what it holds
 *   builds/<key>/                   a kernel's tree and what was compiled in it, see src/kbuild/work-tree.ts
 *   cells/                          results of a matrix by job, and its livepatches by content, see src/fleet/store.ts
 *   digests/                        sha256 of a file, by what stat says of it
 *   jobs/                           what a cell of a matrix works in
 *   tmp/                            files that are being written
 *
 * Nothing is locked: every file is written whole under a temporary name and renamed, and two runs that write the same
 * file write the same bytes.
 */
export class RunDir {
  private constructor(readonly path: string) {}

  /**
   * Opens a run directory, made if it does not exist. `fresh` starts over in one that is damaged or of another version.
   * @throws KlpflowError `run-dir-unusable`, `no-space`
   */
  static open(path: string, fresh: boolean): RunDir {
    const root = resolve(path);
    try {
      makeFolder(root);
      const found = inspect(root);
      if (found === 'empty' || (found !== 'usable' && found.ours && fresh)) writeMarker(root);
      else if (found !== 'usable') throw unusable(root, found.problem);
    } catch (cause) {
      const error = fileError(root, cause, 'write');
      throw error.code === 'write-failed' ? unusable(root, error.message) : error;
    }
    return new RunDir(root);
  }

  /**
   * Opens one that exists, changing nothing; undefined where there is none yet.
   * @throws KlpflowError `run-dir-unusable`
   */
  static existing(path: string): RunDir | undefined {
    const root = resolve(path);
    try {
      const found = existsSync(root) ? inspect(root) : 'empty';
      if (found === 'empty') return undefined;
      if (found !== 'usable') throw unusable(root, found.problem);
    } catch (cause) {
      throw cause instanceof KlpflowError ? cause : unusable(root, fileError(root, cause, 'read').message);
    }
    return new RunDir(root);
  }

  input({ device, inode, size, mtimeNs, ctimeNs }: FileIdentity): RecordPlace {
    const key = keyOf(device, inode, String(size), mtimeNs, ctimeNs);
    return this.place(key, 'inputs', `${key}.pb`);
  }

  /** Where the copy of an input that is too large to be mapped lies. */
  copy({ device, inode, size, mtimeNs, ctimeNs }: FileIdentity): string {
    return join(this.path, 'copies', `${keyOf(device, inode, String(size), mtimeNs, ctimeNs)}.o`);
  }

  table(digest: string): RecordPlace {
    return this.place(digest, 'objects', digest, 'table.pb');
  }

  digests(digest: string, from: number, to: number): RecordPlace {
    return this.place(`${digest}:${from}-${to}`, 'objects', digest, `digest-${from}-${to}.pb`);
  }

  special(digest: string, sizes: string): RecordPlace {
    const key = keyOf(sizes);
    return this.place(`${digest}:${key}`, 'objects', digest, `special-${key}.pb`);
  }

  census(digest: string, seen: string): RecordPlace {
    const key = keyOf(seen);
    return this.place(`${digest}:${key}`, 'objects', digest, `census-${key}.pb`);
  }

  outcome(orig: string, patched: string, options: string): RecordPlace {
    const key = keyOf(options);
    return this.place(`${orig}--${patched}:${key}`, 'pairs', `${orig}--${patched}`, `${key}.pb`);
  }

  livepatch(orig: string, patched: string, options: string): RecordPlace {
    const key = keyOf(options);
    return this.place(`${orig}--${patched}:${key}`, 'pairs', `${orig}--${patched}`, `livepatch-${key}.pb`);
  }

  /** Where the facts of kernel images lie, by digest. */
  get kernels(): string {
    return join(this.path, 'kernels');
  }

  /** Where trees of kernels lie that `build` compiles in. */
  get builds(): string {
    return join(this.path, 'builds');
  }

  /** Where files are written before they are renamed. */
  get scratch(): string {
    return join(this.path, 'tmp');
  }

  private place(key: string, ...path: string[]): RecordPlace {
    return { file: join(this.path, ...path), key, scratch: this.scratch };
  }

  /** Removes what runs that were killed left half-written. */
  clean(): void {
    for (const folder of [this.path, this.scratch]) {
      try {
        removeAbandoned(folder);
      } catch {
        // Nothing reads such files: a run that cannot remove them is none the worse.
      }
    }
  }
}

/** What a folder is: a run directory, empty, or something else; `ours` where a marker says that klpflow made it. */
function inspect(root: string): 'usable' | 'empty' | { problem: string; ours: boolean } {
  const marker = join(root, MARKER);
  if (!existsSync(marker)) {
    if (readdirSync(root).every(isTemporary)) return 'empty';
    // Another run may be making the same directory: then its marker came before what else is there.
    if (!existsSync(marker)) return { problem: `${root} is not empty and not a klpflow run directory`, ours: false };
  }
  let layout: unknown;
  try {
    layout = (JSON.parse(readFileSync(marker, 'utf8')) as { layout?: unknown } | null)?.layout;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  if (layout === LAYOUT) return 'usable';
  if (layout === undefined) return { problem: `${marker} is damaged`, ours: true };
  return {
    problem: `${root} was made by another version of klpflow (layout ${JSON.stringify(layout)}, this one needs ${LAYOUT})`,
    ours: true,
  };
}

function unusable(root: string, problem: string): KlpflowError {
  return new KlpflowError('run-dir-unusable', problem, { object: root });
}

/** Synced: without its marker a run directory is a folder of somebody else. */
function writeMarker(root: string): void {
  const temporary = temporaryIn(root, MARKER);
  try {
    const fd = openSync(temporary, 'w');
    try {
      writeSync(fd, `${JSON.stringify({ layout: LAYOUT })}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, join(root, MARKER));
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw cause;
  }
}

function keyOf(...parts: string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 24);
}
