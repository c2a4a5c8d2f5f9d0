/** A module of the kernel as it is shipped, without its compression. */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { readWhole } from '../files/whole-file';
import { plainBytes } from '../kernel-image';

/** Copies a module's file, decompressed. @throws KlpflowError `unreadable`, `malformed-image` */
export async function unpackModule(path: string, to: string): Promise<void> {
  if (existsSync(to)) return;
  const content = await plainBytes(readWhole(path), path);
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(`${to}.new`, content);
  renameSync(`${to}.new`, to);
}
