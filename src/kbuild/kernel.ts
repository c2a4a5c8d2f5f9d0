/** The kernel that a livepatch is for: its files, and what its image says of itself. */
import { existsSync } from 'node:fs';
import { KlpflowError, diagnostic, type Diagnostic } from '../diagnostics';
import { hasKlpBuild } from '../arch';
import { machineName } from '../elf/machines';
import { readText } from '../files/whole-file';
import { KernelImage } from '../kernel-image';
import type { ImageFacts } from '../pipeline/types';
import { filesOf, findKernel, lookedFor, type KernelPlaces, type KernelRequest } from './kernel-files';

export interface Kernel {
  release: string;
  image: string;
  facts: ImageFacts;
  /** The text, and the file that it is from. */
  config: { text: string; path: string };
  symvers: string | undefined;
  modules: string | undefined;
}

/**
 * Finds a kernel's files and reads its image. @returns no kernel, and what is missing, where it is not all there
 * @throws KlpflowError what is wrong with the image
 */
export async function readKernel(
  request: KernelRequest,
  facts: (image: string) => Promise<ImageFacts>,
): Promise<{ kernel: Kernel | undefined; diagnostics: Diagnostic[] }> {
  const places: KernelPlaces = findKernel(request);
  const { image } = places.files;
  if (image === undefined || !existsSync(image))
    return { kernel: undefined, diagnostics: [absent('image', places, request)] };
  const found = await facts(image);
  const release = found.build.release ?? places.release;
  if (release === undefined)
    return {
      kernel: undefined,
      diagnostics: [
        diagnostic(
          'kernel-not-found',
          `${image} does not say which release it is: pass --kernel RELEASE and --vmlinux ${image}`,
        ),
      ],
    };
  // Of an image that was named by its path, the release says where the rest is.
  const files = { ...filesOf(release, request.root), ...defined(places.files) };
  const config =
    files.config === undefined ? await embedded(image) : { text: readText(files.config), path: files.config };
  if (config === undefined) return { kernel: undefined, diagnostics: [absent('config', { release, files }, request)] };
  const { symvers, modules } = files;
  return {
    kernel: { release, image, facts: found, config, symvers, modules },
    diagnostics: otherRelease(release, places, image),
  };
}

const NAMES = { image: 'image', config: 'configuration' } as const;
const FLAGS = { image: '--vmlinux FILE', config: '--config FILE' } as const;

function absent(kind: 'image' | 'config', { release }: KernelPlaces, { root }: KernelRequest): Diagnostic {
  const where = release === undefined ? '' : `; it was looked for at ${lookedFor(kind, release, root)}`;
  return diagnostic(
    'kernel-not-found',
    `the ${NAMES[kind]} of kernel ${release ?? ''} is not there (${FLAGS[kind]})${where}`,
  );
}

function otherRelease(release: string, places: KernelPlaces, image: string): Diagnostic[] {
  return places.release === undefined || places.release === release
    ? []
    : [diagnostic('build-release', `${image} says that it is ${release}, not ${places.release}`, { object: image })];
}

/** @throws KlpflowError `unsupported-object` */
export function checkMachine({ facts, image }: Kernel): void {
  // Units are finished by objtool's passes, as klp-build has them done.
  if (!hasKlpBuild(facts.machine))
    throw new KlpflowError(
      'unsupported-object',
      `${image} is for ${machineName(facts.machine)}, and kernels are compiled only where objtool finishes their objects`,
      { object: image },
    );
}

async function embedded(image: string): Promise<Kernel['config'] | undefined> {
  const text = (await KernelImage.open(image)).config;
  return text === null ? undefined : { text, path: image };
}

function defined<T extends object>(files: T): Partial<T> {
  return Object.fromEntries(Object.entries(files).filter(([, path]) => path !== undefined)) as Partial<T>;
}

/** What the banner says of who built it when, for those few units that have it in their code; the environment of the build. */
export function pinned({ facts }: Kernel): Record<string, string> {
  const [, user = 'klpflow', host = 'klpflow'] =
    /^Linux version \S+ \(([^@)]*)@([^)]*)\)/.exec(facts.build.banner ?? '') ?? [];
  const [, version = '1', rest = ''] = /#(\S+) (.*)$/.exec(facts.build.banner ?? '') ?? [];
  const timestamp = rest.replace(/^(?:SMP|PREEMPT(?:_DYNAMIC|_RT|_LAZY)?|\s)+/, '').trim();
  return {
    KBUILD_BUILD_USER: user,
    KBUILD_BUILD_HOST: host,
    KBUILD_BUILD_VERSION: version,
    KBUILD_BUILD_TIMESTAMP: timestamp === '' ? 'Thu Jan 1 00:00:00 UTC 1970' : timestamp,
  };
}
