import { EHDR_SIZE, SHDR_SIZE, SHN_LORESERVE, SHN_XINDEX, SHT_NOBITS, SHT_NULL, type ElfObject } from '../../elf';
import { setU64 } from '../../elf/encode';

/** A section to be put behind those of a file. */
export interface AppendedSection {
  name: string;
  type: number;
  flags: number;
  align: number;
  entsize: number;
  link: number;
  info: number;
  content: Uint8Array;
}

/** A file with more sections: another header, the bytes behind it as they are up to `kept`, then what is new. */
export interface Appended {
  header: Uint8Array;
  kept: number;
  rest: Uint8Array[];
}

/**
 * What makes `elf` a file with more sections. It stays as it is up to the end of its last section; behind that come those that are new,
 * section names and headers. Existing sections keep their numbers.
 */
export function withSections(elf: ElfObject, added: readonly AppendedSection[]): Appended {
  const { bytes, little } = elf;
  const header = bytes.slice(0, EHDR_SIZE);
  const view = new DataView(header.buffer);
  const count = elf.sectionCount + added.length;
  const short = view.getUint16(62, little);
  const names = short === SHN_XINDEX ? elf.link(0) : short;

  let end = EHDR_SIZE;
  for (let i = 1; i < elf.sectionCount; i++)
    if (i !== names && elf.type(i) !== SHT_NOBITS && elf.type(i) !== SHT_NULL)
      end = Math.max(end, elf.offset(i) + elf.size(i));
  const kept = end;
  const rest: Uint8Array[] = [];
  const append = (content: Uint8Array, align: number): number => {
    const start = Math.ceil(end / align) * align;
    rest.push(new Uint8Array(start - end), content);
    end = start + content.length;
    return start;
  };

  const table = elf.headersOffset;
  const headers = new Uint8Array(count * SHDR_SIZE);
  headers.set(bytes.subarray(table, table + elf.sectionCount * SHDR_SIZE));
  const headerView = new DataView(headers.buffer);
  const nameParts: Uint8Array[] = [elf.content(names)];
  let nameBytes = elf.size(names);
  added.forEach(({ name, type, flags, align, entsize, link, info, content }, i) => {
    const at = (elf.sectionCount + i) * SHDR_SIZE;
    const text = Buffer.from(`${name}\0`);
    headerView.setUint32(at, nameBytes, little);
    headerView.setUint32(at + 4, type, little);
    setU64(headerView, at + 8, flags, little);
    setU64(headerView, at + 24, append(content, align), little);
    setU64(headerView, at + 32, content.length, little);
    headerView.setUint32(at + 40, link, little);
    headerView.setUint32(at + 44, info, little);
    setU64(headerView, at + 48, align, little);
    setU64(headerView, at + 56, entsize, little);
    nameParts.push(text);
    nameBytes += text.length;
  });
  setU64(headerView, names * SHDR_SIZE + 24, append(Buffer.concat(nameParts), 1), little);
  setU64(headerView, names * SHDR_SIZE + 32, nameBytes, little);
  // From 0xff00 on the count stands in section 0.
  if (count >= SHN_LORESERVE) setU64(headerView, 32, count, little);
  setU64(view, 40, append(headers, 8), little);
  view.setUint16(60, count < SHN_LORESERVE ? count : 0, little);
  return { header, kept, rest };
}
