/** Module.symvers as Fedora, RHEL and SUSE pack it. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileIdentity } from '../files/mapped-file';
import { unpackModule } from './module-file';

/** The file unpacked, in a folder of klpflow's own; one that is not packed as it is. @throws KlpflowError `unreadable`, `malformed-image` */
export async function plainSymvers(path: string | undefined, folder: string): Promise<string | undefined> {
  if (path === undefined || !/\.(?:gz|xz|zst)$/.test(path)) return path;
  const { device, inode, size, mtimeNs, ctimeNs } = fileIdentity(path);
  const name = createHash('sha256').update([device, inode, size, mtimeNs, ctimeNs].join()).digest('hex').slice(0, 24);
  const plain = join(folder, 'symvers', name);
  await unpackModule(path, plain);
  return plain;
}
