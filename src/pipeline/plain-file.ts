import { lastValueFrom } from 'rxjs';
import { isCompressed } from '../kernel-image';
import { headOf, inputFile } from './files';
import type { Flow } from './flow';
import type { InputFile } from './types';

/** Bytes that tell a compression. */
const HEAD = 16;

/** A file as it is read: what it holds, where it is compressed as distributions ship modules and lists of exports. @throws KlpflowError `malformed-image`, `unreadable` */
export async function plainFile(flow: Flow, path: string): Promise<InputFile> {
  const input = inputFile(path);
  if (!isCompressed(headOf(path, HEAD))) return input;
  const { kernels: folder, scratch } = flow.runDir;
  const kept = await lastValueFrom(
    flow.task('identify', path, 'unpackFile', { input, folder, scratch }, ({ size }) => ({ items: 1, bytes: size })),
  );
  return { ...inputFile(kept.path), called: path };
}
