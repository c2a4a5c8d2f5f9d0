/** Where contents and results are kept: each written once and whole, under a name that its content or its job gives. */
import { copyFile, mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { KlpflowError, fileError } from '../diagnostics';
import { temporaryOutput, writeAtomically } from '../files/output-file';
import { sha256, type Blob } from './digest';
import type { CellResult } from './perform';

export interface Store {
  /** As people call it. */
  readonly name: string;
  /** A result by its job; undefined where there is none. @throws KlpflowError `store-unavailable` */
  result(job: string): Promise<string | undefined>;
  /** @throws KlpflowError `no-space`, `store-unavailable` */
  putResult(job: string, text: string): Promise<void>;
  /** Keeps a file's content. @throws KlpflowError `no-space`, `store-unavailable` */
  put(blob: Blob, path: string): Promise<void>;
  /** A file that holds it, which may be in the store itself. @throws KlpflowError `store-unavailable`, `store-damaged` */
  file(blob: Blob): Promise<string>;
}

/** In a folder, which may be shared by many machines. */
export class FolderStore implements Store {
  constructor(readonly name: string) {}

  private blob({ sha256: digest }: Blob): string {
    return join(this.name, 'blobs', digest.slice(0, 2), digest);
  }

  private ofResult(job: string): string {
    return join(this.name, 'results', job.slice(0, 2), `${job}.json`);
  }

  async result(job: string): Promise<string | undefined> {
    try {
      return await readFile(this.ofResult(job), 'utf8');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.unavailable(cause);
    }
  }

  async putResult(job: string, text: string): Promise<void> {
    const path = this.ofResult(job);
    await this.writing(path, () => writeAtomically(path, [Buffer.from(text)]));
  }

  async put(blob: Blob, path: string): Promise<void> {
    const kept = this.blob(blob);
    if ((await stat(kept).catch(() => undefined))?.size === blob.bytes) return;
    const temporary = temporaryOutput(kept);
    await this.writing(kept, async () => {
      try {
        // A file system that can shares the blocks.
        await copyFile(path, temporary, constants.COPYFILE_FICLONE);
        await rename(temporary, kept);
      } finally {
        await rm(temporary, { force: true });
      }
    });
  }

  async file(blob: Blob): Promise<string> {
    const kept = this.blob(blob);
    const found = await stat(kept).catch((cause: unknown) => {
      throw this.unavailable(cause);
    });
    if (found.size !== blob.bytes) throw damaged(this.name, blob);
    return kept;
  }

  private async writing(path: string, write: () => Promise<unknown>): Promise<void> {
    try {
      await mkdir(dirname(path), { recursive: true });
      await write();
    } catch (cause) {
      const error = fileError(this.name, cause, 'write');
      throw error.code === 'no-space' ? error : this.unavailable(cause);
    }
  }

  private unavailable(cause: unknown): KlpflowError {
    const { message } = fileError(this.name, cause, 'read');
    return new KlpflowError('store-unavailable', `the store: ${message}`, { object: this.name }, cause);
  }
}

export function damaged(store: string, { sha256: digest }: Blob): KlpflowError {
  return new KlpflowError('store-damaged', `the store ${store} holds something else under ${digest}`, {
    object: store,
  });
}

/** What a job came to, if that is known. Whoever wrote it there: it must be the result of that job. @throws KlpflowError `store-unavailable`, `store-damaged` */
export async function keptResult(store: Store, job: string): Promise<CellResult | undefined> {
  const text = await store.result(job);
  if (text === undefined) return undefined;
  try {
    const result = JSON.parse(text) as CellResult;
    if (result.schema === 'klpflow/cell@1' && result.job === job) return result;
  } catch {
    // As what is another job's.
  }
  throw new KlpflowError('store-damaged', `the store ${store.name} holds something else as the result of ${job}`, {
    object: store.name,
  });
}

/** Keeps what a job came to: the livepatch first, so that a result never names what is not there. */
export async function keep(store: Store, job: string, text: string, livepatch: string | null): Promise<void> {
  if (livepatch !== null) {
    const bytes = await readFile(livepatch);
    await store.put({ sha256: sha256(bytes), bytes: bytes.length }, livepatch);
  }
  await store.putResult(job, text);
}
