/** The running kernel's memory, as a thread maps it. */
import { MappedFile } from '../src/files/mapped-file';
import { KlpflowError } from '../src/diagnostics';
import { ImageMemory, ftraceSites } from '../src/kernel-image';
import type { KernelListing } from '../src/kernel/listing';
import { contentDigest } from '../src/records';
import type { Side } from '../src/stages/side/side';
import { KernelCode, Placement, isUnit } from '../src/stages/running-kernel/image';
import type { ImageFacts } from '../src/pipeline/types';

export function kernelCode({ memory, form, machine, wrappers, path }: ImageFacts, listing: KernelListing): KernelCode {
  const { bytes } = MappedFile.open(memory.path, path);
  // Written without a sync: after a power failure it may be torn, and zeros would be another kernel.
  if (bytes.length !== memory.size || contentDigest(bytes) !== memory.digest)
    throw new KlpflowError('malformed-image', `${memory.path}, made of ${path}, is damaged: run again with --fresh`, {
      object: path,
    });
  const image = ImageMemory.of({ form, bytes, machine, wrappers }, path);
  const sites = ftraceSites(image, addressesIn(listing));
  return new KernelCode(listing, image, sites === undefined ? undefined : new Set(sites));
}

/** Addresses of names that the list has once. */
function addressesIn(listing: KernelListing): { addressOf(name: string): number | undefined } {
  const { low, high } = listing.columns;
  return {
    addressOf(name) {
      const [entry, ...others] = listing.find(name);
      return entry === undefined || others.length > 0 ? undefined : (high[entry]! | 0) * 0x100000000 + low[entry]!;
    },
  };
}

/** ORIG in the image: all code of a unit; of a whole kernel that of some functions. */
export function placed(orig: Side, kernel: KernelCode, functions: readonly number[]): Placement {
  const deep = isUnit(orig.table.symbols);
  const sections = deep
    ? Placement.codeSections(orig)
    : [...new Set(functions.map((symbol) => orig.table.section[symbol]!))];
  return new Placement(orig, kernel).settle(sections, deep);
}
