import { createHash } from 'node:crypto';
import { SHN_UNDEF, STB_LOCAL, STT_FILE, ST_INFO, SYM_WORDS, type ElfObject } from '../elf';

/**
 * What tells one object of a folder from another build's others: the names of its units in order, and a digest of the names of
 * its defined globals, whatever their order. LTO's suffixes count for nothing.
 */
export function unitNames(object: ElfObject): { units: string; globals: string } {
  const units: string[] = [];
  const globals: string[] = [];
  for (let symbol = 1; symbol < object.symbolCount; symbol++) {
    const word = object.symbols[symbol * SYM_WORDS + ST_INFO]!;
    if ((word & 0xf) === STT_FILE) units.push(object.symbolName(symbol));
    else if ((word & 0xf0) >>> 4 !== STB_LOCAL && word >>> 16 !== SHN_UNDEF) globals.push(object.symbolName(symbol).replace(/\.llvm\.\d+/, ''));
  }
  return { units: units.join('\n'), globals: createHash('sha256').update(globals.sort().join('\n')).digest('hex') };
}
