/** ORIG in what runs: the kernel's image, or the finished module. */
import { ElfObject } from '../src/elf';
import { KlpflowError } from '../src/diagnostics';
import { ShippedModule } from '../src/kernel-image';
import { KernelListing } from '../src/kernel/listing';
import type { Side } from '../src/stages/side/side';
import { ImageEvidence, KernelCode, compilerOf, type Placement } from '../src/stages/running-kernel/image';
import { SymbolPositions, type SeenModule } from '../src/stages/running-kernel/sympos';
import type { Copied } from './dialect';
import { read } from './inputs';
import { kernelCode, placed } from './kernel-code';
import type { ImageFacts, InputFile } from '../src/pipeline/types';

export interface Proof {
  kernel: KernelCode;
  placement: Placement;
  /** What compiled it. */
  compiler: string | null;
  /** Of a module its own symbols. */
  module: SeenModule | null;
}

export interface SeenKernel {
  objectName: string;
  listing: KernelListing | null;
  image: ImageFacts | null;
  moduleFile: InputFile | null;
}

/** Null where no image of the object was given. @throws KlpflowError what is wrong with it */
export function proofOf(
  { objectName, listing, image, moduleFile }: SeenKernel,
  { orig, included }: Copied,
): Proof | null {
  const functions = included.map(({ origin }) => origin).filter((origin) => origin !== 0);
  if (objectName !== 'vmlinux')
    return moduleFile === null ? null : moduleProof(objectName, moduleFile, orig, functions);
  if (listing === null || image === null) return null;
  const kernel = kernelCode(image, listing);
  return { kernel, placement: placed(orig, kernel, functions), compiler: image.build.compiler, module: null };
}

function moduleProof(name: string, moduleFile: InputFile, orig: Side, functions: readonly number[]): Proof {
  const file = read(moduleFile, (path, called) => new ShippedModule(ElfObject.open(path, called)));
  if (file.name !== name || file.object.machine !== orig.object.machine)
    throw new KlpflowError('not-a-module', `${file.path} is not the module ${name} of ORIG's processor`, {
      object: file.path,
    });
  const listing = KernelListing.ofModule(file.columns, file.path);
  const kernel = new KernelCode(listing, file, file.sites, file.imports);
  const placement = placed(orig, kernel, functions);
  const symbols = {
    path: file.path,
    // The list finds them by address; their order is that of the table.
    entriesOf: (bytes: Uint8Array, start: number, length: number) =>
      listing.findBytes(bytes, start, length).sort((a, b) => a - b),
    isGlobal: (entry: number) => file.isGlobal(entry),
    isDropped: (entry: number) => file.isDropped(entry),
  };
  return {
    kernel,
    placement,
    compiler: compilerOf(file.object),
    module: {
      file: symbols,
      shown: new ImageEvidence(placement, kernel, "the module's file, by equal code and what it refers to"),
    },
  };
}

export function positionsOf(
  orig: Side,
  objectName: string,
  listing: KernelListing | null,
  proof: Proof | null,
): SymbolPositions {
  const shown = proof === null || proof.module !== null ? null : new ImageEvidence(proof.placement, proof.kernel);
  return new SymbolPositions(orig, objectName, listing, shown, proof?.module ?? null);
}
