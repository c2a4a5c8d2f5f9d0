import { ElfObject } from '../../src/elf';
import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, ST_INFO, ST_VALUE, SYM_WORDS, s64, u64 } from '../../src/elf/words';

/** Code of a module that the kernel rewrites when it loads it. */
export interface Site {
  kind: 'return' | 'indirect' | 'alternative' | 'preamble';
  section: string;
  /** Bytes from the section's start. */
  offset: number;
  length: number;
  /** The bytes in the file, relocated fields as they stand there. */
  before: string;
}

/** Sites of a module by its tables; of each kind the first `most`, of preambles the last ones, which are those of init and exit. */
export function rewrittenSites(path: string, most = 3): Site[] {
  const module = ElfObject.open(path);
  return [
    ...sitesOf(module, '.return_sites', 4, 'return', () => 5).slice(0, most),
    ...sitesOf(module, '.retpoline_sites', 4, 'indirect', () => 6).slice(0, most),
    ...sitesOf(module, '.cfi_sites', 4, 'preamble', () => 5).slice(-most),
    ...sitesOf(module, '.altinstructions', 14, 'alternative', (entry) => entry[12]!).slice(0, most),
  ];
}

/** One site an entry; its first field is the address. */
function sitesOf(
  module: ElfObject,
  table: string,
  size: number,
  kind: Site['kind'],
  lengthOf: (entry: Uint8Array) => number,
): Site[] {
  const sections = Array.from({ length: module.sectionCount }, (_, i) => i);
  const section = sections.find((i) => i > 0 && module.name(i) === table);
  const relas = sections.find((i) => i > 0 && module.name(i) === `.rela${table}`);
  if (section === undefined || relas === undefined) return [];
  const words = module.relas(relas);
  const sites: Site[] = [];
  for (let at = 0; at < words.length; at += RELA_WORDS) {
    const entry = u64(words, at + R_OFFSET);
    if (entry % size !== 0) continue;
    const symbol = words[at + R_SYM]! * SYM_WORDS;
    const target = module.symbols[symbol + ST_INFO]! >>> 16;
    const offset = u64(module.symbols, symbol + ST_VALUE) + s64(words, at + R_ADDEND);
    const length = lengthOf(module.content(section).subarray(entry, entry + size));
    sites.push({
      kind,
      section: module.name(target),
      offset,
      length,
      before: Buffer.from(module.content(target).subarray(offset, offset + length)).toString('hex'),
    });
  }
  return sites;
}
