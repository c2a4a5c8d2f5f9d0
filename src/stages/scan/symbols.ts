import {
  SHN_ABS, SHN_COMMON, SHN_LORESERVE, SHN_UNDEF, SHN_XINDEX, STB_LOCAL, STT_FILE, STT_FUNC, STT_NOTYPE, STT_OBJECT, STT_SECTION, STT_TLS,
  ST_INFO, ST_NAME, ST_SIZE, ST_VALUE, SYM_SIZE, SYM_WORDS, u64, type ElfObject,
} from '../../elf';
import { SectionClass } from '../../livepatch/section-class';
import { FUNCTION_PREFIXES, NUMBERED_INIT_PREFIXES, coldParent, isCompilerConstant, isUncorrelatedStaticLocal } from '../../livepatch/symbol-rules';
import { BaseName, bytesOf, startsWith } from './names';
import { Kind, SECTION_ABS, SECTION_COMMON, Trait, type ScanTable } from './table';

const PREFIXES = FUNCTION_PREFIXES.map(bytesOf);
const INIT_NUMBERED = NUMBERED_INIT_PREFIXES.map(bytesOf);
const CONTENT_CLASSES = SectionClass.STRING | SectionClass.DERIVED | SectionClass.SPECIAL;

/** Fills the symbol columns for symbols [from, to), except digests. FILE is tracked from `from` on. */
export function readSymbols(object: ElfObject, table: ScanTable, from: number, to: number): void {
  const { symbols, bytes, strings } = object;
  const base = new BaseName();
  let file = 0;
  for (let symbol = from, at = from * SYM_WORDS; symbol < to; symbol++, at += SYM_WORDS) {
    const word = symbols[at + ST_INFO]!;
    const info = word & 0xff;
    const type = info & 0xf;
    table.info[symbol] = info;
    table.canonical[symbol] = symbol;
    const start = strings.start + symbols[at + ST_NAME]!;
    if (start >= strings.end) object.malformed(symbolOffset(object, symbol), `symbol ${symbol}: st_name lies outside the string table`);
    let end = start;
    while (bytes[end] !== 0) end++;
    if (end - start > 0xffff) object.malformed(symbolOffset(object, symbol), `symbol ${symbol}: the name has ${end - start} bytes`);
    table.name[symbol] = start;
    table.nameLength[symbol] = end - start;

    if (type === STT_FILE) {
      file = symbol;
      base.read(bytes, start, end, false);
      table.hash[symbol * 2] = base.hashLow;
      table.hash[symbol * 2 + 1] = base.hashHigh;
      continue;
    }
    const section = sectionOf(object, symbol, word >>> 16);
    table.section[symbol] = section;
    if ((info >>> 4) === STB_LOCAL) table.file[symbol] = file;
    if (symbol === 0) continue;
    table.value[symbol] = u64(symbols, at + ST_VALUE);
    table.size[symbol] = u64(symbols, at + ST_SIZE);
    if (section < table.sections && section !== SHN_UNDEF) checkExtent(object, table, symbol);
    if (type === STT_SECTION) {
      table.kind[symbol] = Kind.PLACE;
      continue;
    }
    base.read(bytes, start, end, type === STT_FUNC || type === STT_OBJECT);
    table.hash[symbol * 2] = base.hashLow;
    table.hash[symbol * 2 + 1] = base.hashHigh;
    classify(object, table, symbol, type, base);
  }
}

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
  let correlatable = isFunction || isObject;
  if (sectionBits & SectionClass.STRING) {
    kind = Kind.STRING;
    correlatable = false;
  } else if (bytes[start] === 0x2e && bytes[start + 1] === 0x4c) {
    // `.L` and `.Ltmp` labels: 48,666 of the latter stand in a ThinLTO kernel and any edit renumbers them.
    kind = Kind.PLACE;
    correlatable = false;
  } else if (isFunction && bytes[start] === 0x5f && PREFIXES.some((prefix) => startsWith(bytes, start, end, prefix))) {
    traits |= Trait.PREFIX;
    correlatable = false;
  } else if (bytes[start] === 0x5f && INIT_NUMBERED.some((prefix) => startsWith(bytes, start, end, prefix))) {
    kind = Kind.PRIVATE;
    correlatable = false;
  } else if (sectionBits & (SectionClass.SPECIAL | SectionClass.DERIVED)) {
    correlatable = false;
    kind = Kind.PLACE;
  } else if (sectionBits & SectionClass.RECORD) {
    kind = Kind.PLACE;
  } else if (base.dotted || sectionBits & (SectionClass.ONCE | SectionClass.CONSTANT) || bytes[start] === 0x2e) {
    const name = object.text(start, end);
    if (coldParent(name) !== undefined && (sectionBits & SectionClass.EXEC) !== 0) traits |= Trait.COLD;
    const privateLocal = local && isObject && ((sectionBits & SectionClass.ONCE) !== 0 || isUncorrelatedStaticLocal(name));
    if (privateLocal || (isObject && isCompilerConstant(name)) || sectionBits & SectionClass.CONSTANT) {
      const content = (sectionBits & (SectionClass.READONLY | SectionClass.NOBITS)) === SectionClass.READONLY && table.size[symbol]! > 0;
      if (privateLocal || content) {
        kind = content ? Kind.CONTENT : Kind.PRIVATE;
        correlatable = false;
      }
    }
  } else if ((sectionBits & (SectionClass.READONLY | SectionClass.ALLOC)) === (SectionClass.READONLY | SectionClass.ALLOC) && type === STT_NOTYPE) {
    // A label in read-only data: the data behind it counts.
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

/** The real section number; ABS and COMMON get numbers above every real one. */
function sectionOf(object: ElfObject, symbol: number, index: number): number {
  if (index === SHN_XINDEX) {
    if (object.extendedIndex.length === 0) object.malformed(symbolOffset(object, symbol), `symbol ${symbol} needs an extended section index and the file has none`);
    index = object.extendedIndex[symbol]!;
  } else if (index === SHN_ABS) return SECTION_ABS;
  else if (index === SHN_COMMON) return SECTION_COMMON;
  else if (index >= SHN_LORESERVE) return SECTION_ABS;
  if (index >= object.sectionCount) object.malformed(symbolOffset(object, symbol), `symbol ${symbol} is in section ${index} of ${object.sectionCount}`);
  return index;
}

function checkExtent(object: ElfObject, table: ScanTable, symbol: number): void {
  const section = table.section[symbol]!;
  const end = table.value[symbol]! + table.size[symbol]!;
  if (end > object.size(section)) {
    object.malformed(symbolOffset(object, symbol), `symbol ${symbol} (${object.symbolName(symbol)}) ends at ${end} of section ${section}, which has ${object.size(section)} bytes`);
  }
}

function symbolOffset(object: ElfObject, symbol: number): number {
  return object.offset(object.symtabSection) + symbol * SYM_SIZE;
}
