/**
 * A store in a bucket of S3's protocol. Endpoint, region and credentials are found as by everything else that speaks it: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID,
 * profiles, the role of a machine or a pod.
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { KlpflowError, fileError } from '../diagnostics';
import { BucketCache } from './bucket-cache';
import type { Blob } from './digest';
import { damaged, type Store } from './store';

/** What one request may carry, by S3's own limits; a vmlinux.o with all debugging information has a fifth of it. */
const LARGEST = 5e9;
const CONNECT_MS = 10_000;
/** A server that sends nothing for so long has gone. */
const SILENT_MS = 60_000;

/** What servers call a quota or a disk that is used up. */
const FULL = /^(?:QuotaExceeded|InsufficientStorage|XMinioStorageFull|StorageFull|EntityTooLarge)$/;

export class BucketStore implements Store {
  private client: Promise<S3Client> | undefined;
  private readonly cache: BucketCache;

  private constructor(
    readonly name: string,
    private readonly bucket: string,
    private readonly prefix: string,
    cache: string,
  ) {
    this.cache = new BucketCache(cache);
  }

  static is(name: string): boolean {
    return name.startsWith('s3://');
  }

  /** Nothing is asked of the server yet. `cache` is a folder of this machine. @throws KlpflowError `usage` */
  static of(name: string, cache: string): BucketStore {
    const [, bucket, prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w./-]*?))?\/?$/.exec(name) ?? [];
    if (bucket === undefined)
      throw new KlpflowError('usage', `--store: ${name} is no bucket: give s3://BUCKET or s3://BUCKET/FOLDER`);
    return new BucketStore(name, bucket, prefix === '' ? '' : `${prefix}/`, cache);
  }

  async result(job: string): Promise<string | undefined> {
    try {
      const { GetObjectCommand } = await import('@aws-sdk/client-s3');
      const { Body } = await (await this.s3()).send(new GetObjectCommand(this.ofResult(job)));
      return await Body!.transformToString();
    } catch (cause) {
      if (statusOf(cause) === 404 && nameOf(cause) !== 'NoSuchBucket') return undefined;
      throw this.failed(cause);
    }
  }

  /** The first that writes it has written it: the others have the same bytes. */
  async putResult(job: string, text: string): Promise<void> {
    await this.create(this.ofResult(job), () => Buffer.from(text), {});
  }

  async put(blob: Blob, path: string): Promise<void> {
    const { sha256: digest, bytes } = blob;
    if (bytes > LARGEST)
      throw new KlpflowError('store-unavailable', `${path} has ${bytes} bytes, and a bucket takes ${LARGEST} at once`, {
        object: path,
      });
    const there = await this.size(blob);
    if (there === bytes) return;
    const ChecksumSHA256 = Buffer.from(digest, 'hex').toString('base64');
    await this.create(
      this.ofBlob(blob),
      () => createReadStream(path),
      { ContentLength: bytes, ChecksumSHA256 },
      there !== undefined,
    );
  }

  async file(blob: Blob): Promise<string> {
    return this.cache
      .file(blob, async () => {
        try {
          const { GetObjectCommand } = await import('@aws-sdk/client-s3');
          const { Body } = await (await this.s3()).send(new GetObjectCommand(this.ofBlob(blob)));
          return Body as Readable;
        } catch (cause) {
          throw this.failed(cause);
        }
      })
      .catch((cause: unknown) => {
        if (cause === this.cache.other) throw damaged(this.name, blob);
        throw cause instanceof KlpflowError ? cause : this.failed(cause);
      });
  }

  private ofBlob({ sha256: digest }: Blob): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: `${this.prefix}blobs/${digest.slice(0, 2)}/${digest}` };
  }

  private ofResult(job: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: `${this.prefix}results/${job.slice(0, 2)}/${job}.json` };
  }

  private async size(blob: Blob): Promise<number | undefined> {
    try {
      const { HeadObjectCommand } = await import('@aws-sdk/client-s3');
      return (await (await this.s3()).send(new HeadObjectCommand(this.ofBlob(blob)))).ContentLength;
    } catch (cause) {
      if (statusOf(cause) === 404) return undefined;
      throw this.failed(cause);
    }
  }

  /** Writes what nobody has written yet; `over` replaces something that is not whole. */
  private async create(
    place: { Bucket: string; Key: string },
    body: () => Buffer | Readable,
    more: { ContentLength?: number; ChecksumSHA256?: string },
    over = false,
  ): Promise<void> {
    try {
      const { PutObjectCommand } = await import('@aws-sdk/client-s3');
      const condition = over ? {} : { IfNoneMatch: '*' };
      await (await this.s3()).send(new PutObjectCommand({ ...place, Body: body(), ...more, ...condition }));
    } catch (cause) {
      // 412: it is there. 409: somebody is writing it at this moment, the same bytes.
      if (over || (statusOf(cause) !== 412 && nameOf(cause) !== 'ConditionalRequestConflict')) throw this.failed(cause);
    }
  }

  private s3(): Promise<S3Client> {
    // A notice about versions of Node, in the middle of a worker's log.
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
    this.client ??= import('@aws-sdk/client-s3').then(({ S3Client: Client }) => {
      const endpoint = process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'];
      return new Client({
        ...(endpoint === undefined ? {} : { endpoint }),
        region: process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
        // Servers of one's own seldom have a name for each bucket.
        forcePathStyle: endpoint !== undefined,
        // Checksums of its own choice come in a form that older servers do not read; klpflow has digests of all contents.
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
        requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENT_MS },
      });
    });
    return this.client;
  }

  private failed(cause: unknown): KlpflowError {
    const { message } = cause as Error;
    const name = nameOf(cause);
    const full = FULL.test(name) || statusOf(cause) === 507;
    if (name === 'ENOSPC' || name === 'EDQUOT') return fileError(this.cache.folder, cause, 'write');
    const why = message === '' || message === 'UnknownError' || message === undefined ? name : `${name}: ${message}`;
    return new KlpflowError(
      full ? 'no-space' : 'store-unavailable',
      `the store ${this.name}: ${why}`,
      { object: this.name },
      cause,
    );
  }
}

function statusOf(cause: unknown): number | undefined {
  return (cause as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}

function nameOf(cause: unknown): string {
  const { code, name, Code } = cause as { code?: string; name?: string; Code?: string };
  return Code ?? (typeof code === 'string' ? code : undefined) ?? name ?? 'no answer';
}

/** The folder of a run directory that holds what was fetched. */
export function cacheOf(runDir: string): string {
  return join(runDir, 'fetched');
}
