import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { MappedFile } from '../../files/mapped-file';
import { unpacked } from './unpack';

/** Compressed files as files of what they hold, in a folder of this run's own: what other commands have kept of them was unpacked by the packages that the verifier checks. */
export class PlainFiles {
  private folder: string | undefined;

  /** The path of what a file holds; undefined for one that is not compressed, or cannot be read, which is told by whoever reads it. @throws KlpflowError `malformed-image` */
  async of(path: string): Promise<string | undefined> {
    // Those have no size and cannot be mapped.
    if (/^\/(?:proc|sys|dev)\//.test(path)) return undefined;
    const bytes = contentOf(path);
    const plain = bytes && (await unpacked(bytes, path));
    if (plain === undefined) return undefined;
    this.folder ??= mkdtempSync(join(tmpdir(), 'klpflow-verify-'));
    const folder = mkdtempSync(join(this.folder, 'file-'));
    const file = join(folder, basename(path).replace(/\.(?:gz|xz|zst|lz4)$/, ''));
    writeFileSync(file, plain);
    return file;
  }

  remove(): void {
    if (this.folder !== undefined) rmSync(this.folder, { recursive: true, force: true });
  }
}

function contentOf(path: string): Uint8Array | undefined {
  try {
    return MappedFile.open(path).bytes;
  } catch {
    return undefined;
  }
}
