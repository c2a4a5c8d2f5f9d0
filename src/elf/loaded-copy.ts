import type { Offset, SectionIndex } from './indices';
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { KlpflowError, fileError } from '../diagnostics';
import {
  EHDR_SIZE,
  ELFCLASS64,
  ELFDATA2LSB,
  ELF_MAGIC,
  ET_REL,
  SHDR_SIZE,
  SHF_ALLOC,
  SHN_XINDEX,
  SHT_NOBITS,
  SHT_NULL,
  SHT_RELA,
} from './constants';

/** What a file that is no ELF64 relocatable object is recognised by. */
const HEAD = 64 * 1024;
/** Sections that stand closer than this are copied with what lies between them: a kernel has 200,000, and a call for each would cost seconds. */
const GAP = 64 * 1024;
const PIECE = 8 << 20;
const PAGE = 4096;
/** A million sections have names of 100 MB. */
const LARGEST_TABLE = 1 << 30;
const DEBUG = /^\.(debug_|zdebug_|gnu\.debug|stab)/;

/**
 * Copies an ELF64 relocatable object without its debugging sections, by reading and writing piece by piece: for files that are
 * too large to be mapped. A kernel with DWARF has 1 to 4 GB, of which loaded sections, symbols and their relas are a tenth.
 *
 * Section numbers, symbols and all other contents stay as they are. A debugging section becomes SHT_NOBITS, its relas SHT_NULL.
 * Of a file that is no such object only the beginning is copied, for the reader to say what it is.
 *
 * @returns the bytes written
 * @throws KlpflowError `malformed-elf`, `input-too-large` where even that is larger than `limit`, what reading or writing fails with
 */
export function copyLoaded(source: string, target: string, limit: number): number {
  const from = opened(source, 'r', 'read');
  try {
    const to = opened(target, 'w', 'write');
    try {
      return new LoadedCopy(source, from, target, to).write(limit);
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}

/** A stretch of the source that is copied as it is. */
interface Run {
  start: number;
  end: number;
  target: number;
}

class LoadedCopy {
  private readonly size: number;

  constructor(
    private readonly source: string,
    private readonly from: number,
    private readonly target: string,
    private readonly to: number,
  ) {
    this.size = fstatSync(from).size;
  }

  write(limit: number): number {
    const header = this.read(0, EHDR_SIZE);
    const view = new DataView(header.buffer, header.byteOffset, EHDR_SIZE);
    const little = header[5] === ELFDATA2LSB;
    if (view.getUint32(0) !== ELF_MAGIC || header[4] !== ELFCLASS64 || view.getUint16(16, little) !== ET_REL)
      return this.put(this.read(0, HEAD), 0);
    const tableOffset = Number(view.getBigUint64(40, little));
    const first = this.read(tableOffset, SHDR_SIZE);
    const zero = new DataView(first.buffer, first.byteOffset);
    const count = view.getUint16(60, little) || Number(zero.getBigUint64(32, little));
    const names = view.getUint16(62, little);
    const table = new SectionTable(this.read(tableOffset, count * SHDR_SIZE), little);
    if (table.count < count)
      this.malformed(
        tableOffset,
        `${count} section headers lie past the end of the file (${this.size} bytes): it is truncated`,
      );
    const namesSection = names === SHN_XINDEX ? zero.getUint32(40, little) : names;
    if (namesSection >= count) this.malformed(62, `section ${namesSection} of ${count} holds the names`);
    const dropped = table.drop(this.read(table.offset(namesSection), table.size(namesSection)));

    const runs = this.runs(table, dropped);
    const end = runs.at(-1) === undefined ? EHDR_SIZE : runs.at(-1)!.target + runs.at(-1)!.end - runs.at(-1)!.start;
    const newTable = Math.ceil(end / 8) * 8;
    const total = newTable + count * SHDR_SIZE;
    if (total > limit) {
      throw new KlpflowError(
        'input-too-large',
        `${this.source} has ${total} bytes without debugging sections; this version maps at most ${limit}`,
        { object: this.source },
      );
    }
    view.setBigUint64(40, BigInt(newTable), little);
    this.put(header, 0);
    for (const run of runs) this.copy(run);
    this.put(table.bytes, newTable);
    return total;
  }

  /** Where the kept sections lie, joined where they are close, and their new places: the same within a page, so that alignment stays. */
  private runs(table: SectionTable, dropped: Uint8Array): Run[] {
    const runs: Run[] = [];
    let next = EHDR_SIZE;
    for (const section of inFileOrder(table, dropped)) {
      const start = table.offset(section);
      const end = start + table.size(section);
      if (end > this.size)
        this.malformed(start, `section ${section} ends at ${end}, past the end of the file (${this.size} bytes)`);
      let run = runs.at(-1);
      if (run === undefined || start > run.end + GAP) {
        run = { start, end, target: Math.ceil(next / PAGE) * PAGE + (start % PAGE) };
        runs.push(run);
      }
      run.end = Math.max(run.end, end);
      next = run.target + run.end - run.start;
      table.move(section, run.target + start - run.start);
    }
    return runs;
  }

  private copy({ start, end, target }: Run): void {
    const buffer = Buffer.allocUnsafe(Math.min(PIECE, end - start));
    for (let at = start; at < end; ) {
      const piece = this.read(at, Math.min(buffer.length, end - at), buffer);
      this.put(piece, target + at - start);
      at += piece.length;
    }
  }

  /** At most `length` bytes: fewer only at the end of the file. */
  private read(
    at: number,
    length: number,
    buffer = Buffer.alloc(Math.max(0, Math.min(length, this.size - at))),
  ): Buffer {
    if (length > LARGEST_TABLE) this.malformed(at, `a table of ${length} bytes`);
    if (length > HEAD && at + length > this.size)
      this.malformed(at, `${length} bytes from here lie past the end of the file (${this.size} bytes)`);
    let done = 0;
    const wanted = Math.min(buffer.length, length);
    try {
      while (done < wanted) {
        const got = readSync(this.from, buffer, done, wanted - done, at + done);
        if (got === 0) break;
        done += got;
      }
    } catch (cause) {
      throw fileError(this.source, cause, 'read');
    }
    if (done < Math.min(length, EHDR_SIZE)) this.malformed(at, `the file has ${this.size} bytes: it is truncated`);
    return buffer.subarray(0, done);
  }

  private put(bytes: Uint8Array, at: number): number {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.to, bytes, done, bytes.length - done, at + done);
    } catch (cause) {
      throw fileError(this.target, cause, 'write');
    }
    return bytes.length;
  }

  private malformed(offset: Offset, expected: string): never {
    throw new KlpflowError('malformed-elf', `${this.source}: at offset ${offset}: ${expected}`, {
      object: this.source,
      offset,
    });
  }
}

/** Sections that are kept and have bytes. Linkers write them in order, so four million are hardly ever sorted. */
function inFileOrder(table: SectionTable, dropped: Uint8Array): Uint32Array {
  const kept = new Uint32Array(table.count);
  let count = 0;
  let last = 0;
  let ordered = true;
  for (let section = 1; section < table.count; section++) {
    if (dropped[section] !== 0 || !table.hasBytes(section)) continue;
    kept[count++] = section;
    const offset = table.offset(section);
    ordered &&= offset >= last;
    last = offset;
  }
  const found = kept.subarray(0, count);
  return ordered ? found : found.sort((a, b) => table.offset(a) - table.offset(b) || a - b);
}

/** Section headers that are changed in place. */
class SectionTable {
  readonly count: number;
  private readonly view: DataView;

  constructor(
    readonly bytes: Buffer,
    private readonly little: boolean,
  ) {
    this.count = Math.floor(bytes.length / SHDR_SIZE);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  offset(section: SectionIndex): number {
    return this.long(section * SHDR_SIZE + 24);
  }

  size(section: SectionIndex): number {
    return this.long(section * SHDR_SIZE + 32);
  }

  hasBytes(section: SectionIndex): boolean {
    const type = this.type(section);
    return type !== SHT_NULL && type !== SHT_NOBITS && this.size(section) > 0;
  }

  move(section: SectionIndex, offset: Offset): void {
    this.view.setBigUint64(section * SHDR_SIZE + 24, BigInt(offset), this.little);
  }

  /** Marks debugging sections and their relas, and takes their contents from them. `names` is the string table of section names. */
  drop(names: Buffer): Uint8Array {
    const dropped = new Uint8Array(this.count);
    for (let section = 1; section < this.count; section++) {
      const flags = this.view.getUint32(section * SHDR_SIZE + (this.little ? 8 : 12), this.little);
      if ((flags & SHF_ALLOC) !== 0 || !DEBUG.test(this.name(names, section))) continue;
      dropped[section] = 1;
      this.setType(section, SHT_NOBITS);
    }
    for (let section = 1; section < this.count; section++) {
      if (this.type(section) !== SHT_RELA || dropped[this.view.getUint32(section * SHDR_SIZE + 44, this.little)] !== 1)
        continue;
      dropped[section] = 1;
      this.setType(section, SHT_NULL);
    }
    // The bytes that they name are not copied.
    for (let section = 1; section < this.count; section++) if (this.type(section) === SHT_NULL) this.clear(section);
    return dropped;
  }

  private name(names: Buffer, section: SectionIndex): string {
    const start = this.view.getUint32(section * SHDR_SIZE, this.little);
    // Long enough for what DEBUG looks at.
    return names.toString('latin1', start, Math.min(names.length, start + 16)).replace(/\0[^]*/, '');
  }

  /** Not by way of a BigInt, which is an object. */
  private long(at: number): number {
    const [low, high] = this.little ? [0, 4] : [4, 0];
    return this.view.getUint32(at + high, this.little) * 2 ** 32 + this.view.getUint32(at + low, this.little);
  }

  private type(section: SectionIndex): number {
    return this.view.getUint32(section * SHDR_SIZE + 4, this.little);
  }

  private clear(section: SectionIndex): void {
    this.bytes.fill(0, section * SHDR_SIZE + 24, section * SHDR_SIZE + 40);
  }

  private setType(section: SectionIndex, type: number): void {
    this.view.setUint32(section * SHDR_SIZE + 4, type, this.little);
  }
}

function opened(path: string, flags: string, what: 'read' | 'write'): number {
  try {
    return openSync(path, flags);
  } catch (cause) {
    throw fileError(path, cause, what);
  }
}
