import type { ImageMemory } from '../../../kernel-image';
import type { KernelListing } from '../../../kernel/listing';

/** The running kernel as its image has it: memory, and the list of what stands where. */
export class KernelCode {
  constructor(
    readonly listing: KernelListing,
    readonly memory: ImageMemory,
    /** Addresses that ftrace can redirect; undefined where the image does not hold them. */
    readonly sites: ReadonlySet<number> | undefined,
  ) {}

  /** The address of an entry of the list, signed as those of memory are. */
  address(entry: number): number {
    const { low, high } = this.listing.columns;
    return (high[entry]! | 0) * 0x100000000 + low[entry]!;
  }

  /** Addresses at which the list has a name; empty where it does not have it. */
  addressesOf(bytes: Uint8Array, start: number, length: number): number[] {
    return this.listing.findBytes(bytes, start, length).map((entry) => this.address(entry));
  }
}
