import { KlpflowError, stripped } from '../../diagnostics';
import {
  ElfImage,
  ElfObject,
  STB_GLOBAL,
  STB_LOCAL,
  STT_FILE,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
  ST_INFO,
  ST_NAME,
  ST_SIZE,
  ST_VALUE,
  SHN_UNDEF,
  SYM_WORDS,
  u64,
  type ElfFile,
} from '../../elf';
import { MappedFile } from '../../files/mapped-file';
import { Columns, KernelListing, isElf, isReadelf, readProc } from '../../kernel/listing';
import { ParentSymbols } from './parent-symbols';

/**
 * The symbols of the parent `objectName`, from what `readelf -sW` prints of it, the linked vmlinux or the module itself, or lines of
 * /proc/kallsyms, System.map or nm. The last have neither sizes nor units: a static function is found in them only if no other one
 * has its name.
 * @throws KlpflowError `unreadable`, `not-linked` (a vmlinux.o), `not-relocatable` (a vmlinux where a module is patched), `malformed-elf`, `unusable-listing`
 */
export function openParent(path: string, objectName: string): ParentSymbols {
  const text = readProc(path);
  if (text === undefined) {
    const file = MappedFile.open(path);
    return isElf(file.bytes)
      ? ofFile(objectName === 'vmlinux' ? new ElfImage(file) : new ElfObject(file))
      : ofText(file.bytes, path, objectName);
  }
  return ofText(text, path, objectName);
}

function ofText(bytes: Uint8Array, path: string, objectName: string): ParentSymbols {
  const parent = isReadelf(bytes)
    ? ParentSymbols.parse(bytes)
    : ofListing(KernelListing.parse(bytes, path), objectName);
  if (parent.count === 0)
    throw new KlpflowError('unusable-listing', `${path} lists no symbol of ${objectName}`, { object: path });
  return parent;
}

const TYPES: ReadonlySet<number> = new Set([STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_FILE]);

function ofFile(file: ElfFile): ParentSymbols {
  const { symbols, symbolCount, strings, bytes } = file;
  if (symbolCount === 0) throw stripped(file.path);
  const columns = new Columns(bytes, symbolCount);
  const info: number[] = [];
  for (let symbol = 1, at = SYM_WORDS; symbol < symbolCount; symbol++, at += SYM_WORDS) {
    const word = symbols[at + ST_INFO]!;
    if (!TYPES.has(word & 0xf) || word >>> 16 === SHN_UNDEF) continue;
    const start = strings.start + symbols[at + ST_NAME]!;
    if (start >= strings.end)
      file.malformed(
        file.offset(file.symtabSection) + at * 4,
        `symbol ${symbol}: st_name lies outside the string table`,
      );
    let end = start;
    while (bytes[end] !== 0) end++;
    if (end - start > 0xffff) continue;
    columns.add(start, end - start, symbols[at + ST_VALUE]!, symbols[at + ST_VALUE + 1]!, u64(symbols, at + ST_SIZE));
    info.push(word & 0xff);
  }
  return new ParentSymbols(columns, Uint8Array.from(info), true);
}

const UPPER = 0x5a;

/** Only the parent's own lines: /proc/kallsyms has those of all modules. */
function ofListing({ columns: all, modules }: KernelListing, objectName: string): ParentSymbols {
  const owner = modules.indexOf(objectName);
  const columns = new Columns(all.bytes, all.count);
  const info: number[] = [];
  for (let entry = 0; entry < all.count; entry++) {
    if (all.owner[entry] !== owner) continue;
    const start = all.start[entry]!;
    columns.add(start, all.length[entry]!, all.low[entry]!, all.high[entry]!);
    // The letter of nm stands before the name; a capital one is a global's.
    let letter = start - 1;
    while (all.bytes[letter]! <= 0x20) letter--;
    info.push(STT_NOTYPE | ((all.bytes[letter]! <= UPPER ? STB_GLOBAL : STB_LOCAL) << 4));
  }
  return new ParentSymbols(columns, Uint8Array.from(info), false);
}
