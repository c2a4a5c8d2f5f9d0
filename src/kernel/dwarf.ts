import type { ElfObject } from '../elf';
import { DwarfReader, type Entry } from './dwarf-reader';

const STRUCTURE = 0x13;
const BYTE_SIZE = 0x0b;

/**
 * Sizes in bytes of the named structs that an object's own debug information (DWARF 2 to 5) describes. It is a hint that its user
 * confirms otherwise: what is damaged, compressed or of another kind ends the search with what was found so far.
 */
export function dwarfStructSizes(object: ElfObject, names: readonly string[]): Record<string, number> {
  const reader = new StructSizes(object, new Set(names));
  reader.read();
  return reader.sizes;
}

class StructSizes extends DwarfReader {
  readonly sizes: Record<string, number> = {};

  constructor(
    object: ElfObject,
    private readonly names: Set<string>,
  ) {
    super(object, new Set([BYTE_SIZE]));
  }

  protected isWanted(tag: number): boolean {
    return tag === STRUCTURE;
  }

  protected entry({ name, numbers }: Entry): boolean {
    const size = numbers.get(BYTE_SIZE) ?? 0;
    if (size > 0 && this.names.delete(name)) this.sizes[name] = size;
    return this.names.size > 0;
  }
}
