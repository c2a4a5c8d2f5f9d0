import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { KlpflowError, fileError, stripped } from '../../diagnostics';
import { ELF_MAGIC, ElfImage, STB_LOCAL, ST_INFO, SYM_WORDS } from '../../elf';
import { MappedFile } from '../../files/mapped-file';
import type { Columns } from './columns';
import { imageColumns } from './image-symbols';
import { cleanedLength, type NameCleaning } from './kallsyms';
import { NameIndex } from './name-index';
import { checkUseful, parseNm, parseReadelf } from './text';

/** What a listing was made from: a linked image, lines of /proc/kallsyms, System.map or nm, or what `readelf -sW` prints. */
export type ListingKind = 'image' | 'nm' | 'readelf';

/**
 * The symbols of the running kernel, as far as its kallsyms has them: names and addresses, from a linked `vmlinux` or a text.
 *
 * Entries are numbers from 0 to `count` - 1; what is known of them lies in `columns`. Entries of modules (only
 * /proc/kallsyms has some) are apart: look-ups of vmlinux do not see them, as the kernel's do not.
 */
export class KernelListing {
  private readonly indices: Partial<Record<NameCleaning, NameIndex>> = {};
  private moduleIndex: NameIndex | undefined;

  private constructor(
    readonly path: string,
    readonly kind: ListingKind,
    readonly columns: Columns,
    /** Names of modules by owner number; the first one stands for vmlinux. */
    readonly modules: readonly string[],
    /** The linked image; null for texts. */
    readonly image: ElfImage | null,
  ) {}

  /**
   * Reads a listing, telling by its content what it is. /proc/kallsyms itself will do. `calledPath` is what messages call it.
   * @throws KlpflowError `unreadable`, `not-regular-file`, `unusable-listing` (a stub, hidden addresses, a stripped image, something else altogether), `not-linked` (a vmlinux.o), `malformed-elf`
   */
  static open(path: string, calledPath = path): KernelListing {
    const text = readProc(path);
    if (text !== undefined) return KernelListing.parse(text, calledPath);
    const file = MappedFile.open(path, calledPath);
    const { bytes } = file;
    return isElf(bytes) ? KernelListing.ofImage(new ElfImage(file)) : KernelListing.parse(bytes, calledPath);
  }

  /** The symbols of a linked image that its kallsyms lists. @throws KlpflowError `unusable-listing` without a symbol table, `malformed-elf` */
  static ofImage(image: ElfImage): KernelListing {
    if (image.symbolCount === 0) throw stripped(image.path);
    return new KernelListing(image.path, 'image', imageColumns(image), ['vmlinux'], image);
  }

  /** Symbols of a module, which are found as vmlinux's are. */
  static ofModule(columns: Columns, path: string): KernelListing {
    return new KernelListing(path, 'nm', columns, ['vmlinux'], null);
  }

  /** Symbols from a text. `bytes` must not change afterwards: names stay where they are. @throws KlpflowError `unusable-listing` */
  static parse(bytes: Uint8Array, path: string): KernelListing {
    const modules = ['vmlinux'];
    const readelf = isReadelf(bytes);
    const columns = readelf
      ? parseReadelf(bytes)
      : parseNm(bytes, modules, (line, expected) => failLine(path, bytes, line, expected));
    const listing = new KernelListing(path, readelf ? 'readelf' : 'nm', columns, modules, null);
    checkUseful(columns, path, listing.find('_stext').length > 0 || listing.find('_text').length > 0);
    return listing;
  }

  get count(): number {
    return this.columns.count;
  }

  /** vmlinux's entries of a name, lowest address first. With `cleaning` the name is a cleaned one, and so are those it meets. */
  find(name: string, cleaning: NameCleaning = 'none'): number[] {
    const bytes = new Uint8Array(Buffer.from(name, 'utf8'));
    return this.findBytes(bytes, 0, bytes.length, cleaning);
  }

  /** As `find`, for a name of `length` bytes in any buffer. */
  findBytes(bytes: Uint8Array, start: number, length: number, cleaning: NameCleaning = 'none'): number[] {
    const entries = this.names(cleaning).all(bytes, start, length);
    return entries.length < 2 ? entries : entries.sort((a, b) => this.compare(a, b));
  }

  /** Whether vmlinux has the name. */
  has(bytes: Uint8Array, start: number, length: number, cleaning: NameCleaning = 'none'): boolean {
    return this.names(cleaning).first(bytes, start, length) >= 0;
  }

  /** The entry of a name that only one symbol of vmlinux has; -1 where none or several have it. */
  only(bytes: Uint8Array, start: number, length: number, cleaning: NameCleaning = 'none'): number {
    const names = this.names(cleaning);
    const entry = names.first(bytes, start, length);
    return entry < 0 || names.next(entry) >= 0 ? -1 : entry;
  }

  /** Whether other units can refer to an entry by its name; false, too, where the source does not say (`readelf -sW` is not kept). */
  isGlobal(entry: number): boolean {
    const { bytes, start, symbol } = this.columns;
    if (this.image !== null)
      return ((this.image.symbols[symbol[entry]! * SYM_WORDS + ST_INFO]! >>> 4) & 0xf) !== STB_LOCAL;
    if (this.kind !== 'nm') return false;
    // `address T name`; nm has small letters for weak objects, too (`u`, `v`, `w`), which only mean less here.
    const letter = bytes[start[entry]! - 2]!;
    return letter >= 0x41 && letter <= 0x5a;
  }

  /** Entries of a name in a module; undefined where the listing has nothing of that module. */
  findInModule(module: string, name: string): number[] | undefined {
    const owner = this.modules.indexOf(module, 1);
    if (owner < 0) return undefined;
    this.moduleIndex ??= new NameIndex(this.columns, this.count, (entry) => this.columns.owner[entry] === 0);
    const bytes = new Uint8Array(Buffer.from(name, 'utf8'));
    return this.moduleIndex.all(bytes, 0, bytes.length).filter((entry) => this.columns.owner[entry] === owner);
  }

  /** Orders entries by address, those at one address as they are listed. */
  compare(a: number, b: number): number {
    const { low, high } = this.columns;
    return high[a]! - high[b]! || low[a]! - low[b]! || a - b;
  }

  /** Hexadecimal, as kallsyms writes it. */
  address(entry: number): string {
    const { low, high } = this.columns;
    return high[entry]!.toString(16).padStart(8, '0') + low[entry]!.toString(16).padStart(8, '0');
  }

  private names(cleaning: NameCleaning): NameIndex {
    return (this.indices[cleaning] ??= this.indexNames(cleaning));
  }

  private indexNames(cleaning: NameCleaning): NameIndex {
    const { columns, count } = this;
    const { bytes, start, owner } = columns;
    const length =
      cleaning === 'none'
        ? columns.length
        : columns.length.map((full, i) => cleanedLength(cleaning, bytes, start[i]!, start[i]! + full));
    return new NameIndex(
      { bytes, start, length },
      count,
      this.modules.length === 1 ? undefined : (entry) => owner[entry] !== 0,
    );
  }
}

export function isElf(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 4 && ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0 === ELF_MAGIC
  );
}

/** Whether a text is what `readelf -sW` prints. */
export function isReadelf(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 4096)).toString('latin1');
  return /^\s*Symbol table '|^\s*Num:\s+Value\s+Size/m.test(head);
}

/** The content of a file that says it is empty, as those of /proc do, and cannot be mapped; undefined for others. @throws KlpflowError `unreadable` */
export function readProc(path: string): Uint8Array | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(fd);
    return stats.isFile() && stats.size === 0 ? new Uint8Array(readFileSync(fd)) : undefined;
  } catch (cause) {
    throw fileError(path, cause, 'read');
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function failLine(path: string, bytes: Uint8Array, line: number, expected: string): never {
  const what =
    bytes.length < 4096
      ? 'it holds hardly any symbols (System.map of some distributions is a stub)'
      : `line ${line} is not ${expected}`;
  throw new KlpflowError(
    'unusable-listing',
    `${path} is neither a linked vmlinux nor text from /proc/kallsyms, System.map or readelf -sW: ${what}`,
    { object: path },
  );
}
