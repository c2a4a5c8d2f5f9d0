/** The kernel that a livepatch is for: its files, and what its image says of itself. */
import { existsSync } from 'node:fs';
import { KlpflowError, diagnostic, type Diagnostic } from '../diagnostics';
import { hasKlpBuild } from '../arch';
import { machineName } from '../elf/machines';
import { readText } from '../files/whole-file';
import { KernelImage } from '../kernel-image';
import type { ImageFacts } from '../pipeline/types';
import { parseConfig } from './config';
import { filesOf, findKernel, lookedFor, type KernelPlaces, type KernelRequest } from './kernel-files';

/** The image, and what it says. */
interface ReadImage {
  path: string;
  facts: ImageFacts;
}

/** An image that is not at hand, or that tells nothing: why, in a few words, and what is said where it is needed. */
export interface NoImage {
  why: string;
  refusal: Diagnostic;
}

export interface Kernel {
  release: string;
  image: ReadImage | null;
  /** Null where there is an image. */
  noImage: NoImage | null;
  /** The text, and the file that it is from. */
  config: { text: string; path: string };
  symvers: string | undefined;
  modules: string | undefined;
}

/**
 * Finds a kernel's files and reads its image. @returns no kernel, and what is missing, where too little is there: the configuration must be
 * @throws KlpflowError what is wrong with the image
 */
export async function readKernel(
  request: KernelRequest,
  facts: (image: string) => Promise<ImageFacts>,
): Promise<{ kernel: Kernel | undefined; diagnostics: Diagnostic[] }> {
  const places: KernelPlaces = findKernel(request);
  const seen = await imageOf(places, request, facts);
  const image = 'facts' in seen ? seen : null;
  const release = image?.facts.build.release ?? places.release;
  if (release === undefined)
    return {
      kernel: undefined,
      diagnostics: [
        'refusal' in seen
          ? seen.refusal
          : diagnostic(
              'kernel-not-found',
              `${seen.path} does not say which release it is: pass --kernel RELEASE and --vmlinux ${seen.path}`,
            ),
      ],
    };
  // Of an image that was named by its path, the release says where the rest is.
  const files = { ...filesOf(release, request.root), ...defined(places.files) };
  // An image that is named is meant; and a release of which nothing is there is a wrong one.
  const named = request.files.image !== undefined;
  if ('refusal' in seen && (named || files.config === undefined || !existsSync(files.config)))
    return { kernel: undefined, diagnostics: [seen.refusal] };
  const config =
    files.config === undefined
      ? image && (await embedded(image.path))
      : { text: readText(files.config), path: files.config };
  if (config === null) return { kernel: undefined, diagnostics: [absent('config', { release, files }, request)] };
  const { symvers, modules } = files;
  return {
    kernel: { release, image, noImage: 'refusal' in seen ? seen : null, config, symvers, modules },
    diagnostics: image === null ? [] : otherRelease(release, places, image.path),
  };
}

/** @throws KlpflowError what is wrong with an image that was named, or that holds something else than it should */
async function imageOf(
  places: KernelPlaces,
  request: KernelRequest,
  facts: (image: string) => Promise<ImageFacts>,
): Promise<ReadImage | NoImage> {
  const { image } = places.files;
  if (image === undefined || !existsSync(image))
    return {
      why: `no image of ${places.release ?? 'the kernel'} is at hand`,
      refusal: absent('image', places, request),
    };
  try {
    return { path: image, facts: await facts(image) };
  } catch (cause) {
    const named = request.files.image !== undefined || image === request.kernel;
    if (named || !(cause instanceof KlpflowError) || cause.code !== 'unusable-image') throw cause;
    return { why: cause.message, refusal: cause.diagnostic };
  }
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
export function checkMachine({ image }: Kernel): void {
  // Units are finished by objtool's passes, as klp-build has them done.
  if (image !== null && !hasKlpBuild(image.facts.machine))
    throw new KlpflowError(
      'unsupported-object',
      `${image.path} is for ${machineName(image.facts.machine)}, and kernels are compiled only where objtool finishes their objects`,
      { object: image.path },
    );
}

async function embedded(image: string): Promise<Kernel['config'] | null> {
  const text = (await KernelImage.open(image)).config;
  return text === null ? null : { text, path: image };
}

/** What compiled the kernel: its banner says it, else its configuration, which was made with that compiler. */
export function compilerOf({ image, config }: Pick<Kernel, 'image' | 'config'>): string | null {
  if (image !== null) return image.facts.build.compiler;
  return parseConfig(config.text).get('CC_VERSION_TEXT')?.replaceAll('"', '') ?? null;
}

function defined<T extends object>(files: T): Partial<T> {
  return Object.fromEntries(Object.entries(files).filter(([, path]) => path !== undefined)) as Partial<T>;
}

/** What the banner says of who built it when, for those few units that have it in their code; the environment of the build. */
export function pinned({ image }: Kernel): Record<string, string> {
  const banner = image?.facts.build.banner ?? '';
  const [, user = 'klpflow', host = 'klpflow'] = /^Linux version \S+ \(([^@)]*)@([^)]*)\)/.exec(banner) ?? [];
  const [, version = '1', rest = ''] = /#(\S+) (.*)$/.exec(banner) ?? [];
  const timestamp = rest.replace(/^(?:SMP|PREEMPT(?:_DYNAMIC|_RT|_LAZY)?|\s)+/, '').trim();
  return {
    KBUILD_BUILD_USER: user,
    KBUILD_BUILD_HOST: host,
    KBUILD_BUILD_VERSION: version,
    KBUILD_BUILD_TIMESTAMP: timestamp === '' ? 'Thu Jan 1 00:00:00 UTC 1970' : timestamp,
  };
}
