import {
  EHDR_SIZE,
  ELFCLASS64,
  ELFDATA2LSB,
  ELFDATA2MSB,
  ELF_MAGIC,
  ET_REL,
  EV_CURRENT,
  SHDR_SIZE,
  SHN_LORESERVE,
  SHN_XINDEX,
  SHT_NOBITS,
  SHT_NULL,
} from './constants';
import { setU64 } from './encode';
import { LINK_SYMTAB, type WriterSections } from './writer-sections';

const RECORD_BYTES = 49_152;

/** What decides the headers besides the sections. */
export interface FileFacts {
  machine: number;
  little: boolean;
  /** e_flags. */
  flags: number;
  symtab: number;
  sectionNames: number;
  symbolIndices: Uint32Array;
}

const HEADERS_PER_CHUNK = 1024;
const ZEROS = new Uint8Array(4096);
/** Up to 16 zeros: what stands between most sections. */
const SMALL_PADDING = Array.from({ length: 17 }, (_, count) => ZEROS.subarray(0, count));

/**
 * Every byte of the file, front to back: file header, sections in order, section headers.
 * All ranges are reserved before the first byte is produced.
 */
export function* filePieces(sections: WriterSections, facts: FileFacts): Generator<Uint8Array> {
  const { contents, count } = sections;
  const { offsets, sizes } = reserve(sections);
  const headersAt = roundUp(offsets[count]!, 8);
  const pass = { symbolIndices: facts.symbolIndices, records: new DataView(new ArrayBuffer(RECORD_BYTES)) };
  yield fileHeader(count, headersAt, facts);
  let at = EHDR_SIZE;
  for (let index = 1; index < count; index++) {
    if (sections.types[index] === SHT_NOBITS) continue;
    if (offsets[index]! > at) yield* padding(offsets[index]! - at);
    let size = 0;
    const content = contents[index]!;
    if (content instanceof Uint8Array) {
      yield content;
      size = content.length;
    } else {
      for (const piece of content.chunks(pass, index)) {
        yield piece;
        size += piece.length;
      }
    }
    if (size !== sizes[index])
      throw new RangeError(`section ${index} gave ${size} bytes where ${sizes[index]} were reserved`);
    at = offsets[index]! + size;
  }
  yield* padding(headersAt - at);
  yield* sectionHeaders(sections, offsets, sizes, facts);
}

/** File offset and size of each section (of SHT_NOBITS, size in memory); one more offset holds the end of the last. */
function reserve(sections: WriterSections): { offsets: Float64Array; sizes: Float64Array } {
  const { count, types, aligns } = sections;
  const offsets = new Float64Array(count + 1);
  const sizes = new Float64Array(count);
  let at = EHDR_SIZE;
  for (let index = 0; index < count; index++) {
    if (types[index] === SHT_NULL) continue;
    sizes[index] = sections.size(index);
    offsets[index] = roundUp(at, aligns[index]!);
    // SHT_NOBITS takes no room: its offset is where it would stand.
    if (types[index] !== SHT_NOBITS) at = offsets[index]! + sizes[index]!;
  }
  offsets[count] = at;
  return { offsets, sizes };
}

function roundUp(value: number, align: number): number {
  return align > 1 ? Math.ceil(value / align) * align : value;
}

function* padding(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= ZEROS.length) yield SMALL_PADDING[left] ?? ZEROS.subarray(0, left);
}

function fileHeader(sectionCount: number, headersAt: number, facts: FileFacts): Uint8Array {
  const bytes = new Uint8Array(EHDR_SIZE);
  const view = new DataView(bytes.buffer);
  const { little } = facts;
  view.setUint32(0, ELF_MAGIC, false);
  bytes.set([ELFCLASS64, little ? ELFDATA2LSB : ELFDATA2MSB, EV_CURRENT], 4);
  view.setUint16(16, ET_REL, little);
  view.setUint16(18, facts.machine, little);
  view.setUint32(20, EV_CURRENT, little);
  setU64(view, 40, headersAt, little);
  view.setUint32(48, facts.flags, little);
  view.setUint16(52, EHDR_SIZE, little);
  view.setUint16(58, SHDR_SIZE, little);
  // A kernel built with function sections has some 200,000 sections: counts that do not fit stand in section header 0.
  view.setUint16(60, sectionCount < SHN_LORESERVE ? sectionCount : 0, little);
  view.setUint16(62, facts.sectionNames < SHN_LORESERVE ? facts.sectionNames : SHN_XINDEX, little);
  return bytes;
}

function* sectionHeaders(
  sections: WriterSections,
  offsets: Float64Array,
  sizes: Float64Array,
  facts: FileFacts,
): Generator<Uint8Array> {
  const { little } = facts;
  const { count } = sections;
  const bytes = new Uint8Array(HEADERS_PER_CHUNK * SHDR_SIZE);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const link = sections.links[index] === LINK_SYMTAB ? facts.symtab : sections.links[index]!;
    const info =
      sections.signatures[index] === 0 ? sections.infos[index]! : facts.symbolIndices[sections.infos[index]!]!;
    const isFirst = index === 0;
    view.setUint32(at, sections.names[index]!, little);
    view.setUint32(at + 4, sections.types[index]!, little);
    setU64(view, at + 8, sections.flags[index]!, little);
    setU64(view, at + 16, 0, little);
    setU64(view, at + 24, offsets[index]!, little);
    setU64(view, at + 32, isFirst && count >= SHN_LORESERVE ? count : sizes[index]!, little);
    view.setUint32(at + 40, isFirst && facts.sectionNames >= SHN_LORESERVE ? facts.sectionNames : link, little);
    view.setUint32(at + 44, info, little);
    setU64(view, at + 48, sections.aligns[index]!, little);
    setU64(view, at + 56, sections.entsizes[index]!, little);
    at += SHDR_SIZE;
    if (at === bytes.length || index === count - 1) {
      yield bytes.subarray(0, at);
      at = 0;
    }
  }
}
