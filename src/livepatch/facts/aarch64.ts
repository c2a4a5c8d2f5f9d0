import { wordAt } from '../../arch';
import { SHF_ALLOC, SHF_EXECINSTR, STT_NOTYPE, ST_INFO, ST_VALUE, SYM_WORDS, u64, type ElfObject } from '../../elf';
import { NO_FACTS, type PlatformFacts } from '../object';
import { commonest, sample } from './sampling';
import { place } from './sections';
import { readSymbols, sectionOf, type SymbolRange, type Symbols } from './symbols';
import { hashesShown } from './type-hashes';

const NOP = 0xd503201f;
const BTI_C = 0xd503245f;
/** Bytes of a hash. */
const HASH = 4;
/** Of a hundred functions that ftrace can take hold of, in a kernel with BTI: all but static ones whose address nobody takes begin with `bti c`. */
const BTI_PERCENT = 10;

/** What an arm64 ORIG says about its kernel. There are no ORC tables, return thunks or prefixes; hashes have no symbols. */
export function aarch64Facts(object: ElfObject): PlatformFacts {
  const symbols = readSymbols(object);
  const { functions } = symbols;
  return {
    ...NO_FACTS,
    vermagic: symbols.vermagic,
    functionAlign: commonest(textAligns(object)) || HASH,
    ibt: checksBranchTargets(object, functions),
    kcfi: hashesShown(object, { ...symbols, preambles: hashesBefore(object, symbols) }, undefined),
    kobjectRelease: symbols.kobjectRelease,
  };
}

/** Assembler functions begin with `bti c` in any kernel: it is what stands before the NOPs of an entry that tells. */
function checksBranchTargets(object: ElfObject, functions: readonly SymbolRange[]): boolean {
  let padded = 0;
  let all = 0;
  for (const { section, value } of sample(functions)) {
    const code = object.content(section).subarray(value, value + 12);
    const bti = wordAt(code, 0) === BTI_C ? 4 : 0;
    if (wordAt(code, bti) !== NOP || wordAt(code, bti + 4) !== NOP) continue;
    all++;
    if (bti > 0) padded++;
  }
  return padded * 100 > all * BTI_PERCENT;
}

/** The words right before functions that mapping symbols call data, by where the function begins. */
function hashesBefore(object: ElfObject, { functions }: Symbols): Map<number, SymbolRange> {
  const { symbols: words } = object;
  const data = new Set<number>();
  for (let symbol = 1, at = SYM_WORDS; symbol < object.symbolCount; symbol++, at += SYM_WORDS) {
    if ((words[at + ST_INFO]! & 0xf) !== STT_NOTYPE) continue;
    const section = sectionOf(object, symbol);
    if (section !== 0 && object.symbolName(symbol).startsWith('$d'))
      data.add(place(section, u64(words, at + ST_VALUE)));
  }
  const found = new Map<number, SymbolRange>();
  for (const { section, value } of functions)
    if (value >= HASH && data.has(place(section, value - HASH)))
      found.set(place(section, value), { section, value: value - HASH, size: HASH });
  return found;
}

function textAligns(object: ElfObject): number[] {
  const aligns: number[] = [];
  for (let section = 1; section < object.sectionCount; section++) {
    const flags = object.sectionFlags(section);
    if ((flags & SHF_ALLOC) !== 0 && (flags & SHF_EXECINSTR) !== 0 && object.size(section) > 0)
      aligns.push(object.align(section));
  }
  return aligns;
}
