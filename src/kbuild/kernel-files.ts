/** Where distributions put what belongs to a kernel: Debian, Ubuntu, Fedora and RHEL, SUSE, Arch; or another machine's files below a root. */
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { release as runningRelease } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { KlpflowError } from '../diagnostics';

/** Places by what lies there; `%` is the release. The first that exists is taken. */
const PLACES = {
  image: [
    'boot/vmlinuz-%',
    'usr/lib/modules/%/vmlinuz',
    'lib/modules/%/vmlinuz',
    'usr/lib/modules/%/vmlinux',
    'boot/Image-%',
    'boot/vmlinux-%',
  ],
  config: [
    'boot/config-%',
    'usr/lib/modules/%/config',
    'lib/modules/%/config',
    'lib/modules/%/build/.config',
    'usr/lib/modules/%/build/.config',
    'usr/src/linux-headers-%/.config',
    'usr/src/kernels/%/.config',
  ],
  symvers: [
    'lib/modules/%/build/Module.symvers',
    'usr/lib/modules/%/build/Module.symvers',
    'usr/src/linux-headers-%/Module.symvers',
    'usr/src/kernels/%/Module.symvers',
    ...['', '.gz', '.xz', '.zst'].flatMap((packed) => [
      `boot/symvers-%${packed}`,
      `usr/lib/modules/%/symvers${packed}`,
      `lib/modules/%/symvers${packed}`,
    ]),
  ],
  modules: ['lib/modules/%/kernel', 'usr/lib/modules/%/kernel'],
} as const;

export type KernelFile = keyof typeof PLACES;

/** Which kernel is meant, and where its files are; undefined for what was not found. */
export interface KernelPlaces {
  release: string | undefined;
  files: Record<KernelFile, string | undefined>;
}

export interface KernelRequest {
  /** A release, or a kernel's image. Default: the running kernel; below a root that is not `/`, the only one there. */
  kernel?: string | undefined;
  root: string;
  /** Given by flag. */
  files: Partial<Record<KernelFile, string | undefined>>;
}

/** @throws KlpflowError `usage` where nothing says which kernel is meant */
export function findKernel({ kernel, root, files }: KernelRequest): KernelPlaces {
  const image = files.image ?? (kernel !== undefined && isFile(kernel) ? kernel : undefined);
  const release =
    kernel !== undefined && kernel !== image ? kernel : image === undefined ? defaultRelease(root) : undefined;
  const found =
    release === undefined
      ? { image: undefined, config: undefined, symvers: undefined, modules: undefined }
      : filesOf(release, root);
  return { release, files: { ...found, ...given({ ...files, image }) } };
}

/** Files of one release below a root. */
export function filesOf(release: string, root: string): Record<KernelFile, string | undefined> {
  const first = (kind: KernelFile): string | undefined => {
    for (const place of PLACES[kind]) {
      const path = inside(root, place.replace('%', release));
      if (path !== undefined) return path;
    }
    return undefined;
  };
  return { image: first('image'), config: first('config'), symvers: first('symvers'), modules: first('modules') };
}

/** Where a file was looked for, for a message. */
export function lookedFor(kind: KernelFile, release: string, root: string): string {
  return PLACES[kind].map((place) => join(root, place.replace('%', release))).join(', ');
}

function given(files: Partial<Record<KernelFile, string | undefined>>): Partial<Record<KernelFile, string>> {
  return Object.fromEntries(Object.entries(files).filter(([, path]) => path !== undefined)) as Partial<
    Record<KernelFile, string>
  >;
}

function defaultRelease(root: string): string {
  if (resolve(root) === '/') return runningRelease();
  const releases = new Set(
    ['lib/modules', 'usr/lib/modules'].flatMap((folder) => {
      const path = inside(root, folder);
      return path === undefined ? [] : readdirSync(path);
    }),
  );
  const [only, ...more] = releases;
  if (only !== undefined && more.length === 0) return only;
  throw new KlpflowError(
    'usage',
    only === undefined
      ? `--root ${root}: there is no kernel (no lib/modules/RELEASE)`
      : `--root ${root}: there are several kernels (${[...releases].slice(0, 5).join(', ')}): say which with --kernel RELEASE`,
  );
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** More links than this are a ring. */
const MOST_LINKS = 40;

/**
 * A path below a root as that machine sees it: `lib/modules/RELEASE/build` is a link to `/usr/src/linux-headers-RELEASE`, which is meant below the
 * root. Undefined where there is nothing.
 */
function inside(root: string, path: string): string | undefined {
  let parts = path.split('/');
  let at = root;
  for (let links = 0; parts.length > 0; ) {
    const part = parts.shift()!;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (resolve(at) !== resolve(root)) at = dirname(at);
      continue;
    }
    const next = join(at, part);
    const stats = lstatSync(next, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (!stats.isSymbolicLink()) {
      at = next;
      continue;
    }
    if (++links > MOST_LINKS) return undefined;
    const target = readlinkSync(next);
    parts = [...target.split('/'), ...parts];
    if (target.startsWith('/')) at = root;
  }
  return existsSync(at) ? at : undefined;
}

/** The distribution of this machine by `ID` and `ID_LIKE` of os-release, for the names of packages. */
export function distribution(): string {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return (text.match(/^ID(?:_LIKE)?=.*$/gm) ?? []).join(' ');
  } catch {
    return '';
  }
}
