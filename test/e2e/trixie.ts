/**
 * Debian's kernels of 7.x come with trixie (its backports) and are compiled by its compiler, which needs its C library. So their packages are found through a
 * configuration of apt's own, and they are compiled in a folder with that release (`debootstrap`): nothing of this machine changes.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CACHE } from './packages';

const ARCHIVE = 'http://deb.debian.org/debian';
/** Its backports have 7.3 and 7.2, sid has a later 7.2. */
const SUITES = ['trixie', 'trixie-backports', 'sid'];
/** What builds a kernel that has CONFIG_RUST: without that compiler its configuration would be another. */
const TOOLS =
  'gcc,make,flex,bison,bc,cpio,kmod,rsync,xz-utils,zstd,dwarves,openssl,libelf-dev,libdw-dev,libssl-dev,python3-minimal,perl,rustc,rust-src,bindgen';

/** Folders are mounted at the same paths, for the one process and what it starts: they are gone with it. */
const ENTER = [
  'root=$1; node=$2; shift 2',
  'while [ "$1" != -- ]; do mkdir -p "$root$1" && mount --rbind "$1" "$root$1" || exit 125; shift; done; shift',
  'mkdir -p "$root/usr/local/bin" && touch "$root/usr/local/bin/node" && mount --bind "$node" "$root/usr/local/bin/node" || exit 125',
  'exec chroot "$root" "$@"',
].join('\n');

export interface Trixie {
  /** Words before a program's name. */
  within: string[];
}

/** Has apt know the packages of trixie, for this process and what it starts. @returns why that cannot be */
export function useTrixiePackages(): string | undefined {
  const folder = join(CACHE, 'trixie-apt');
  const config = join(folder, 'apt.conf');
  if (!existsSync(config)) {
    for (const one of ['state/lists/partial', 'cache/archives/partial'])
      mkdirSync(join(folder, one), { recursive: true });
    writeFileSync(join(folder, 'state/status'), '');
    const sources = SUITES.map((suite) => `deb ${ARCHIVE} ${suite} main`);
    writeFileSync(join(folder, 'sources.list'), sources.join('\n'));
    const lines = {
      'Dir::State': join(folder, 'state'),
      'Dir::State::status': join(folder, 'state/status'),
      'Dir::Cache': join(folder, 'cache'),
      'Dir::Etc::sourcelist': join(folder, 'sources.list'),
      'Dir::Etc::sourceparts': '-',
    };
    const text = Object.entries(lines).map(([key, value]) => `${key} "${value}";\n`);
    writeFileSync(`${config}.new`, text.join(''));
    const updated = spawnSync('apt-get', ['update'], {
      env: { ...process.env, APT_CONFIG: `${config}.new` },
      encoding: 'utf8',
    });
    // It ends well where nothing could be fetched.
    const lists = /^[WE]:.*/m.exec(updated.stderr ?? '')?.[0] ?? updated.error?.message;
    if (updated.status !== 0 || lists !== undefined) return `no packages of trixie: apt-get update says ${lists}`;
    renameSync(`${config}.new`, config);
  }
  process.env['APT_CONFIG'] = config;
  return undefined;
}

/** A folder with trixie and what builds kernels (2.5 GB), entered with its own mounts; or why there is none. */
export function trixie(): Trixie | string {
  if (process.getuid?.() !== 0) return 'no trixie: only root can enter a folder as a system';
  const root = join(CACHE, 'trixie');
  if (!existsSync(root)) {
    rmSync(`${root}.new`, { recursive: true, force: true });
    const words = ['--variant=minbase', `--include=${TOOLS}`, 'trixie', `${root}.new`, ARCHIVE];
    const made = spawnSync('debootstrap', words, { encoding: 'utf8' });
    if (made.status !== 0)
      return `no trixie: debootstrap says ${made.error?.message ?? made.stdout.trim().split('\n').at(-1)}`;
    renameSync(`${root}.new`, root);
  }
  const shared = [...new Set(['/dev', '/proc', '/sys', join(__dirname, '../..'), tmpdir(), CACHE])];
  return { within: ['unshare', '--mount', 'sh', '-c', ENTER, 'sh', root, process.execPath, ...shared, '--'] };
}
