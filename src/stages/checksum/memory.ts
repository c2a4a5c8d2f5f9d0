import { KlpflowError } from '../../diagnostics';
import { EHDR_SIZE, SHF_ALLOC, SHT_NOBITS, SHT_RELA, type ElfObject, type SectionIndex } from '../../elf';
import { useHugePages } from '../../files/huge-pages';
import type { SharedMemory } from '../scan';

const PAGE = 65536;
const MOST_PAGES = 65536;
/** WebAssembly keeps its constants in the first page; the file follows. */
export const FILE_AT = PAGE;
/** Bytes behind the file that a read of a whole word, or of an instruction, may touch. */
const SLACK = 64;

/** A kernel with DWARF has 1 to 4 GB, of which all else is a tenth. */
const DEBUG = /^\.(debug_|zdebug_|gnu\.debug|stab)/;

/** Sections that lie closer are copied with what is between them. */
const GAP = 4096;

/** Fresh memory with room for the file, of which nothing is there yet. */
export function newMemory(): SharedMemory {
  return new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES, shared: true });
}

/** Where what follows the file begins. */
export function behindFile(elf: ElfObject): number {
  return FILE_AT + Math.ceil((elf.bytes.length + SLACK) / PAGE) * PAGE;
}

/** More memory, zeroed; threads may ask at the same time. Returns where it begins. @throws KlpflowError `input-too-large` */
export function grow(memory: SharedMemory, bytes: number, path: string): number {
  const pages = Math.ceil(bytes / PAGE);
  try {
    const start = memory.grow(pages) * PAGE;
    if (pages > 1) useHugePages(memory.buffer, start);
    return start;
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new KlpflowError('input-too-large', `${path}: its checksums need more than 4 GiB of memory`, {
      object: path,
    });
  }
}

/**
 * Copies all but debugging sections, which no checksum is made of. Where nothing is written no memory is taken. WebAssembly sees no other memory than its own.
 */
export function copyLoaded(elf: ElfObject, memory: SharedMemory): void {
  const target = new Uint8Array(memory.buffer);
  const copy = (start: number, end: number): void => target.set(elf.bytes.subarray(start, end), FILE_AT + start);
  copy(elf.headersOffset, elf.headersOffset + elf.sectionCount * 64);
  copy(elf.sectionNames.start, elf.sectionNames.end);
  let [from, to] = [EHDR_SIZE, EHDR_SIZE];
  for (let i = 1; i < elf.sectionCount; i++) {
    if (!isNeeded(elf, i)) continue;
    const start = elf.offset(i);
    const end = start + elf.size(i);
    if (start < from || start > to + GAP) {
      copy(from, to);
      [from, to] = [start, end];
    } else if (end > to) to = end;
  }
  copy(from, to);
}

function isNeeded(elf: ElfObject, section: SectionIndex): boolean {
  const type = elf.type(section);
  if (type === SHT_NOBITS) return false;
  const about = type === SHT_RELA ? elf.info(section) : section;
  return (elf.sectionFlags(about) & SHF_ALLOC) !== 0 || !DEBUG.test(elf.name(about));
}
