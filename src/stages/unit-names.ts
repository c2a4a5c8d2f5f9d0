import { createHash } from 'node:crypto';
import {
  SHF_WRITE,
  SHN_UNDEF,
  SHT_RELA,
  STB_LOCAL,
  STT_FILE,
  ST_INFO,
  ST_SIZE,
  ST_VALUE,
  SYM_WORDS,
  u64,
  type ElfObject,
  type SectionIndex,
  type SymbolIndex,
} from '../elf';
import { isNumberedAnew, promotedName } from './compare';

/** What tells one object of a folder from another build's others. */
export interface UnitNames {
  /** Names of its units, in order. */
  units: string;
  /** Names of its defined globals without LTO's suffixes, sorted. */
  globals: string[];
  /** LTO's hash of each promoted one among them; '' for a name that has several. */
  promoted: Array<[base: string, hash: string]>;
  /** Digests of promoted constants that refer to nothing, by full name: strings, above all. */
  constants: Array<[name: string, digest: string]>;
}

/** Reads an object's symbol table for them. @throws KlpflowError `malformed-elf` */
export function unitNames(object: ElfObject): UnitNames {
  const units: string[] = [];
  const globals: string[] = [];
  const promoted = new Map<string, string>();
  const constants: UnitNames['constants'] = [];
  const relocated = relocatedSections(object);
  for (let symbol = 1; symbol < object.symbolCount; symbol++) {
    const word = object.symbols[symbol * SYM_WORDS + ST_INFO]!;
    if ((word & 0xf) === STT_FILE) units.push(object.symbolName(symbol));
    else if ((word & 0xf0) >>> 4 !== STB_LOCAL && word >>> 16 !== SHN_UNDEF) {
      const name = object.symbolName(symbol);
      const suffixed = promotedName(name);
      globals.push(suffixed?.base ?? name);
      if (suffixed !== undefined && isNumberedAnew(suffixed.base)) {
        if (!relocated.has(word >>> 16))
          constants.push([name, digestOf(object, symbol, word >>> 16) || `${object.path} ${name}`]);
      } else if (suffixed !== undefined)
        promoted.set(
          suffixed.base,
          (promoted.get(suffixed.base) ?? suffixed.hash) === suffixed.hash ? suffixed.hash : '',
        );
    }
  }
  return { units: units.join('\n'), globals: globals.sort(), promoted: [...promoted], constants };
}

function relocatedSections(object: ElfObject): Set<number> {
  const found = new Set<number>();
  for (let section = 1; section < object.sectionCount; section++)
    if (object.type(section) === SHT_RELA) found.add(object.info(section));
  return found;
}

/** Digest of a symbol's bytes; '' for one without any. */
function digestOf(object: ElfObject, symbol: SymbolIndex, section: SectionIndex): string {
  if (section >= object.sectionCount || (object.sectionFlags(section) & SHF_WRITE) !== 0) return '';
  const at = symbol * SYM_WORDS;
  const start = u64(object.symbols, at + ST_VALUE);
  const bytes = object.content(section).subarray(start, start + u64(object.symbols, at + ST_SIZE));
  return bytes.length === 0 ? '' : createHash('sha256').update(bytes).digest('hex');
}
