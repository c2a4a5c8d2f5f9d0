/**
 * Debian's stock kernels as its archive has them: source, image, headers, fetched with apt-get and unpacked below a folder. What stands there is used
 * again. Without Debian's tools, or where the archive is not reachable, there is a sentence why not. APT_CONFIG may name another configuration of apt's, with
 * suites that this machine does not install from (trixie-backports has 7.3).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where packages and trees are kept: 5 GB. */
export const CACHE = process.env['KLPFLOW_E2E_CACHE'] ?? join(tmpdir(), 'klpflow-e2e');

export interface Packages {
  version: string;
  source: string;
  root: string;
  release: string;
  image: string;
}

/** The packages of a version, or why they are not there. Default: what KLPFLOW_E2E_VERSION names, else the newest of 6.12. */
export function debianKernel(version = process.env['KLPFLOW_E2E_VERSION'] ?? versionsOf('6.12')[0]): Packages | string {
  if (version === undefined) return 'no Debian kernel: apt-cache knows no linux-source-6.12';
  const image = imageOf(version);
  if (image === undefined) return `no Debian kernel: apt-cache knows no image of ${version}`;
  const source = debianSource(version);
  if (!source.startsWith('/')) return source;
  const { release, path, packages } = image;
  const root = join(CACHE, version, 'root');
  const missing = unpacked(
    version,
    'image',
    packages.map((name) => name.replace('%', release)),
    root,
  );
  return missing ?? { version, release, source, root, image: join(root, path.replace('%', release)) };
}

/** The tarball of a version's source, or why it is not there. */
export function debianSource(version: string): string {
  const name = `linux-source-${/^\d+\.\d+/.exec(version)?.[0]}`;
  const folder = join(CACHE, version, 'source');
  return unpacked(version, 'source', [name], folder) ?? join(folder, `usr/src/${name}.tar.xz`);
}

/** A package of the newest version that apt knows, unpacked: the folder, or why it is not there. */
export function debianPackage(name: string): { folder: string } | string {
  const version = madison([name])[0]?.[1];
  if (version === undefined) return `no ${name}: apt-cache knows none`;
  const folder = join(CACHE, version, name);
  return unpacked(version, name, [name], folder) ?? { folder };
}

/** What the archive has of a series (`6.12`), newest first. */
export function versionsOf(series: string): string[] {
  return madison([`linux-source-${series}`]).map(([, version]) => version!);
}

/** How Debian packs a kernel, `%` its release: since 7.x in parts, and the image beside the modules. */
interface Packing {
  /** Of the name of the package with the image: what comes before the release, and behind it. */
  prefix: string;
  suffix: string;
  packages: readonly string[];
  path: string;
}

const PACKINGS: readonly Packing[] = [
  {
    prefix: 'linux-image-',
    suffix: '-unsigned',
    packages: ['linux-image-%-unsigned', 'linux-headers-%'],
    path: 'boot/vmlinuz-%',
  },
  {
    prefix: 'linux-binary-',
    suffix: '',
    packages: ['linux-binary-%', 'linux-base-%', 'linux-modules-%', 'linux-headers-%'],
    path: 'usr/lib/modules/%/vmlinuz',
  },
];

/** Names of packages that hold images say the release; which has a version only the archive says (6.1.187-1: 6.1.0-53). */
function imageOf(version: string): (Packing & { release: string }) | undefined {
  const series = /^\d+\.\d+/.exec(version)?.[0];
  for (const packing of PACKINGS) {
    const { prefix, suffix } = packing;
    const names = apt('apt-cache', ['pkgnames', `${prefix}${series}.`])
      .split('\n')
      .filter((name) => /^[\d.]+(?:-\d+|\+deb\d+)-amd64$/.test(name.slice(prefix.length, name.length - suffix.length)))
      .filter((name) => name.endsWith(suffix));
    const [name] = (names.length === 0 ? [] : madison(names)).find((row) => row[1] === version) ?? [];
    if (name !== undefined) return { ...packing, release: name.slice(prefix.length, name.length - suffix.length) };
  }
  return undefined;
}

/** Rows of package, version, place. */
function madison(names: readonly string[]): string[][] {
  return apt('apt-cache', ['madison', ...names])
    .split('\n')
    .filter((line) => line.includes('|'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
}

function apt(program: string, args: readonly string[]): string {
  return spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } }).stdout ?? '';
}

/** Fetches packages and unpacks them into a folder, unless that is done. @returns why it could not be */
function unpacked(version: string, what: string, names: readonly string[], to: string): string | undefined {
  const folder = join(CACHE, version);
  const done = join(folder, `${what}.done`);
  if (existsSync(done)) return undefined;
  const pool = join(folder, 'pool', what);
  mkdirSync(pool, { recursive: true });
  const fetched = spawnSync('apt-get', ['download', ...names.map((name) => `${name}=${version}`)], {
    cwd: pool,
    encoding: 'utf8',
  });
  if (fetched.status !== 0)
    return `no package of Debian: apt-get download says ${(fetched.stderr ?? String(fetched.error)).trim().split('\n').at(-1)}`;
  for (const name of readdirSync(pool)) {
    const ended = spawnSync('dpkg-deb', ['-x', name, to], { cwd: pool, encoding: 'utf8' });
    if (ended.status !== 0) return `no package of Debian: dpkg-deb: ${ended.stderr}`;
  }
  writeFileSync(done, '');
  return undefined;
}
