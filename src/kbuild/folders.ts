import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Nothing there is compiled into an x86-64 kernel. */
const ASIDE = new Set(['Documentation', 'LICENSES', 'scripts', 'tools', 'samples', 'arch', '.git']);

/** Folders at the top of a tree that hold the kernel's code. */
export function codeFolders(tree: string): string[] {
  return [
    ...readdirSync(tree, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !ASIDE.has(entry.name))
      .map(({ name }) => name),
    ...(existsSync(join(tree, 'arch/x86')) ? ['arch/x86'] : []),
  ];
}
