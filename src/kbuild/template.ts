/** A kernel without BTF, or whose image is not at hand: one of its modules tells how it lays out `struct module`. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readWhole } from '../files/whole-file';
import { plainBytes } from '../kernel-image';
import { MODULE_FILE } from '../pipeline/module-beside';
import type { Kernel } from './kernel';
import { unpackModule } from './module-file';

/** So many modules are looked at. */
const TRIED = 20;

/** A module of the kernel, unpacked; undefined where its image has BTF, or no module of its release is there. @throws KlpflowError `unreadable`, `malformed-image` */
export async function templateOf(
  { image, modules, release }: Pick<Kernel, 'image' | 'modules' | 'release'>,
  folder: string,
): Promise<string | undefined> {
  if (image?.facts.types != null || modules === undefined) return undefined;
  const files = readdirSync(modules, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && MODULE_FILE.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
  for (const file of files.slice(0, TRIED)) {
    const text = Buffer.from(await plainBytes(readWhole(file), file)).toString('latin1');
    // A livepatch that was built in the tree is no module of its kernel.
    if (!text.includes(`vermagic=${release} `) || text.includes('\0livepatch=Y\0')) continue;
    const plain = join(folder, 'template', `${createHash('sha256').update(text).digest('hex').slice(0, 24)}.ko`);
    await unpackModule(file, plain);
    return plain;
  }
  return undefined;
}
