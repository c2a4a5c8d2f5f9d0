/** Contents by digest. A file is read once; what stat says of it tells whether it is the same still. */
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileError, inputChanged } from '../diagnostics';
import { fileIdentity, sameIdentity, type FileIdentity } from '../files/mapped-file';
import { writeOneOfMany } from '../files/output-file';

/** A content. */
export interface Blob {
  sha256: string;
  bytes: number;
}

/** A file and what it held when it was looked at. */
export interface Digested extends Blob {
  path: string;
  identity: FileIdentity;
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Digests of files, remembered in a folder by what stat says of each. */
export class Digests {
  constructor(private readonly folder: string) {}

  /** @throws KlpflowError `unreadable`, `input-changed` */
  async of(path: string): Promise<Digested> {
    const identity = fileIdentity(path);
    const { device, inode, size, mtimeNs, ctimeNs } = identity;
    const record = join(this.folder, sha256([device, inode, size, mtimeNs, ctimeNs].join()).slice(0, 32));
    const remembered = recorded(record);
    if (remembered !== undefined) return { path, identity, sha256: remembered, bytes: size };
    const hash = createHash('sha256');
    try {
      for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
    } catch (cause) {
      throw fileError(path, cause, 'read');
    }
    const found = { path, identity, sha256: hash.digest('hex'), bytes: size };
    checkSame([found]);
    mkdirSync(this.folder, { recursive: true });
    await writeOneOfMany(record, [Buffer.from(found.sha256)]);
    return found;
  }
}

/** @throws KlpflowError `input-changed` */
export function checkSame(files: readonly Digested[]): void {
  for (const { path, identity } of files) if (!sameIdentity(fileIdentity(path), identity)) throw inputChanged(path);
}

function recorded(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'latin1');
    return /^[0-9a-f]{64}$/.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}
