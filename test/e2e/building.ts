/** What tests of builds for Debian's stock kernel share: patches of its sources, and `klpflow build` with its files. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import type { BuildResult } from '../../src/index';
import { missingForBoots } from '../boot/root';
import { MAIN } from '../support/run-klpflow';
import { patchOf } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';
import { CACHE, debianKernel, type Packages } from './packages';

export interface Built {
  status: number;
  result: BuildResult;
  path: string;
}

export interface StockKernel {
  folder: string;
  sources: string;
  kernel: Packages;
  /** Why nothing can be built or booted here. */
  reason: string | undefined;
  built(name: string, patches: readonly string[], more?: readonly string[]): Built;
  /** A patch of one line. */
  patch(name: string, file: string, from: string, to: string): string;
  /** A patch of several lines, by diff. */
  edited(name: string, file: string, edit: (text: string) => string): string;
  unpackSources(files: readonly string[]): void;
}

/** The archive may be out of reach anywhere: that is no fault. */
export function skipWithout(context: TestContext, why: string | undefined): void {
  if (why !== undefined) context.skip(why);
}

export function stockKernel(): StockKernel {
  const folder = tempFolder();
  const found = debianKernel();
  const kernel = found as Packages;
  const sources = join(folder, 'sources');
  // Kept from run to run, as a user's is.
  const runs = join(CACHE, 'runs');

  const built: StockKernel['built'] = (name, patches, more = []) => {
    const path = join(folder, `livepatch-${name}.ko`);
    const files = ['--source', kernel.source, '--root', kernel.root, '--run-dir', runs, '-o', path];
    const args = ['build', ...patches, ...files, '--json', '--progress', 'none', ...more];
    let [status, stdout] = [0, ''];
    try {
      stdout = execFileSync(process.execPath, [MAIN, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
        maxBuffer: 1 << 28,
      });
    } catch (cause) {
      ({ status, stdout } = cause as { status: number; stdout: string });
    }
    return { status, result: JSON.parse(stdout) as BuildResult, path };
  };

  const patch: StockKernel['patch'] = (name, file, from, to) => {
    const path = join(folder, `${name}.patch`);
    writeFileSync(path, patchOf(sources, file, from, to));
    return path;
  };

  const edited: StockKernel['edited'] = (name, file, edit) => {
    const [before, after, path] = [join(sources, file), join(folder, 'edited.c'), join(folder, `${name}.patch`)];
    writeFileSync(after, edit(readFileSync(before, 'latin1')), 'latin1');
    const words = ['-u', '--label', `a/${file}`, '--label', `b/${file}`, before, after];
    writeFileSync(path, spawnSync('diff', words, { encoding: 'latin1' }).stdout, 'latin1');
    return path;
  };

  const unpackSources = (files: readonly string[]): void => {
    mkdirSync(sources, { recursive: true });
    const wanted = ['--strip-components=1', '--wildcards', ...files.map((name) => `*/${name}`)];
    execFileSync('tar', ['-xf', kernel.source, '-C', sources, ...wanted]);
  };

  const reason = typeof found === 'string' ? found : missingForBoots();
  return { folder, sources, kernel, reason, built, patch, edited, unpackSources };
}
