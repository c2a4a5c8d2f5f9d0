import { EM_AARCH64, R_OFFSET, RELA_WORDS, u64, type ElfObject } from '../../elf';
import type { PlatformFacts } from '../object';
import { aarch64Facts } from './aarch64';
import { commonest, sample } from './sampling';
import { place, readSections, type Sections } from './sections';
import { readSymbols, targetOf, type SymbolRange, type Symbols } from './symbols';
import { typeHashes } from './type-hashes';

export { hasArity } from './type-hashes';

const ENDBR64 = 0xfa1e0ff3;
const RET = 0xc3;
const INT3 = 0xcc;
/** struct orc_entry, since 4.14: two 16-bit offsets, 16 bits of registers and type. */
const ORC_ENTRY = 6;
/**
 * What ORIG says about its kernel: prefixes, ENDBR, the form of returns, kCFI hashes, ORC words. Two passes, over symbols and
 * over section headers; tables of a section's own (`.orc_unwind_ip`) are read once. A processor without a reader of its own is read by x86-64's names;
 * one that has none of them gets an object without features.
 * @throws KlpflowError `malformed-elf`
 */
export function platformFacts(object: ElfObject): PlatformFacts {
  return (READERS.get(object.machine) ?? factsByNames)(object);
}

const READERS: ReadonlyMap<number, (object: ElfObject) => PlatformFacts> = new Map([[EM_AARCH64, aarch64Facts]]);

function factsByNames(object: ElfObject): PlatformFacts {
  const symbols = readSymbols(object);
  const tables = readSections(object);
  const prefixBytes = commonest(symbols.prefixes.map(({ size }) => size)) ?? 0;
  return {
    vermagic: symbols.vermagic,
    prefixBytes,
    functionAlign: commonest(tables.textAligns) || 1,
    ibt: indirectBranchTracking(object, symbols.functions, tables),
    returns: tables.has('.return_sites') ? 'thunk' : returnForm(object, symbols.functions),
    kcfi: typeHashes(object, symbols, tables),
    orcAtStart: orcWord(object, symbols, tables),
    retpoline: tables.has('.retpoline_sites'),
    kobjectRelease: symbols.kobjectRelease,
  };
}

/**
 * Objtool writes seals, stack layouts and return sites in one go, so an object with ENDBR and none of these has not been through it:
 * a partition of ThinLTO, a unit of an LTO kernel. There not even most functions need to have ENDBR: statics that only their own
 * unit calls have none.
 */
function indirectBranchTracking(
  object: ElfObject,
  functions: readonly SymbolRange[],
  tables: Sections,
): PlatformFacts['ibt'] {
  let with64 = 0;
  let all = 0;
  for (const { section, value } of sample(functions)) {
    const code = object.content(section).subarray(value, value + 4);
    if (code.length < 4) continue;
    all++;
    if ((code[0]! | (code[1]! << 8) | (code[2]! << 16) | (code[3]! << 24)) >>> 0 === ENDBR64) with64++;
  }
  if (tables.has('.ibt_endbr_seal')) return with64 * 2 > all;
  return with64 > 0 && !tables.has('.orc_unwind_ip') && !tables.has('.return_sites') ? 'before-objtool' : false;
}

/** How functions end that have no return thunk: CONFIG_MITIGATION_SLS puts an int3 behind each `ret`. */
function returnForm(object: ElfObject, functions: readonly SymbolRange[]): 'ret' | 'ret-int3' {
  let plain = 0;
  let trapped = 0;
  for (const { section, value, size } of sample(functions)) {
    const code = object.content(section).subarray(value, value + size);
    if (code.at(-1) === RET) plain++;
    else if (code.at(-1) === INT3 && code.at(-2) === RET) trapped++;
  }
  return trapped > plain ? 'ret-int3' : 'ret';
}

/** The ORC entry at the start of most functions' prefixes (of most functions where there are no prefixes), in hex. */
function orcWord(object: ElfObject, symbols: Symbols, tables: Sections): string | null {
  const addresses = tables.named((name) => name === '.orc_unwind_ip');
  const words = tables.named((name) => name === '.orc_unwind');
  if (addresses.length === 0 || addresses.length !== words.length) return null;
  const starts = new Set(
    (symbols.prefixes.length > 0 ? symbols.prefixes : symbols.functions).map(({ section, value }) =>
      place(section, value),
    ),
  );
  const found: string[] = [];
  addresses.forEach((section, i) => {
    const content = object.content(words[i]!);
    const entries = Buffer.from(content.buffer, content.byteOffset, content.length);
    const relas = tables.relas(section);
    // 410,042 entries in a 7.2 kernel, of which 48,396 of 48,669 at prefixes agree: some 60,000 entries decide.
    const step = RELA_WORDS * Math.ceil(relas.length / RELA_WORDS / 65_536);
    for (let at = 0; at < relas.length; at += step) {
      const target = targetOf(object, relas, at);
      const entry = (u64(relas, at + R_OFFSET) / 4) * ORC_ENTRY;
      if (target !== undefined && starts.has(target) && entry + ORC_ENTRY <= entries.length)
        found.push(entries.toString('hex', entry, entry + ORC_ENTRY));
    }
  });
  return commonest(found) ?? null;
}
