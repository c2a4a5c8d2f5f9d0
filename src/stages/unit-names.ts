import { SHN_UNDEF, STB_LOCAL, STT_FILE, ST_INFO, SYM_WORDS, type ElfObject } from '../elf';
import { promotedName } from './compare';

/** What tells one object of a folder from another build's others. */
export interface UnitNames {
  /** Names of its units, in order. */
  units: string;
  /** Names of its defined globals without LTO's suffixes, sorted. */
  globals: string[];
  /** LTO's hash of each promoted one among them; '' for a name that has several. */
  promoted: Array<[base: string, hash: string]>;
}

/** Reads an object's symbol table for them. @throws KlpflowError `malformed-elf` */
export function unitNames(object: ElfObject): UnitNames {
  const units: string[] = [];
  const globals: string[] = [];
  const promoted = new Map<string, string>();
  for (let symbol = 1; symbol < object.symbolCount; symbol++) {
    const word = object.symbols[symbol * SYM_WORDS + ST_INFO]!;
    if ((word & 0xf) === STT_FILE) units.push(object.symbolName(symbol));
    else if ((word & 0xf0) >>> 4 !== STB_LOCAL && word >>> 16 !== SHN_UNDEF) {
      const name = object.symbolName(symbol);
      const suffixed = promotedName(name);
      globals.push(suffixed?.base ?? name);
      if (suffixed !== undefined) promoted.set(suffixed.base, (promoted.get(suffixed.base) ?? suffixed.hash) === suffixed.hash ? suffixed.hash : '');
    }
  }
  return { units: units.join('\n'), globals: globals.sort(), promoted: [...promoted] };
}
