/** The kernel's source as the user has it: a folder or a tarball. It is read, and never written to. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { KlpflowError, fileError } from '../diagnostics';
import { fileIdentity } from '../files/mapped-file';
import { failure, run, succeed, type Command } from './command';

export interface Source {
  path: string;
  /** `built`: a folder whose objects are taken along. */
  kind: 'folder' | 'tarball' | 'built';
  /** What tells it from any other, and from itself after a change: by what stat says of the file, or of every file of the folder. */
  identity: string;
  /** About what it takes unpacked, in bytes. */
  bytes: number;
}

/** What builds and version control leave in a tree: not copied, so that the copy is built from sources alone. */
const LEFT_OUT = [
  '.git',
  '*.o',
  '*.ko',
  '*.a',
  '*.mod',
  '*.mod.c',
  '*.cmd',
  '*.order',
  '*.d',
  './vmlinux*',
  './.config*',
  './System.map',
  './Module.symvers',
  './include/config',
  './include/generated',
  './arch/*/include/generated',
];

/** What a tarball becomes, in the ratio of today's xz and of none. */
const UNPACKED = { packed: 12, plain: 1.2 };

/** @throws KlpflowError `unreadable`, `not-kernel-source` */
export async function sourceOf(path: string, signal: AbortSignal | undefined, built = false): Promise<Source> {
  let stats: ReturnType<typeof statSync>;
  try {
    stats = statSync(path);
  } catch (cause) {
    throw fileError(path, cause, 'read');
  }
  if (stats.isFile()) {
    const { device, inode, size, mtimeNs, ctimeNs } = fileIdentity(path);
    const packed = /\.(?:xz|gz|bz2|zst|tgz|txz)$/.test(path) ? UNPACKED.packed : UNPACKED.plain;
    return { path, kind: 'tarball', identity: [device, inode, size, mtimeNs, ctimeNs].join(), bytes: size * packed };
  }
  checkSource(path, path);
  const args = ['.', '-name', '.git', '-prune', '-o', '-type', 'f', '-printf', '%P\t%i\t%s\t%T@\t%C@\n'];
  const { stdout } = await succeed({ program: 'find', args, cwd: path, signal }, `find in ${path}`, 'unreadable');
  const bytes = stdout.split('\n').reduce((sum, line) => sum + Number(line.split('\t')[2] ?? 0), 0);
  return { path, kind: built ? 'built' : 'folder', identity: createHash('sha256').update(stdout).digest('hex'), bytes };
}

/** Puts the sources into an empty folder. @throws KlpflowError `not-kernel-source`, `no-space`, `interrupted` */
export async function copySource(
  { path, kind }: Source,
  to: string,
  command: Pick<Command, 'env' | 'log' | 'signal' | 'watch'>,
): Promise<void> {
  const unpack = kind === 'tarball' ? ['-xf', resolve(path), '--strip-components=1'] : ['-xf', '-'];
  const args = [...unpack, '--no-same-owner', '-C', to];
  const own: Command = { program: 'tar', args, cwd: to, ...command, env: { ...threads(), ...command.env } };
  if (kind === 'tarball') {
    const ended = await run(own);
    if (ended.status !== 0) throw failure(ended, own, `unpacking ${path}`, 'not-kernel-source');
  } else {
    // One program reads and another writes: what is copied goes through a pipe that only they hold.
    const left = kind === 'built' ? ['.git'] : LEFT_OUT;
    // By nanoseconds, which make goes by.
    const excluded = ['--format=posix', ...left.map((pattern) => `--exclude=${pattern}`)];
    // A source that nobody may write to becomes a tree that make writes to.
    excluded.push('--mode=u+w');
    const script =
      'set -o pipefail; from=$1; to=$2; shift 2; tar -C "$from" "$@" -cf - . | tar -xf - --no-same-owner -C "$to"';
    await succeed(
      { ...command, program: 'bash', args: ['-c', script, 'copy', resolve(path), to, ...excluded], cwd: to },
      `copying ${path}`,
      'not-kernel-source',
    );
  }
  checkSource(to, path);
}

/** tar has xz read the tarball: on all processors where it was written in blocks, as Debian's are, unless the user says otherwise. */
function threads(): Record<string, string> {
  const { XZ_DEFAULTS, XZ_OPT } = process.env;
  return (XZ_DEFAULTS ?? XZ_OPT) === undefined ? { XZ_OPT: '-T0' } : {};
}

/** A folder with some of the files, those that there are: of a tarball they are unpacked into `to`, a folder needs no copy. @throws KlpflowError `not-kernel-source`, `interrupted` */
export async function someFiles(
  { path, kind }: Source,
  names: readonly string[],
  to: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (kind !== 'tarball') return path;
  // The folder at the top of a tarball may be called anything.
  const patterns = ['Makefile', 'Kconfig', ...names].map((name) => `*/${name.replace(/[*?[\]\\]/g, '\\$&')}`);
  const options = ['--strip-components=1', '--no-same-owner', '--wildcards', '--no-wildcards-match-slash'];
  const own: Command = {
    program: 'tar',
    args: ['-xf', resolve(path), ...options, '-C', resolve(to), ...patterns],
    cwd: to,
    env: threads(),
    signal,
  };
  const ended = await run(own);
  // tar's 2 is also for a name that is not there: that is for whoever asks for the file.
  if (ended.status !== 0 && !existsSync(join(to, 'Makefile')))
    throw failure(ended, own, `unpacking ${path}`, 'not-kernel-source');
  checkSource(to, path);
  return to;
}

function checkSource(folder: string, path: string): void {
  if (!existsSync(join(folder, 'Makefile')) || !existsSync(join(folder, 'Kconfig')) || versionOf(folder) === undefined)
    throw new KlpflowError(
      'not-kernel-source',
      `${path} holds no kernel source (no Makefile with a VERSION, or no Kconfig, at its top)`,
      {
        object: path,
      },
    );
}

/** `VERSION.PATCHLEVEL.SUBLEVEL` of the tree's Makefile. */
export function versionOf(tree: string): string | undefined {
  const text = readFileSync(join(tree, 'Makefile'), 'latin1');
  const parts = ['VERSION', 'PATCHLEVEL', 'SUBLEVEL'].map(
    (name) => new RegExp(`^${name}\\s*=\\s*(\\d+)\\s*$`, 'm').exec(text)?.[1],
  );
  return parts.includes(undefined) ? undefined : parts.join('.');
}

/**
 * Whether a tree may be a release's: its version begins the release. Ubuntu and SUSE name releases `6.8.0-45-generic` whatever the third
 * number of the tree is.
 */
export function versionFits(version: string, release: string): boolean {
  const [major, minor, patch] = version.split('.');
  const [, theirMajor, theirMinor, theirPatch = '0'] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release) ?? [];
  return major === theirMajor && minor === theirMinor && (patch === theirPatch || theirPatch === '0');
}
