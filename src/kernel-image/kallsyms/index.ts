import type { ImageMemory } from '../memory';
import { malformed, unusable } from '../unpack/fail';
import { byAddress, decodeAddresses } from './addresses';
import { decodeNames, entriesNamed, isNamed, type ListedNames } from './names';
import { findTables } from './tables';

/** The kernel's own symbol list in its order, which is livepatch's: `/proc/kallsyms` without modules and without a boot. */
export class KallsymsList {
  constructor(
    readonly names: ListedNames,
    /** Signed, never falling. */
    readonly addresses: Float64Array,
  ) {}

  get count(): number {
    return this.names.count;
  }

  name(entry: number): string {
    const { bytes, start, length } = this.names;
    return Buffer.from(bytes.buffer, bytes.byteOffset + start[entry]!, length[entry]).toString('latin1');
  }

  isNamed(entry: number, name: string): boolean {
    return isNamed(this.names, entry, name);
  }

  /** Entries of a name in order. */
  find(name: string): readonly number[] {
    return entriesNamed(this.names, name);
  }

  /** The address of a name that the list has once; undefined for others. */
  addressOf(name: string): number | undefined {
    const entries = this.find(name);
    return entries.length === 1 ? this.addresses[entries[0]!] : undefined;
  }

  /** The first entry at or behind an address. */
  firstAt(address: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (byAddress(this.addresses[middle]!, address) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Letters of variables and constants. */
const DATA = Buffer.from('dDbBrR', 'latin1');

/**
 * Reads the list out of an image.
 * @throws KlpflowError `unusable-image` where it has none, two, or one that is read in no known way; `malformed-image`
 */
export function readKallsyms(memory: ImageMemory): KallsymsList {
  const { bytes, path } = memory;
  const { lists, tables } = findTables(bytes);
  if (lists > 1) unusable(path, `has ${lists} symbol lists: two kernels lie in one file`);
  if (tables === undefined)
    return unusable(
      path,
      'has no symbol list: the kernel was built without CONFIG_KALLSYMS, or the file is no whole kernel',
    );
  const names = decodeNames(bytes, tables, path);
  if (!names.letter.some((letter) => DATA.includes(letter)))
    unusable(path, 'lists functions only: the kernel was built without CONFIG_KALLSYMS_ALL, which livepatch needs');
  const addresses = decodeAddresses(memory, tables, names);
  if (addresses === undefined)
    return malformed(
      path,
      tables.tokenTable,
      `the addresses of its ${tables.count} symbols are laid out in no known way`,
    );
  const list = new KallsymsList(names, addresses);
  if (memory.elf === null) checkEnd(memory, list);
  return list;
}

/** A raw image says nowhere how long its file is: what is loaded ends at `_edata`. */
function checkEnd(memory: ImageMemory, list: KallsymsList): void {
  const end = list.addressOf('_edata');
  if (end !== undefined && memory.locate(end, 0) < 0)
    malformed(
      memory.path,
      memory.bytes.length,
      `the kernel ends ${end - memory.base} bytes from its start: it is cut short`,
    );
}

/** Lines as /proc/kallsyms has them. */
export function kallsymsText({ count, names, addresses }: KallsymsList): Buffer {
  const { bytes, start, length, letter } = names;
  const text = Buffer.alloc(count * 20 + bytes.length);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const address = addresses[i]!;
    // Two's complement in halves: a BigInt for each of 160,000 addresses costs more than all of the rest.
    const high = Math.floor(address / 2 ** 32);
    for (let shift = 28; shift >= 0; shift -= 4) text[end++] = HEX.charCodeAt((high >>> shift) & 0xf);
    for (let shift = 28; shift >= 0; shift -= 4) text[end++] = HEX.charCodeAt((address >>> shift) & 0xf);
    text[end++] = 0x20;
    text[end++] = letter[i]!;
    text[end++] = 0x20;
    for (let at = start[i]!, stop = at + length[i]!; at < stop; at++) text[end++] = bytes[at]!;
    text[end++] = 0x0a;
  }
  return text.subarray(0, end);
}

const HEX = '0123456789abcdef';
