import {
  SHN_ABS, SHN_COMMON, SHN_LORESERVE, SHN_UNDEF, SHN_XINDEX, STB_LOCAL, STT_FILE, STT_FUNC, STT_NOTYPE, STT_OBJECT, STT_SECTION, STT_TLS,
  ST_INFO, ST_NAME, ST_SIZE, ST_VALUE, SYM_SIZE, SYM_WORDS, type ElfObject,
} from '../../elf';
import { SectionClass } from '../../livepatch/section-class';
import { FUNCTION_PREFIXES, NUMBERED_INIT_PREFIXES, coldParent, isCompilerConstant, isPrintkIndexEntry, isUncorrelatedStaticLocal } from '../../livepatch/symbol-rules';
import { BaseName, bytesOf, startsWith } from './names';
import { Kind, SECTION_ABS, SECTION_COMMON, Trait, type ScanTable } from './table';

const PREFIXES = FUNCTION_PREFIXES.map(bytesOf);
const INIT_NUMBERED = NUMBERED_INIT_PREFIXES.map(bytesOf);
const CONTENT_CLASSES = SectionClass.STRING | SectionClass.DERIVED | SectionClass.SPECIAL;

/**
 * Fills the symbol columns, except digests.
 *
 * A symbol table comes in runs: section symbols, locals by unit, globals. V8 compiles a loop for what it has met so far
 * and throws the code away at the first symbol of another kind, three times over and 80 ms in all. So a sample from the
 * whole table is read first; reading a symbol twice does no harm.
 */
export function readSymbols(object: ElfObject, table: ScanTable): void {
  const reader = new SymbolReader(object, table);
  const step = Math.max(1, Math.floor(table.symbols / 512));
  for (let symbol = 1; symbol < table.symbols; symbol += step) reader.read(symbol);
  reader.file = 0;
  for (let symbol = 1; symbol < table.symbols; symbol++) reader.read(symbol);
}

class SymbolReader {
  /** The FILE symbol met last. */
  file = 0;
  private readonly base = new BaseName();
  private readonly symbols: Uint32Array;
  private readonly bytes: Uint8Array;
  private readonly sectionCount: number;

  constructor(private readonly object: ElfObject, private readonly table: ScanTable) {
    this.symbols = object.symbols;
    this.bytes = object.bytes;
    this.sectionCount = object.sectionCount;
  }

  read(symbol: number): void {
    const { object, table, symbols, base } = this;
    const at = symbol * SYM_WORDS;
    const word = symbols[at + ST_INFO]!;
    const type = word & 0xf;
    table.info[symbol] = word;
    table.canonical[symbol] = symbol;
    const start = object.strings.start + symbols[at + ST_NAME]!;
    if (start >= object.strings.end) object.malformed(symbolOffset(object, symbol), `symbol ${symbol}: st_name lies outside the string table`);
    table.name[symbol] = start;

    if (type === STT_FILE) {
      this.file = symbol;
      base.read(this.bytes, start, false);
    } else {
      const index = word >>> 16;
      const place = index !== SHN_UNDEF && index < SHN_LORESERVE && index < this.sectionCount ? index : sectionOf(object, symbol, index);
      const value = symbols[at + ST_VALUE + 1]! * 0x100000000 + symbols[at + ST_VALUE]!;
      const size = symbols[at + ST_SIZE + 1]! * 0x100000000 + symbols[at + ST_SIZE]!;
      table.section[symbol] = place;
      table.value[symbol] = value;
      table.size[symbol] = size;
      if (place < this.sectionCount && place !== SHN_UNDEF && value + size > object.size(place)) failExtent(object, symbol, place, value + size);
      if (type === STT_SECTION) {
        table.kind[symbol] = Kind.PLACE;
        return;
      }
      if ((word & 0xf0) === STB_LOCAL) table.file[symbol] = this.file;
      base.read(this.bytes, start, type === STT_FUNC || type === STT_OBJECT);
    }
    if (base.end - start > LONGEST_NAME) object.malformed(symbolOffset(object, symbol), `symbol ${symbol}: the name has ${base.end - start} bytes`);
    table.nameLength[symbol] = base.end - start;
    table.hash[symbol * 2] = base.hashLow;
    table.hash[symbol * 2 + 1] = base.hashHigh;
    if (type !== STT_FILE) classify(object, table, symbol, type, base);
  }
}

/** The width of the length column. The kernel's own limit is 512. */
const LONGEST_NAME = 0xffff;

function classify(object: ElfObject, table: ScanTable, symbol: number, type: number, base: BaseName): void {
  const section = table.section[symbol]!;
  const local = (table.info[symbol]! >>> 4) === STB_LOCAL;
  if (section === SHN_UNDEF) {
    table.kind[symbol] = Kind.UNDEFINED;
    return;
  }
  if (section === SECTION_ABS) {
    table.kind[symbol] = Kind.ABSOLUTE;
    return;
  }
  const { bytes } = object;
  const start = table.name[symbol]!;
  const end = start + table.nameLength[symbol]!;
  const sectionBits = section === SECTION_COMMON ? SectionClass.ALLOC | SectionClass.WRITE | SectionClass.NOBITS : table.sectionClass[section]!;
  const isFunction = type === STT_FUNC;
  const isObject = type === STT_OBJECT || type === STT_TLS;

  table.suffix[symbol] = base.suffix;
  let traits = isFunction ? Trait.FUNC : isObject ? Trait.OBJECT : 0;
  if (local || base.promoted) traits |= Trait.UNIT_LOCAL;
  if (base.promoted) traits |= Trait.PROMOTED;
  if (base.numbered) traits |= Trait.NUMBERED;
  if (sectionBits & SectionClass.WRITE) traits |= Trait.WRITABLE;
  if (sectionBits & SectionClass.INIT) traits |= Trait.INIT;
  if (sectionBits & SectionClass.EXIT) traits |= Trait.EXIT;

  let kind: number = Kind.NAMED;
  // Assembler entry points are often sized NOTYPE symbols: code like any other.
  let correlatable = isFunction || isObject || (type === STT_NOTYPE && table.size[symbol]! > 0 && (sectionBits & SectionClass.EXEC) !== 0);
  if (sectionBits & SectionClass.STRING) {
    kind = Kind.STRING;
    correlatable = false;
  } else if (bytes[start] === 0x2e && bytes[start + 1] === 0x4c) {
    // `.L` and `.Ltmp` labels: 48,666 of the latter stand in a ThinLTO kernel and any edit renumbers them.
    kind = Kind.PLACE;
    correlatable = false;
  } else if (isFunction && isPrefixName(bytes, start, end)) {
    traits |= Trait.PREFIX;
    correlatable = false;
  } else if (isNumberedInit(bytes, start, end)) {
    kind = Kind.PRIVATE;
    correlatable = false;
  } else if (sectionBits & (SectionClass.SPECIAL | SectionClass.DERIVED)) {
    correlatable = false;
    kind = Kind.PLACE;
  } else if (sectionBits & SectionClass.RECORD) {
    // Records belong to the code that refers to them, and differ in more than their numbers from build to build.
    kind = Kind.PLACE;
    correlatable = false;
  } else if (base.dotted || sectionBits & (SectionClass.ONCE | SectionClass.CONSTANT) || bytes[start] === 0x2e) {
    const name = object.text(start, end);
    if (coldParent(name) !== undefined && (sectionBits & SectionClass.EXEC) !== 0) traits |= Trait.COLD;
    const privateLocal = local && isObject && ((sectionBits & SectionClass.ONCE) !== 0 || isUncorrelatedStaticLocal(name));
    if (privateLocal || (isObject && isCompilerConstant(name)) || sectionBits & SectionClass.CONSTANT) {
      // A private variable is cloned with its function, so its initial value is part of that (`_rs`: another burst).
      // `_entry` of the printk index is left out: it holds a line.
      const content = table.size[symbol]! > 0 && (sectionBits & SectionClass.NOBITS) === 0
        && ((sectionBits & SectionClass.READONLY) !== 0 || (privateLocal && !isPrintkIndexEntry(name)));
      if (privateLocal || content) {
        kind = content ? Kind.CONTENT : Kind.PRIVATE;
        correlatable = false;
      }
    }
  }
  if (kind === Kind.NAMED && type === STT_NOTYPE && (sectionBits & (SectionClass.READONLY | SectionClass.ALLOC)) === (SectionClass.READONLY | SectionClass.ALLOC)) {
    // A label in read-only data: the data behind it counts (`K256` of .rodata.cst256.K256, which assembler code names).
    kind = Kind.PLACE;
  }
  if (kind === Kind.NAMED && isObject && table.size[symbol] === 0) {
    // `init_completion.__key` and other empty lock keys: the name is all there is.
    kind = Kind.PRIVATE;
    correlatable = false;
  }
  if (correlatable) traits |= Trait.CORRELATABLE;
  const sized = table.size[symbol]! > 0 && (isFunction || isObject || (type === STT_NOTYPE && (sectionBits & SectionClass.EXEC) !== 0));
  if (sized && (sectionBits & SectionClass.ALLOC) !== 0 && ((sectionBits & CONTENT_CLASSES) === 0 || (sectionBits & SectionClass.RECORD) !== 0)) traits |= Trait.CONTENT;
  table.traits[symbol] = traits;
  table.kind[symbol] = kind;
}

function isPrefixName(bytes: Uint8Array, start: number, end: number): boolean {
  // `__p...` or `__c...`, the only starts of PREFIXES.
  const third = bytes[start + 2];
  return bytes[start] === 0x5f && (third === 0x70 || third === 0x63) && PREFIXES.some((prefix) => startsWith(bytes, start, end, prefix));
}

function isNumberedInit(bytes: Uint8Array, start: number, end: number): boolean {
  return bytes[start] === 0x5f && bytes[start + 2] === 0x69 && INIT_NUMBERED.some((prefix) => startsWith(bytes, start, end, prefix));
}

/** The real section number; ABS and COMMON get numbers above every real one. */
function sectionOf(object: ElfObject, symbol: number, index: number): number {
  if (index === SHN_UNDEF) return SHN_UNDEF;
  if (index === SHN_XINDEX) {
    if (object.extendedIndex.length === 0) object.malformed(symbolOffset(object, symbol), `symbol ${symbol} needs an extended section index and the file has none`);
    index = object.extendedIndex[symbol]!;
  } else if (index === SHN_ABS) return SECTION_ABS;
  else if (index === SHN_COMMON) return SECTION_COMMON;
  else if (index >= SHN_LORESERVE) return SECTION_ABS;
  if (index >= object.sectionCount) object.malformed(symbolOffset(object, symbol), `symbol ${symbol} is in section ${index} of ${object.sectionCount}`);
  return index;
}

function failExtent(object: ElfObject, symbol: number, section: number, end: number): never {
  object.malformed(symbolOffset(object, symbol), `symbol ${symbol} (${object.symbolName(symbol)}) ends at ${end} of section ${section}, which has ${object.size(section)} bytes`);
}

function symbolOffset(object: ElfObject, symbol: number): number {
  return object.offset(object.symtabSection) + symbol * SYM_SIZE;
}
