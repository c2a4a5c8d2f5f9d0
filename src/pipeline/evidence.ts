/** What proves that a livepatch that was written fits the kernel that it is for, and what nothing proved. */
import { ElfObject } from '../elf';
import { readTemplate } from '../livepatch/ko';
import type { KlpSymbolReport } from '../stages/extract';
import type { Census } from './census';
import type { KernelSources } from './kernel';
import type { OutputRequest } from './output';

/** One thing that must be so: what proves it; or, where nothing does, what is assumed in its place and what would prove it. */
export interface Proof {
  proven: boolean;
  by: string;
}

export interface Evidence {
  /** The kernel that it is for, and what says so; null where no file does. */
  release: { name: string; from: string } | null;
  /** That ORIG is the code that runs. `census`: how many of its functions do, by object whose running code was seen. */
  code: Proof & { census: Record<string, Census> };
  /** That each name with its position means the symbol that was meant. */
  positions: Proof;
  /** CRCs of what is imported, and the layout of the structs that a module shares with the kernel; null for an object, which has neither. */
  versions: Proof | null;
  layouts: Proof | null;
}

const IMAGE = 'pass its image (--vmlinux /boot/vmlinuz-RELEASE)';

/** What a livepatch patches, and where each module's code was seen: its file, by name. */
export interface Seen {
  objects: ReadonlyArray<{ name: string; klpSymbols: readonly KlpSymbolReport[] }>;
  census: ReadonlyMap<string, Census>;
  modules: ReadonlyMap<string, string>;
}

/** What contradicted a file of the kernel was refused before. */
export function evidenceOf(
  wanted: OutputRequest,
  { image, linked, listing, symvers, btf }: KernelSources,
  { objects, modules, census }: Seen,
): Evidence {
  const template = wanted.format === 'ko' ? wanted.template : undefined;
  const ofModule = wanted.format === 'ko';
  return {
    release: releaseOf(image, template),
    code: {
      ...codeProof(image, linked, listing?.path, { objects, modules, census }),
      census: Object.fromEntries(census),
    },
    positions: positionProof(listing?.path, objects),
    versions: ofModule
      ? image === null
        ? { proven: false, by: `${symvers?.path ?? 'nothing'} is taken on trust: ${IMAGE}` }
        : {
            proven: true,
            by:
              symvers === null || wanted.symvers === undefined
                ? image.path
                : `${symvers.path} agrees with ${image.path}`,
          }
      : null,
    layouts: ofModule ? layoutProof(image, btf, template, wanted.format === 'ko' ? wanted.btf : undefined) : null,
  };
}

function releaseOf(image: KernelSources['image'], template: string | undefined): Evidence['release'] {
  const own = image?.build.release ?? image?.build.vermagic?.split(' ')[0];
  if (image !== null && own != null && own !== '') return { name: own, from: image.path };
  if (template === undefined) return null;
  const [name = ''] = readTemplate(ElfObject.open(template)).vermagic.split(' ');
  return name === '' ? null : { name, from: template };
}

function codeProof(
  image: KernelSources['image'],
  linked: boolean,
  listing: string | undefined,
  { objects, modules, census }: Seen,
): Proof {
  const names = objects.map(({ name }) => name);
  const unseen = names.filter((name) => name !== 'vmlinux' && !modules.has(name));
  const files = names.flatMap((name) => modules.get(name) ?? []);
  const vmlinux = names.includes('vmlinux');
  const kernel = image?.path ?? (linked ? listing : undefined);
  if (vmlinux && kernel !== undefined) files.unshift(kernel);
  const parts = [
    ...(files.length === 0
      ? []
      : [
          `the replaced functions stand in ${files.join(', ')} byte for byte, and their references lead there to what they name`,
        ]),
    ...[...census].map(([name, counts]) => reportCensus(names.length > 1 ? `${name}'s ` : '', counts)),
    ...(unseen.length === 0 ? [] : [`the file of ${unseen.join(', ')} was not seen (--module-image)`]),
    ...(!vmlinux || kernel !== undefined
      ? []
      : [
          listing === undefined
            ? `no file of the running kernel was seen: ${IMAGE}`
            : `${listing} has the functions and symbols, their code was not compared: ${IMAGE}`,
        ]),
  ];
  return { proven: unseen.length === 0 && (!vmlinux || kernel !== undefined), by: parts.join('; ') };
}

function reportCensus(whose: string, { functions, equal, differing, missing, overridden, first }: Census): string {
  const number = (value: number): string => value.toLocaleString('en-US');
  if (equal === functions) return `so do all ${number(functions)} of ${whose === '' ? 'its ' : whose}functions`;
  const rest = [
    ...(differing === 0 ? [] : [`${number(differing)} differ`]),
    ...(missing === 0 ? [] : [`${number(missing)} are missing there`]),
    ...(overridden === 0 ? [] : [`${number(overridden)} are weak and overridden`]),
  ];
  return `so do ${number(equal)} of all ${number(functions)} ${whose}functions (${rest.join(', ')}${first === null ? '' : `; the first is ${first}`})`;
}

function positionProof(
  listing: string | undefined,
  objects: ReadonlyArray<{ klpSymbols: readonly KlpSymbolReport[] }>,
): Proof {
  const all = objects.flatMap(({ klpSymbols }) => klpSymbols);
  const unseen = all.filter(({ evidence }) => evidence.includes('was not seen'));
  const counted = `${all.length} ${all.length === 1 ? 'symbol' : 'symbols'}`;
  if (unseen.length === 0)
    return {
      proven: true,
      by:
        all.length === 0
          ? 'nothing is looked up'
          : `${counted}${listing === undefined ? '' : `, each found in ${listing}`}`,
    };
  return {
    proven: false,
    by: `${unseen.length} of ${counted} by ORIG alone: ${listing === undefined ? IMAGE : 'pass /proc/kallsyms with the module loaded'}`,
  };
}

function layoutProof(
  image: KernelSources['image'],
  btf: string | undefined,
  template: string | undefined,
  given: string | undefined,
): Proof {
  if (image?.types != null)
    return { proven: true, by: given === undefined ? image.path : `${given} agrees with ${image.path}` };
  if (template !== undefined && btf === undefined)
    return {
      proven: false,
      by: `struct module is as ${template} has it, the livepatch structs as kernels usually have them: ${IMAGE} or --btf`,
    };
  return {
    proven: false,
    by: `${btf ?? 'nothing'} is taken on trust${template === undefined ? `: ${IMAGE}` : `, and fits the size of struct module in ${template}`}`,
  };
}
