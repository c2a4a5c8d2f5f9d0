/**
 * Debian's stock kernel 6.12 as its archive has it: source, image, headers, fetched with apt-get and unpacked below a folder. What stands there is used
 * again. Without Debian's tools, or where the archive is not reachable, there is a sentence why not.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where packages and trees are kept: 5 GB. */
export const CACHE = process.env['KLPFLOW_E2E_CACHE'] ?? join(tmpdir(), 'klpflow-e2e');

export interface Packages {
  source: string;
  root: string;
  release: string;
  image: string;
}

/** The packages, or why they are not there. */
export function debianKernel(): Packages | string {
  const version = process.env['KLPFLOW_E2E_VERSION'] ?? candidate();
  if (version === undefined) return 'no Debian kernel: apt-cache knows no linux-source-6.12';
  const release = `${version.split('-')[0]}+deb12-amd64`;
  const folder = join(CACHE, version);
  const done = join(folder, 'done');
  const packages = {
    source: join(folder, 'source/usr/src/linux-source-6.12.tar.xz'),
    root: join(folder, 'root'),
    release,
    image: join(folder, `root/boot/vmlinuz-${release}`),
  };
  if (existsSync(done)) return packages;
  const pool = join(folder, 'pool');
  mkdirSync(pool, { recursive: true });
  const names = ['linux-source-6.12', `linux-image-${release}-unsigned`, `linux-headers-${release}`];
  const fetched = spawnSync('apt-get', ['download', ...names.map((name) => `${name}=${version}`)], {
    cwd: pool,
    encoding: 'utf8',
  });
  if (fetched.status !== 0)
    return `no Debian kernel: apt-get download says ${(fetched.stderr ?? String(fetched.error)).trim().split('\n').at(-1)}`;
  for (const name of readdirSync(pool)) {
    const to = name.startsWith('linux-source') ? 'source' : 'root';
    const unpacked = spawnSync('dpkg-deb', ['-x', name, join(folder, to)], { cwd: pool, encoding: 'utf8' });
    if (unpacked.status !== 0) return `no Debian kernel: dpkg-deb: ${unpacked.stderr}`;
  }
  writeFileSync(done, '');
  return packages;
}

function candidate(): string | undefined {
  const { stdout } = spawnSync('apt-cache', ['policy', 'linux-source-6.12'], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  return /Candidate: (\d\S+deb12\S*)/.exec(stdout ?? '')?.[1];
}
