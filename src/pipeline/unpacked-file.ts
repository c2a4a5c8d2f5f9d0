import { basename, join } from 'node:path';
import { MappedFile } from '../files/mapped-file';
import { isCompressed, mayBeImage, plainBytes } from '../kernel-image';
import { contentDigest, loadHash, writeKept } from '../records';
import { headOf } from './files';
import { RunDir } from './run-dir';

/** Bytes that tell a compression, and what is within it: x86's setup header is the longest. */
const HEAD = 0x400;

/**
 * A compressed file's content as a file of its own in the run directory, known by its content, so that it can be mapped and is the same input in every run. Undefined for what is not
 * compressed, or cannot be read, which is told by whoever reads it; and for a kernel's image (`Image.gz`), whose wrappers are taken off together.
 * @throws KlpflowError `malformed-image`, `no-space`, `run-dir-unusable`
 */
export async function unpackedFile(runDir: string, path: string, fresh: boolean): Promise<string | undefined> {
  if (!isCompressed(headOf(path, HEAD))) return undefined;
  const { bytes } = MappedFile.open(path);
  const plain = await plainBytes(bytes, path);
  if (mayBeImage(plain.subarray(0, HEAD))) return undefined;
  const { kernels, scratch } = RunDir.open(runDir, fresh);
  await loadHash();
  const name = basename(path).replace(/\.(?:gz|xz|zst|lz4|bz2|lzma)$/, '');
  return writeKept(join(kernels, contentDigest(bytes), name), plain, scratch).path;
}
