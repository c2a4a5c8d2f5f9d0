/** Files that are given beside the image are checked against it: of two that disagree nobody knows which is the kernel that runs. */
import { diagnostic, type Diagnostic } from '../diagnostics';
import { ElfObject } from '../elf';
import { readText, readWhole } from '../files/whole-file';
import { traceableNames } from '../kernel/ftrace-list';
import { KernelListing } from '../kernel/listing';
import { Symvers } from '../kernel/symvers';
import { readKernelStructs, readTemplate } from '../livepatch/ko';
import { readBtf } from './btf-file';
import type { ImageFacts } from './types';

/** One for each file: the first thing that both say and say differently. @throws KlpflowError for files that cannot be read */
export function contradictions(image: ImageFacts, given: GivenFiles): Diagnostic[] {
  const found: Diagnostic[] = [];
  const check = (path: string | undefined, differs: (path: string) => string | undefined): void => {
    const what = path === undefined ? undefined : differs(path);
    if (what !== undefined)
      found.push(
        diagnostic('kernel-mismatch', `${path} and ${image.path} are of different kernels: ${what}`, { object: path! }),
      );
  };
  check(given.symvers, (path) => otherExports(image, path));
  check(given.btf, (path) => otherTypes(image, path));
  check(given.template, (path) => otherVermagic(image, path));
  check(given.ftrace, (path) => otherFunctions(image, path));
  return found;
}

const hex = (crc: number): string => `0x${crc.toString(16).padStart(8, '0')}`;

function otherExports({ exports, path: imagePath }: ImageFacts, path: string): string | undefined {
  const theirs = Symvers.parse(readText(exports.path), imagePath);
  const ours = Symvers.parse(readText(path), path);
  for (const [name, { crc, owner, namespace }] of ours.entries()) {
    if (owner !== 'vmlinux') continue;
    const other = theirs.get(name);
    if (other === undefined) return `${name} is exported by the one and not by the other`;
    if (other.crc !== crc) return `${name} has version ${hex(crc)} and ${hex(other.crc)}`;
    if (other.namespace !== namespace) return `${name} is exported to "${namespace}" and "${other.namespace}"`;
  }
  for (const [name] of theirs.entries())
    if (ours.get(name) === undefined) return `${name} is exported by the other and not by the one`;
  return undefined;
}

/** Only what a livepatch fills in: a unit's types, made for want of the kernel's, lack the rest. */
function otherTypes({ types, path: imagePath }: ImageFacts, path: string): string | undefined {
  if (types === null) return undefined;
  const theirs = readKernelStructs(readWhole(types.path), imagePath);
  const ours = readKernelStructs(readBtf(path).bytes, path);
  for (const name of ['module', 'klp_patch', 'klp_object', 'klp_func', 'klp_callbacks', 'klp_state'] as const)
    if (JSON.stringify(sorted(ours[name])) !== JSON.stringify(sorted(theirs[name])))
      return `struct ${name} is laid out differently (${ours[name].size} and ${theirs[name].size} bytes)`;
  return undefined;
}

const sorted = ({ size, offsets }: { size: number; offsets: Readonly<Record<string, number>> }): unknown => [
  size,
  Object.entries(offsets).sort(([a], [b]) => (a < b ? -1 : 1)),
];

function otherVermagic({ build }: ImageFacts, path: string): string | undefined {
  const { vermagic } = readTemplate(ElfObject.open(path));
  return build.vermagic === null || vermagic.trim() === build.vermagic.trim()
    ? undefined
    : `vermagic is "${vermagic.trim()}" and "${build.vermagic.trim()}"`;
}

/** The list is of a running kernel, which may have given memory back: it may lack names, but has none that the image lacks. */
function otherFunctions({ symbols, path: imagePath }: ImageFacts, path: string): string | undefined {
  const listing = KernelListing.open(symbols.path, imagePath);
  for (const name of traceableNames(readText(path), 'vmlinux', path))
    if (listing.find(name).length === 0) return `the one lists ${name}, which the other does not have`;
  return undefined;
}

/** The files that a request names of the kernel. */
export interface GivenFiles {
  vmlinux?: string | undefined;
  symvers?: string | undefined;
  btf?: string | undefined;
  template?: string | undefined;
  ftrace?: string | undefined;
  /** Finished modules, of what is compared. */
  moduleImages?: readonly string[] | undefined;
}
