/** Modules of the kernel as they are shipped. */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { diagnostic, type Diagnostic } from '../diagnostics';
import { readWhole } from '../files/whole-file';
import { plainBytes } from '../kernel-image';
import { moduleBelow } from '../pipeline/module-beside';
import type { Kernel } from './kernel';

/** The files of modules that are patched: they prove what was compiled, and tell where its symbols are. @returns `module-not-found` for those that are not there */
export function moduleFiles(
  { modules, release }: Pick<Kernel, 'modules' | 'release'>,
  owners: readonly string[],
): { paths: string[]; diagnostics: Diagnostic[] } {
  const paths: string[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const owner of owners) {
    if (owner === 'vmlinux') continue;
    const path = modules === undefined ? undefined : moduleBelow(modules, owner);
    const where = modules === undefined ? '' : ` in ${modules}`;
    if (path !== undefined) paths.push(path);
    else
      diagnostics.push(
        diagnostic('module-not-found', `module ${owner} of ${release} is not there${where}`, { object: owner }),
      );
  }
  return { paths, diagnostics };
}

/** Where kbuild makes a module, by the place of its file: /lib/modules/R/kernel has the tree's folders. Without an ending. */
export function modulePath({ modules }: Pick<Kernel, 'modules'>, owner: string): string | undefined {
  const path = modules === undefined ? undefined : moduleBelow(modules, owner);
  return path === undefined
    ? undefined
    : relative(modules!, path)
        .replace(/^kernel\//, '')
        .replace(/\.ko(?:\.\w+)?$/, '');
}

/** Copies a module's file, decompressed. @throws KlpflowError `unreadable`, `malformed-image` */
export async function unpackModule(path: string, to: string): Promise<void> {
  if (existsSync(to)) return;
  const content = await plainBytes(readWhole(path), path);
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(`${to}.new`, content);
  renameSync(`${to}.new`, to);
}
