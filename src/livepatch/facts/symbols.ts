import {
  R_ADDEND,
  R_SYM,
  SHN_LORESERVE,
  SHN_XINDEX,
  STT_FUNC,
  STT_OBJECT,
  ST_INFO,
  ST_NAME,
  ST_SIZE,
  ST_VALUE,
  SYM_WORDS,
  s64,
  u64,
  type ElfObject,
  type SectionIndex,
  type SymbolIndex,
  type WordIndex,
} from '../../elf';
import { PREAMBLE_BYTES } from '../../kernel/kcfi';
import { place } from './sections';

/** Bytes before functions: 64 in the kernels that have most. */
const LARGEST_PADDING = 64;

export interface SymbolRange {
  section: SectionIndex;
  value: number;
  size: number;
}

export interface Symbols {
  vermagic: string | null;
  kobjectRelease: boolean;
  /** `__pfx_*` and `__cfi_*`: what stands before functions. */
  prefixes: SymbolRange[];
  /** Where a `__cfi_*` symbol ends, i.e. its function starts, to where it begins. */
  preambles: Map<number, SymbolRange>;
  functions: SymbolRange[];
  /** Functions by whose names the types of a module's init and exit functions are known, and code that calls such functions. */
  typed: Record<TypedName, SymbolRange[]>;
}

/** Who has the type of a module's init or exit function, or calls it. */
export type TypedName = 'init' | 'exit' | 'callsInit' | 'callsExit';

/**
 * By the start of their names: a module's own two (any alias of the function that `module_init()` names), do_one_initcall(), and the system call that
 * unloads a module, which compilers inline into one of its wrappers or split (`__se_sys_delete_module.cold`).
 */
const TYPED: ReadonlyArray<readonly [name: string, what: TypedName]> = [
  ['init_module\0', 'init'],
  ['cleanup_module\0', 'exit'],
  ['do_one_initcall', 'callsInit'],
  ['__se_sys_delete_module', 'callsExit'],
  ['__do_sys_delete_module', 'callsExit'],
  ['__x64_sys_delete_module', 'callsExit'],
  ['__arm64_sys_delete_module', 'callsExit'],
];

export function readSymbols(object: ElfObject): Symbols {
  const { symbols: words, bytes, strings } = object;
  const found: Symbols = {
    vermagic: null,
    kobjectRelease: false,
    prefixes: [],
    preambles: new Map(),
    functions: [],
    typed: { init: [], exit: [], callsInit: [], callsExit: [] },
  };
  const named = (at: number, text: string): boolean => {
    for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
    return true;
  };
  for (let symbol = 1, at = SYM_WORDS; symbol < object.symbolCount; symbol++, at += SYM_WORDS) {
    const type = words[at + ST_INFO]! & 0xf;
    if (type !== STT_FUNC && type !== STT_OBJECT) continue;
    const section = sectionOf(object, symbol);
    if (section === 0) continue;
    const name = strings.start + words[at + ST_NAME]!;
    // Every string table ends in a NUL, so a name that starts within it does not run past the file.
    if (name >= strings.end) object.symbolName(symbol);
    const first = bytes[name]!;
    if (type === STT_OBJECT) {
      if (first === 0x76 && named(name, 'vermagic\0'))
        found.vermagic ??= stringAt(object, {
          section,
          value: u64(words, at + ST_VALUE),
          size: u64(words, at + ST_SIZE),
        });
      continue;
    }
    const range = { section, value: u64(words, at + ST_VALUE), size: u64(words, at + ST_SIZE) };
    if (range.size === 0) continue;
    if (first === 0x5f && named(name, '__pfx_')) found.prefixes.push(range);
    else if (first === 0x5f && named(name, '__cfi_')) {
      found.prefixes.push(range);
      found.preambles.set(place(section, range.value + range.size), range);
    } else {
      found.functions.push(range);
      if (first === 0x6b && named(name, 'kobject_delayed_cleanup')) found.kobjectRelease = true;
      for (const [text, what] of TYPED)
        if (first === text.charCodeAt(0) && named(name, text)) found.typed[what].push(range);
    }
  }
  reachFunctions(found);
  return found;
}

/** Compilers give `__cfi_f` five bytes and leave NOPs without a name up to the function; objtool makes it end there. */
function reachFunctions({ preambles, functions }: Symbols): void {
  const short = [...preambles].filter(([, { size }]) => size === PREAMBLE_BYTES);
  if (short.length === 0) return;
  const starts = new Set(functions.map(({ section, value }) => place(section, value)));
  for (const [end, range] of short) {
    let gap = 0;
    while (gap < LARGEST_PADDING && !starts.has(end + gap)) gap++;
    if (gap === 0 || gap === LARGEST_PADDING) continue;
    preambles.delete(end);
    range.size += gap;
    preambles.set(end + gap, range);
  }
}

/** The ordinary section in which a symbol is defined; 0 for none. */
export function sectionOf(object: ElfObject, symbol: SymbolIndex): SectionIndex {
  const short = object.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
  const section = short === SHN_XINDEX ? (object.extendedIndex[symbol] ?? 0) : short < SHN_LORESERVE ? short : 0;
  return section < object.sectionCount ? section : 0;
}

/** What a rela of a table of addresses points at; undefined for an undefined symbol. PC-relative entries name their own place, so no bias is in the addend. */
export function targetOf(object: ElfObject, relas: Uint32Array, at: WordIndex): number | undefined {
  const symbol = relas[at + R_SYM]!;
  if (symbol >= object.symbolCount)
    object.malformed(
      object.offset(object.symtabSection),
      `a relocation names symbol ${symbol} of ${object.symbolCount}`,
    );
  const section = sectionOf(object, symbol);
  return section === 0
    ? undefined
    : place(section, u64(object.symbols, symbol * SYM_WORDS + ST_VALUE) + s64(relas, at + R_ADDEND));
}

/** The NUL-terminated text of an object; null where it does not end within its section. */
function stringAt(object: ElfObject, { section, value, size }: SymbolRange): string | null {
  const bytes = object.content(section).subarray(value, value + size);
  const end = bytes.indexOf(0);
  return end < 0 ? null : Buffer.from(bytes.subarray(0, end)).toString('latin1');
}
