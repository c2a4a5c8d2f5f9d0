/** Fills the symbol columns, except digests. */
import {
  canonical,
  classOf,
  file,
  hash,
  highHash,
  info,
  kind as kindColumn,
  lowHash,
  name,
  nameLength,
  section as sectionColumn,
  sectionOf,
  sections,
  size,
  suffix,
  symbolCell,
  symbols,
  traits as traitColumn,
  value,
} from './columns';
import { big, longOf, pointer, sectionSize, wordOf } from './file';
import {
  CLASS_ALLOC,
  CLASS_CONSTANT,
  CLASS_DERIVED,
  CLASS_EXEC,
  CLASS_EXIT,
  CLASS_INIT,
  CLASS_NOBITS,
  CLASS_ONCE,
  CLASS_READONLY,
  CLASS_RECORD,
  CLASS_SPECIAL,
  CLASS_STRING,
  CLASS_WRITE,
  KIND_ABSOLUTE,
  KIND_CONTENT,
  KIND_NAMED,
  KIND_PLACE,
  KIND_PRIVATE,
  KIND_STRING,
  KIND_UNDEFINED,
  SECTION_ABS,
  SECTION_COMMON,
  SHN_COMMON,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHN_XINDEX,
  STB_LOCAL,
  STT_FILE,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
  STT_SECTION,
  STT_TLS,
  TRAIT_COLD,
  TRAIT_CONTENT,
  TRAIT_CORRELATABLE,
  TRAIT_EXIT,
  TRAIT_FUNC,
  TRAIT_INIT,
  TRAIT_NUMBERED,
  TRAIT_OBJECT,
  TRAIT_PREFIX,
  TRAIT_PROMOTED,
  TRAIT_TYPED,
  TRAIT_UNIT_LOCAL,
  TRAIT_WRITABLE,
} from '../generated/constants';
import {
  functionNowhere,
  nameRules,
  symbolExtent,
  symbolIndexMissing,
  symbolNameLong,
  symbolNameOutside,
  symbolSection,
  symbolWide,
} from './host';
import * as base from './names';

const SYMBOL: u32 = 24;

/** File offsets of the symbol table, its extended index (0: none) and its string table. */
export let symtab: u32 = 0;
export let extended: u32 = 0;
export let stringsStart: u32 = 0;
export let stringsEnd: u32 = 0;

/** st_value of any symbol, all 64 bits. */
export function valueInFile(symbol: u32): u64 {
  return longOf(pointer(symtab + symbol * SYMBOL, SYMBOL) + 8);
}

/** Bits of `nameRules`. */
const RULE_COLD: u32 = 1;
const RULE_STATIC_LOCAL: u32 = 2;
const RULE_CONSTANT: u32 = 4;
const RULE_PRINTK_ENTRY: u32 = 8;

/** The FILE symbol met last. */
let unit: u32 = 0;

export function readSymbols(from: u32, to: u32): void {
  for (let symbol = from; symbol < to; symbol++) {
    const at = pointer(symtab + symbol * SYMBOL, SYMBOL);
    const nameOffset = <u64>stringsStart + wordOf(at);
    const bits = <u32>load<u8>(at, 4);
    const shndx = load<u16>(at, 6);
    const index = <u32>(big ? bswap(shndx) : shndx);
    const start = longOf(at + 8);
    const bytes = longOf(at + 16);
    const type = bits & 0xf;
    store<u8>(symbolCell(info, symbol, 0), bits);
    store<u32>(symbolCell(canonical, symbol, 2), symbol);
    if (nameOffset >= stringsEnd) symbolNameOutside(symbol);
    store<u32>(symbolCell(name, symbol, 2), <u32>nameOffset);
    if (type == STT_FILE) unit = symbol;
    else {
      const place = placeOf(symbol, index);
      store<u32>(symbolCell(sectionColumn, symbol, 2), place);
      store<u32>(symbolCell(value, symbol, 2), <u32>start);
      store<u32>(symbolCell(size, symbol, 2), <u32>bytes);
      if (place < sections && place != SHN_UNDEF && <f64>start + <f64>bytes > <f64>sectionSize(place))
        symbolExtent(symbol, place, <f64>start + <f64>bytes);
      if (type == STT_FUNC && place == SECTION_COMMON) functionNowhere(symbol);
      // The columns hold 32 bits. An absolute value may have more; whoever needs it reads it in the file.
      if ((start | bytes) >> 32 != 0 && place != SHN_UNDEF && place != SECTION_ABS) symbolWide(symbol);
      if (type == STT_SECTION) {
        store<u8>(symbolCell(kindColumn, symbol, 0), KIND_PLACE);
        continue;
      }
      if (bits >>> 4 == STB_LOCAL) store<u32>(symbolCell(file, symbol, 2), unit);
    }
    const text = base.nameAt(<u32>nameOffset);
    if (text == 0) symbolNameLong(symbol, base.LONGEST);
    // Cold parts that Clang 22 splits off are sized symbols without a type: `ip_route_input_rcu.llvm.701...004.cold`.
    base.read(text, type == STT_FUNC || type == STT_OBJECT || (type == STT_NOTYPE && bytes > 0));
    store<u16>(symbolCell(nameLength, symbol, 1), <u16>(base.end - text));
    const key = symbolCell(hash, symbol, 3);
    store<u32>(key, base.hashLow);
    store<u32>(key, base.hashHigh, 4);
    if (type != STT_FILE) classify(symbol, type, bits >>> 4 == STB_LOCAL, text, bytes > 0);
  }
}

function classify(symbol: u32, type: u32, local: bool, text: usize, sized: bool): void {
  const section = sectionOf(symbol);
  if (section == SHN_UNDEF) {
    store<u8>(symbolCell(kindColumn, symbol, 0), KIND_UNDEFINED);
    return;
  }
  if (section == SECTION_ABS) {
    store<u8>(symbolCell(kindColumn, symbol, 0), KIND_ABSOLUTE);
    return;
  }
  const bits: u32 = section == SECTION_COMMON ? CLASS_ALLOC | CLASS_WRITE | CLASS_NOBITS : classOf(section);
  const isFunction = type == STT_FUNC;
  const isObject = type == STT_OBJECT || type == STT_TLS;
  const isCode = type == STT_NOTYPE && sized && (bits & CLASS_EXEC) != 0;

  store<u32>(symbolCell(suffix, symbol, 2), base.suffix);
  let traits: u32 = isFunction ? TRAIT_FUNC : isObject ? TRAIT_OBJECT : 0;
  if (local || base.promoted) traits |= TRAIT_UNIT_LOCAL;
  if (base.promoted) traits |= TRAIT_PROMOTED;
  if (base.numbered) traits |= TRAIT_NUMBERED;
  if ((bits & CLASS_WRITE) != 0) traits |= TRAIT_WRITABLE;
  if ((bits & CLASS_INIT) != 0) traits |= TRAIT_INIT;
  if ((bits & CLASS_EXIT) != 0) traits |= TRAIT_EXIT;

  let kind = KIND_NAMED;
  // Assembler entry points are often sized NOTYPE symbols: code like any other.
  let correlatable = isFunction || isObject || isCode;
  if ((bits & CLASS_STRING) != 0) {
    kind = KIND_STRING;
    correlatable = false;
  } else if (base.holds(text, base.end, '.L')) {
    // `.L` and `.Ltmp` labels: 48,666 of the latter stand in a ThinLTO kernel and any edit renumbers them.
    kind = KIND_PLACE;
    correlatable = false;
  } else if (isFunction && isPrefixName(text)) {
    traits |= TRAIT_PREFIX;
    if (isTypeName(text)) traits |= TRAIT_TYPED;
    correlatable = false;
  } else if (isNumberedInit(text)) {
    kind = KIND_PRIVATE;
    correlatable = false;
  } else if ((bits & (CLASS_SPECIAL | CLASS_DERIVED)) != 0) {
    correlatable = false;
    kind = KIND_PLACE;
  } else if ((bits & CLASS_RECORD) != 0) {
    // Records belong to the code that refers to them, and differ in more than their numbers from build to build.
    kind = KIND_PLACE;
    correlatable = false;
  } else if (base.dotted || (bits & (CLASS_ONCE | CLASS_CONSTANT)) != 0) {
    const rules = nameRules(symbol, <u32>(base.end - text));
    if ((rules & RULE_COLD) != 0 && (bits & CLASS_EXEC) != 0) traits |= TRAIT_COLD;
    const privateLocal = local && isObject && ((bits & CLASS_ONCE) != 0 || (rules & RULE_STATIC_LOCAL) != 0);
    if (privateLocal || (isObject && (rules & RULE_CONSTANT) != 0) || (bits & CLASS_CONSTANT) != 0) {
      // A private variable is cloned with its function, so its initial value is part of that (`_rs`: another burst).
      // `_entry` of the printk index is left out: it holds a line.
      const content =
        sized &&
        (bits & CLASS_NOBITS) == 0 &&
        ((bits & CLASS_READONLY) != 0 || (privateLocal && (rules & RULE_PRINTK_ENTRY) == 0));
      if (privateLocal || content) {
        kind = content ? KIND_CONTENT : KIND_PRIVATE;
        correlatable = false;
      }
    }
  }
  if (
    kind == KIND_NAMED &&
    type == STT_NOTYPE &&
    (bits & (CLASS_READONLY | CLASS_ALLOC)) == (CLASS_READONLY | CLASS_ALLOC)
  ) {
    // A label in read-only data: the data behind it counts (`K256` of .rodata.cst256.K256, which assembler code names).
    kind = KIND_PLACE;
  }
  if (kind == KIND_NAMED && isObject && !sized) {
    // `init_completion.__key` and other empty lock keys: the name is all there is.
    kind = KIND_PRIVATE;
    correlatable = false;
  }
  if (correlatable) traits |= TRAIT_CORRELATABLE;
  const counts = sized && (isFunction || isObject || isCode) && (bits & CLASS_ALLOC) != 0;
  if (counts && ((bits & (CLASS_STRING | CLASS_DERIVED | CLASS_SPECIAL)) == 0 || (bits & CLASS_RECORD) != 0))
    traits |= TRAIT_CONTENT;
  store<u32>(symbolCell(traitColumn, symbol, 2), traits);
  store<u8>(symbolCell(kindColumn, symbol, 0), <u8>kind);
}

/** Padding before a function: such a symbol goes with the function behind it. */
function isPrefixName(text: usize): bool {
  const end = base.end;
  return base.holds(text, end, '__pfx_') || base.holds(text, end, '__pi___pfx_') || isTypeName(text);
}

function isTypeName(text: usize): bool {
  return base.holds(text, base.end, '__cfi_') || base.holds(text, base.end, '__pi___cfi_');
}

/** `__initcall__kmod_...` and `__initstub__kmod_...` count source lines in their names. */
function isNumberedInit(text: usize): bool {
  return base.holds(text, base.end, '__initcall__') || base.holds(text, base.end, '__initstub__');
}

/** The real section number; ABS and COMMON get numbers above every real one. */
function placeOf(symbol: u32, shndx: u32): u32 {
  let index = shndx;
  if (index == SHN_XINDEX) {
    if (extended == 0) symbolIndexMissing(symbol);
    index = wordOf(pointer(extended + (symbol << 2), 4));
  } else if (index == SHN_COMMON) return SECTION_COMMON;
  else if (index >= SHN_LORESERVE) return SECTION_ABS;
  if (index >= sections) symbolSection(symbol, index);
  return index;
}

/** The next symbol from `from` on that has the open name, or one that hashes alike; `symbols` at the end. */
export function nextNamed(from: u32): u32 {
  for (let symbol = from; symbol < symbols; symbol++) {
    if (lowHash(symbol) == base.hashLow && highHash(symbol) == base.hashHigh) return symbol;
  }
  return symbols;
}
