import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { KlpflowError, fileError } from '../diagnostics';
import type { FileIdentity } from '../elf';
import type { RecordPlace } from './types';

/** Layout of a run directory; another number is another layout. */
const LAYOUT = 1;
const MARKER = 'klpflow-run.json';

/**
 * A run directory: results by what they depend on.
 *
 *   inputs/<identity>.pb            content digest of a file, by what stat says of it
 *   objects/<digest>/table.pb       columns of an object's symbols and sections
 *   objects/<digest>/digest-F-T.pb  content digests of symbols F to T
 *   objects/<digest>/special-K.pb   special-section entries, K from the entry sizes that were given
 *   pairs/<digest>--<digest>/K.pb   the outcome of a pair, K from the options that matter
 *
 * Nothing is locked: every file is written whole under a temporary name and renamed, and two runs that write the same
 * file write the same bytes.
 */
export class RunDir {
  private constructor(readonly path: string) {}

  /**
   * Opens a run directory, made if it does not exist.
   * @throws KlpflowError `run-dir-unusable` for one of another version or a folder that holds something else
   */
  static open(path: string): RunDir {
    const root = resolve(path);
    const marker = join(root, MARKER);
    try {
      mkdirSync(root, { recursive: true });
      if (!existsSync(marker)) {
        const others = readdirSync(root).filter((name) => !name.startsWith(`.${MARKER}`));
        if (others.length > 0) throw new KlpflowError('run-dir-unusable', `${root} is not empty and not a klpflow run directory`, { object: root });
        const temporary = join(root, `.${MARKER}.${process.pid}.tmp`);
        writeFileSync(temporary, `${JSON.stringify({ layout: LAYOUT })}\n`);
        renameSync(temporary, marker);
      }
      RunDir.check(root, marker);
    } catch (cause) {
      throw fileError(root, cause, 'write');
    }
    return new RunDir(root);
  }

  /** Opens one that exists, changing nothing. @throws KlpflowError `run-dir-unusable` */
  static existing(path: string): RunDir {
    const root = resolve(path);
    if (!existsSync(join(root, MARKER))) throw new KlpflowError('run-dir-unusable', `${root} is not a klpflow run directory`, { object: root });
    RunDir.check(root, join(root, MARKER));
    return new RunDir(root);
  }

  private static check(root: string, marker: string): void {
    let layout: unknown;
    try {
      layout = (JSON.parse(readFileSync(marker, 'utf8')) as { layout?: unknown }).layout;
    } catch (cause) {
      throw new KlpflowError('run-dir-unusable', `${marker} is damaged`, { object: root }, cause);
    }
    if (layout !== LAYOUT) throw new KlpflowError('run-dir-unusable', `${root} was made by another version of klpflow (layout ${String(layout)}, this one needs ${LAYOUT})`, { object: root });
  }

  input(path: string, identity: FileIdentity): RecordPlace {
    const key = keyOf(identity.device, identity.inode, String(identity.size), identity.mtimeNs, identity.ctimeNs);
    return { file: join(this.path, 'inputs', `${keyOf(resolve(path), key)}.pb`), key };
  }

  table(digest: string): RecordPlace {
    return { file: join(this.path, 'objects', digest, 'table.pb'), key: digest };
  }

  digests(digest: string, from: number, to: number): RecordPlace {
    return { file: join(this.path, 'objects', digest, `digest-${from}-${to}.pb`), key: `${digest}:${from}-${to}` };
  }

  special(digest: string, sizes: string): RecordPlace {
    const key = keyOf(sizes);
    return { file: join(this.path, 'objects', digest, `special-${key}.pb`), key: `${digest}:${key}` };
  }

  outcome(orig: string, patched: string, options: string): RecordPlace {
    const key = keyOf(options);
    return { file: join(this.path, 'pairs', `${orig}--${patched}`, `${key}.pb`), key: `${orig}--${patched}:${key}` };
  }

  /** Removes what runs that were killed left under temporary names; called when no other run is expected to write. */
  removeTemporaries(): void {
    for (const name of readdirSync(this.path, { recursive: true }) as string[]) {
      if (/(^|\/)\.[^/]*\.tmp$/.test(name)) rmSync(join(this.path, name), { force: true });
    }
  }
}

function keyOf(...parts: string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 24);
}
