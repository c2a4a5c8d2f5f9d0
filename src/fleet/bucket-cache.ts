/** What was fetched from a bucket, on this machine's disk: ten patches of a kernel have one original. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { temporaryOutput } from '../files/output-file';
import type { Blob } from './digest';

/** Twenty kernels with all debugging information. */
const MOST_BYTES = 20e9;
/** No cell takes longer from its first file to its last look at it. */
const IN_USE_MS = 6 * 3600 * 1000;
const TOUCH_MS = 3600 * 1000;

export class BucketCache {
  /** Thrown where what came is not what was asked for. */
  readonly other = new Error('another content');
  private readonly coming = new Map<string, Promise<string>>();

  constructor(
    readonly folder: string,
    private readonly most = MOST_BYTES,
  ) {}

  /** A file with this content; `fetch` is asked for it where there is none. */
  file(blob: Blob, fetch: () => Promise<Readable>): Promise<string> {
    const { sha256: digest } = blob;
    const under = this.coming.get(digest);
    if (under !== undefined) return under;
    const found = this.look(blob, fetch).finally(() => this.coming.delete(digest));
    this.coming.set(digest, found);
    return found;
  }

  private async look(blob: Blob, fetch: () => Promise<Readable>): Promise<string> {
    const path = join(this.folder, blob.sha256);
    const now = new Date();
    const found = await stat(path).catch(() => undefined);
    if (found?.size === blob.bytes) {
      // Not each time: by these times it is known that its digest was looked at.
      if (now.getTime() - found.mtimeMs > TOUCH_MS) await utimes(path, now, now);
      return path;
    }
    await mkdir(this.folder, { recursive: true });
    const temporary = temporaryOutput(path);
    const hash = createHash('sha256');
    let bytes = 0;
    const check = new Transform({
      transform: (chunk: Buffer, _, done) => {
        bytes += chunk.length;
        hash.update(chunk);
        // An endless answer must not fill the disk.
        done(bytes > blob.bytes ? this.other : null, chunk);
      },
    });
    try {
      await pipeline(await fetch(), check, createWriteStream(temporary));
      if (bytes !== blob.bytes || hash.digest('hex') !== blob.sha256) throw this.other;
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
    await this.prune();
    return path;
  }

  /** What was not used for longest goes, but nothing that a cell may be reading. */
  private async prune(): Promise<void> {
    const files = await Promise.all(
      (await readdir(this.folder)).map(async (name) => {
        const path = join(this.folder, name);
        const found = await stat(path).catch(() => undefined);
        return { path, bytes: found?.size ?? 0, used: found?.mtimeMs ?? 0 };
      }),
    );
    let sum = files.reduce((all, { bytes }) => all + bytes, 0);
    for (const { path, bytes, used } of files.sort((a, b) => a.used - b.used)) {
      if (sum <= this.most || Date.now() - used < IN_USE_MS) return;
      await rm(path, { force: true });
      sum -= bytes;
    }
  }
}
