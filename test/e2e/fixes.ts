/** Real fixes without their commits: what one file differs by between two releases of Debian's source, each a patch for the older one's kernel. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildResult } from '../../src/index';
import { unpackModule } from '../../src/kbuild/module-file';
import { moduleBeside } from '../../src/pipeline/module-beside';
import type { TrialReport } from '../boot/report';
import { CACHE, debianSource, type Packages } from './packages';

export interface Fix {
  /** In the tree: `fs/namei.c`. */
  path: string;
  patch: string;
}

/** Files that may be code of an x86-64 kernel. */
const CODE = /^(?!(?:Documentation|tools|scripts|samples|usr|arch\/(?!x86\/))).*\.[ch]$/;

/** Kept, for unpacking both takes a minute. */
export function fixesBetween(older: string, newer: string): Fix[] {
  const kept = join(CACHE, `${older}..${newer}.diff`);
  if (!existsSync(kept)) {
    const folder = join(CACHE, 'trees');
    rmSync(folder, { recursive: true, force: true });
    for (const [name, version] of Object.entries({ old: older, new: newer })) {
      mkdirSync(join(folder, name), { recursive: true });
      run('tar', ['-xf', debianSource(version), '-C', name, '--strip-components=1'], folder);
    }
    // Exit code 1 says that they differ.
    writeFileSync(
      `${kept}.new`,
      run('diff', ['-r', '-u', '-x', 'Documentation', '-x', 'tools', 'old', 'new'], folder, 1),
    );
    renameSync(`${kept}.new`, kept);
    rmSync(folder, { recursive: true, force: true });
  }
  return readFileSync(kept, 'latin1')
    .split(/^(?:diff -r .*|Only in .*|Binary files .*)\n/m)
    .flatMap((patch) => {
      const path = /^\+\+\+ new\/(\S+)/m.exec(patch)?.[1];
      return path === undefined || !CODE.test(path) ? [] : [{ path, patch }];
    });
}

function run(program: string, args: readonly string[], cwd: string, status = 0): Buffer {
  const ended = spawnSync(program, args, { cwd, maxBuffer: 1 << 30 });
  if (ended.status !== status) throw new Error(`${program}: ${ended.error ?? ended.stderr}`);
  return ended.stdout;
}

/** `failed` is what must not be; the others are answers. */
export type Outcome = 'written' | 'refused' | 'unchanged' | 'not in this kernel' | 'does not compile alone' | 'failed';

const NOT_APPLICABLE: readonly string[] = ['patch-not-applicable', 'patch-reversed', 'patch-fuzz', 'patch-adds-file'];

export function outcomeOf(status: number | null, codes: readonly string[]): Outcome {
  if (codes.includes('internal')) return 'failed';
  if (status === 0) return 'written';
  if (status === 3) return 'unchanged';
  if (codes.includes('unit-not-built')) return 'not in this kernel';
  // One of another series than the kernel is.
  if (codes.some((code) => NOT_APPLICABLE.includes(code))) return 'not in this kernel';
  if (status === 2) return 'refused';
  return codes.includes('compile-failed') ? 'does not compile alone' : 'failed';
}

/** Codes for which a build was refused or ended. */
export function reasonsOf({ diagnostics, diff }: Pick<BuildResult, 'diagnostics'> & Partial<BuildResult>): string[] {
  const all = [...diagnostics, ...(diff?.diagnostics ?? [])];
  return [...new Set(all.filter(({ severity }) => /refusal|error/.test(severity)).map(({ code }) => code))].sort();
}

/** A module of the kernel behind those that it needs, as they are loaded. */
export async function withNeeded(
  { root, image }: Packages,
  names: readonly string[],
  folder: string,
): Promise<Array<{ name: string; content: Buffer }>> {
  const modules = new Map<string, Buffer>();
  const add = async (name: string): Promise<void> => {
    if (modules.has(name)) return;
    const file = moduleBeside(image, name);
    if (file === undefined) throw new Error(`no module ${name} in ${root}`);
    const plain = join(folder, `${name}.ko`);
    await unpackModule(file, plain);
    const content = readFileSync(plain);
    const info = content.toString('latin1');
    const needed = /\0depends=([^\0]*)\0/.exec(info)?.[1] ?? '';
    for (const other of needed.split(',').filter(Boolean)) await add(other.replaceAll('-', '_'));
    // libcrc32c asks the kernel's crypto for crc32c by name when it is loaded.
    const asked = /\0softdep=pre: ([^\0]*)\0/.exec(info)?.[1] ?? '';
    for (const other of asked
      .split(' ')
      .filter(Boolean)
      .map((one) => `${one.replaceAll('-', '_')}_generic`))
      if (moduleBeside(image, other) !== undefined) await add(other);
    modules.set(name, content);
  };
  for (const name of names) await add(name);
  return [...modules].map(([name, content]) => ({ name, content }));
}

/** What a guest told of a livepatch that works; a module for a device that no emulator has does not come, and has nothing to leave. */
export function works({ steps }: TrialReport): boolean {
  const own = steps.filter((step) => !/^(?:come|left|stuck (?:loading|unloading) \S+:)/.test(step));
  return own.join() === 'loaded,patched,unpatched,unloaded';
}
