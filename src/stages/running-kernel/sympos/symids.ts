import {
  RELA_WORDS,
  R_OFFSET,
  R_SYM,
  SHT_RELA,
  type ElfFile,
  type ElfImage,
  type ElfObject,
  type SectionIndex,
  type SymbolIndex,
} from '../../../elf';
import type { KernelListing } from '../../../kernel/listing';
import type { Side } from '../../side/side';
import type { Evidence } from './evidence';

const SECTION = '.klp.symid';
/** u64 id, u64 address. */
const ENTRY = 16;

/**
 * `.klp.symid` (objtool --klp-symids, 6.19 on): vmlinux.o numbers its duplicated local symbols, and the final link carries the
 * numbers over and fills in the addresses.
 */
export class Symids implements Evidence {
  readonly text = '.klp.symid';

  private constructor(
    private readonly ids: ReadonlyMap<number, number>,
    private readonly addresses: ReadonlyMap<number, readonly [low: number, high: number]>,
    private readonly orig: Side,
    private readonly listing: KernelListing,
  ) {}

  /** Undefined unless both files have the table. */
  static read(orig: Side, listing: KernelListing): Symids | undefined {
    const { image } = listing;
    const inOrig = sectionNamed(orig.object, SECTION);
    const inImage = image === null ? 0 : sectionNamed(image, SECTION);
    return inOrig === 0 || inImage === 0
      ? undefined
      : new Symids(idsBySymbol(orig.object, inOrig), addressesById(image!, inImage), orig, listing);
  }

  entryOf(
    symbol: SymbolIndex,
    _namesakes: readonly SymbolIndex[],
    entries: readonly number[],
  ): number | 'contradicts' | undefined {
    const id = this.ids.get(symbol);
    const address = id === undefined ? undefined : this.addresses.get(id);
    if (id === undefined) return undefined;
    if (address === undefined) return 'contradicts';
    const { low, high, size } = this.listing.columns;
    const there = entries.filter((entry) => low[entry] === address[0] && high[entry] === address[1]);
    // An empty variable may share its address with the next one (`features` of two units in a 7.2 kernel).
    return there.find((entry) => size[entry] === this.orig.table.size[symbol]) ?? there[0] ?? 'contradicts';
  }
}

/** Number of the first section of this name, 0 if there is none. */
function sectionNamed(file: ElfFile, name: string): number {
  const { bytes } = file;
  const wanted = Buffer.from(`${name}\0`, 'latin1');
  for (let section = 1; section < file.sectionCount; section++) {
    const at = file.nameOffset(section);
    let i = 0;
    while (i < wanted.length && bytes[at + i] === wanted[i]) i++;
    if (i === wanted.length) return section;
  }
  return 0;
}

/** The id of each symbol that the relocations of ORIG's table name. */
function idsBySymbol(orig: ElfObject, section: SectionIndex): Map<number, number> {
  const ids = new Map<number, number>();
  const content = viewOf(orig.content(section));
  for (let rela = 1; rela < orig.sectionCount; rela++) {
    if (orig.type(rela) !== SHT_RELA || orig.info(rela) !== section) continue;
    const words = orig.relas(rela);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const entry = words[at + R_OFFSET]! - 8;
      if (words[at + R_OFFSET + 1] === 0 && entry >= 0 && entry % ENTRY === 0 && entry + ENTRY <= content.byteLength)
        ids.set(words[at + R_SYM]!, idAt(content, entry, orig.little));
    }
  }
  return ids;
}

function addressesById(image: ElfImage, section: SectionIndex): Map<number, readonly [number, number]> {
  const addresses = new Map<number, readonly [number, number]>();
  const content = viewOf(image.content(section));
  const { little } = image;
  for (let entry = 0; entry + ENTRY <= content.byteLength; entry += ENTRY) {
    const first = content.getUint32(entry + 8, little);
    const second = content.getUint32(entry + 12, little);
    addresses.set(idAt(content, entry, little), little ? [first, second] : [second, first]);
  }
  return addresses;
}

/** Ids count from 0; one above 2^53 is damage and meets no other. */
function idAt(content: DataView, entry: number, little: boolean): number {
  return Number(content.getBigUint64(entry, little));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
