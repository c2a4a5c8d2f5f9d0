import { STB_LOCAL, STT_FILE, ST_INFO, SYM_WORDS, type ElfImage, type SymbolIndex } from '../../../elf';
import type { KernelListing } from '../../../kernel/listing';
import type { Side } from '../../side/side';
import type { Evidence } from './evidence';

/**
 * The order of FILE symbols: the linked image repeats ORIG's, so that a local symbol is found in the same unit there. Only
 * what is alone of its name in the unit, on both sides, and has the same type and size.
 */
export class FileOrder implements Evidence {
  readonly text = 'order of FILE symbols';

  private constructor(
    private readonly orig: Side,
    private readonly listing: KernelListing,
    private readonly image: ElfImage,
    /** For each FILE symbol of ORIG the symbols of the image that are local to it: [from, to). */
    private readonly units: ReadonlyMap<number, readonly [from: number, to: number]>,
  ) {}

  /** Undefined where the listing has no FILE symbols, or others in between than ORIG has. */
  static read(orig: Side, listing: KernelListing): FileOrder | undefined {
    const { image } = listing;
    if (image === null) return undefined;
    const own = origFiles(orig);
    const names = new Set(own.map((file) => orig.name(file)));
    // Units that join at the final link only: `.vmlinux.export.c`, `version-timestamp.c`.
    const theirs = imageFiles(image).filter(({ name }) => names.has(name));
    if (own.length === 0 || own.length !== theirs.length || own.some((file, i) => orig.name(file) !== theirs[i]!.name))
      return undefined;
    return new FileOrder(orig, listing, image, new Map(own.map((file, i) => [file, [theirs[i]!.from, theirs[i]!.to]])));
  }

  entryOf(symbol: SymbolIndex, namesakes: readonly SymbolIndex[], entries: readonly number[]): number | undefined {
    const { table } = this.orig;
    const file = table.file[symbol]!;
    const unit = this.units.get(file);
    if (unit === undefined || namesakes.filter((other) => table.file[other] === file).length !== 1) return undefined;
    const { columns } = this.listing;
    const within = entries.filter((row) => columns.symbol[row]! > unit[0] && columns.symbol[row]! < unit[1]);
    const entry = within[0];
    if (within.length !== 1 || columns.size[entry!] !== table.size[symbol]) return undefined;
    const info = this.image.symbols[columns.symbol[entry!]! * SYM_WORDS + ST_INFO]!;
    return (info & 0xff) === table.info[symbol] ? entry : undefined;
  }
}

function origFiles({ table }: Side): number[] {
  const files: number[] = [];
  for (let i = 0; i < table.listedCount; i++)
    if (table.typeOf(table.listed[i]!) === STT_FILE) files.push(table.listed[i]!);
  return files;
}

function imageFiles(image: ElfImage): Array<{ name: string; from: number; to: number }> {
  const files: Array<{ name: string; from: number; to: number }> = [];
  const { symbols, symbolCount } = image;
  let locals = 1;
  for (; locals < symbolCount; locals++) {
    const word = symbols[locals * SYM_WORDS + ST_INFO]!;
    if (((word >>> 4) & 0xf) !== STB_LOCAL) break;
    if ((word & 0xf) !== STT_FILE) continue;
    if (files.length > 0) files[files.length - 1]!.to = locals;
    files.push({ name: image.symbolName(locals), from: locals, to: symbolCount });
  }
  if (files.length > 0) files[files.length - 1]!.to = locals;
  return files;
}
