import {
  SHN_LORESERVE,
  SHN_XINDEX,
  STT_FUNC,
  STT_OBJECT,
  ST_INFO,
  ST_NAME,
  ST_SIZE,
  ST_VALUE,
  SYM_WORDS,
  u64,
  type ElfObject,
} from '../../elf';
import { place } from './sections';

export interface Range {
  section: number;
  value: number;
  size: number;
}

export interface Symbols {
  vermagic: string | null;
  kobjectRelease: boolean;
  /** `__pfx_*` and `__cfi_*`: what stands before functions. */
  prefixes: Range[];
  /** Where a `__cfi_*` symbol ends, i.e. its function starts, to where it begins. */
  preambles: Map<number, Range>;
  functions: Range[];
}

export function readSymbols(object: ElfObject): Symbols {
  const { symbols: words, bytes, strings } = object;
  const found: Symbols = { vermagic: null, kobjectRelease: false, prefixes: [], preambles: new Map(), functions: [] };
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
    }
  }
  return found;
}

/** The ordinary section in which a symbol is defined; 0 for none. */
export function sectionOf(object: ElfObject, symbol: number): number {
  const short = object.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
  const section = short === SHN_XINDEX ? (object.extendedIndex[symbol] ?? 0) : short < SHN_LORESERVE ? short : 0;
  return section < object.sectionCount ? section : 0;
}

/** The NUL-terminated text of an object; null where it does not end within its section. */
function stringAt(object: ElfObject, { section, value, size }: Range): string | null {
  const bytes = object.content(section).subarray(value, value + size);
  const end = bytes.indexOf(0);
  return end < 0 ? null : Buffer.from(bytes.subarray(0, end)).toString('latin1');
}
