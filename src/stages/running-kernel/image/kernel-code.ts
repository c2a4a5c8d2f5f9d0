import type { ImageMemory } from '../../../kernel-image';
import type { KernelListing } from '../../../kernel/listing';

/** What runs as its image has it, the kernel or one of its modules: memory, and the list of what stands where. */
export class KernelCode {
  constructor(
    readonly listing: KernelListing,
    readonly memory: Pick<ImageMemory, 'bytesAt' | 'holds' | 'has'>,
    /** Addresses that ftrace can redirect; undefined where the image does not hold them. */
    readonly sites: ReadonlySet<number> | undefined,
    /** Of a module, what it refers to in other objects; then it has all names that its units refer to. */
    readonly imports: ReadonlyMap<string, number> | null = null,
  ) {}

  /** Whether what stands at an address was written after the link: ids of BTF, which a unit compiled without CONFIG_DEBUG_INFO_BTF has as other data. */
  isFilledLate(address: number): boolean {
    return this.memory.holds('.BTF_ids', address);
  }

  /** How the kernel keeps memory from being written to; undefined where it does not, or nothing tells. */
  protectionOf(address: number): 'read-only' | 'read-only after boot' | undefined {
    if (this.memory.holds('.data..ro_after_init', address) || this.between('ro_after_init', address))
      return 'read-only after boot';
    return this.between('rodata', address) ? 'read-only' : undefined;
  }

  /** Whether an address lies between the linker's marks of a stretch (`__start_rodata`, `__end_rodata`). */
  private between(stretch: string, address: number): boolean {
    const [start, end] = ['start', 'end'].map((bound) => this.listing.find(`__${bound}_${stretch}`));
    if (start?.length !== 1 || end?.length !== 1) return false;
    return address >= this.address(start[0]!) && address < this.address(end[0]!);
  }

  /** The address of an entry of the list, signed as those of memory are. */
  address(entry: number): number {
    const { low, high } = this.listing.columns;
    return (high[entry]! | 0) * 0x100000000 + low[entry]!;
  }

  /** Addresses at which the list has a name; empty where it does not have it. */
  addressesOf(bytes: Uint8Array, start: number, length: number): number[] {
    const found = this.listing.findBytes(bytes, start, length).map((entry) => this.address(entry));
    if (this.imports === null) return found;
    const imported = this.imports.get(Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('utf8'));
    return imported === undefined ? found : [...found, imported];
  }
}
