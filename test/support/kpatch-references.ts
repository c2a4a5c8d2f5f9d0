import {
  EM_PPC64,
  EM_S390,
  EM_X86_64,
  R_X86_64_PC32,
  R_X86_64_PLT32,
  SHF_STRINGS,
  SHN_LIVEPATCH,
  SHT_RELA,
  type ElfObject,
} from '../../src/elf';
import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  ST_INFO,
  ST_VALUE,
  SYM_WORDS,
  s64,
  u64,
} from '../../src/elf/words';

const R_390_PC32DBL = 19;
const MOST_SPECIAL = 0xff00;

interface Place {
  section: string;
  offset: number;
}

/** Places of named symbols, by which a klp symbol is known. */
export function placesOf(elf: ElfObject): Map<string, Place> {
  const places = new Map<string, Place>();
  for (let symbol = 1; symbol < elf.symbolCount; symbol++) {
    const section = elf.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
    if (section > 0 && section < MOST_SPECIAL && elf.symbolName(symbol) !== '')
      places.set(elf.symbolName(symbol), {
        section: elf.name(section),
        offset: u64(elf.symbols, symbol * SYM_WORDS + ST_VALUE),
      });
  }
  return places;
}

/**
 * What the code in some sections refers to, one line a relocation: `.text.target+0x14: type 10 .text.helper+0x0`. Strings stand as text; what
 * goes through ppc64's .toc as what stands there; a klp symbol as the place that `named` says.
 */
export function references(elf: ElfObject, sections: readonly string[], named: ReadonlyMap<string, Place>): string[] {
  const relas: Array<{ section: number; offset: number; type: number; symbol: number; addend: number }> = [];
  for (let section = 1; section < elf.sectionCount; section++) {
    if (elf.type(section) !== SHT_RELA) continue;
    const words = elf.relas(section);
    for (let at = 0; at < words.length; at += RELA_WORDS)
      relas.push({
        section: elf.info(section),
        offset: u64(words, at + R_OFFSET),
        type: words[at + R_TYPE]!,
        symbol: words[at + R_SYM]!,
        addend: s64(words, at + R_ADDEND),
      });
  }
  const target = ({ type, symbol, addend }: (typeof relas)[number]): string => {
    const at = symbol * SYM_WORDS;
    const section = elf.symbols[at + ST_INFO]! >>> 16;
    if (section === SHN_LIVEPATCH) {
      const [, owner, name] = /^\.klp\.sym\.([^.]+)\.(.+),\d+$/.exec(elf.symbolName(symbol))!;
      const place = named.get(name!);
      return `${owner === 'vmlinux' ? '' : owner}${place?.section}+0x${((place?.offset ?? NaN) + addend).toString(16)}`;
    }
    if (section === 0 || section >= MOST_SPECIAL)
      return `${symbol === 0 ? '' : elf.symbolName(symbol)}+0x${addend.toString(16)}`;
    const place = u64(elf.symbols, at + ST_VALUE) + addend;
    if (elf.machine === EM_PPC64 && elf.name(section) === '.toc') {
      const entry = relas.find((rela) => rela.section === section && rela.offset === place);
      return `.toc > ${entry === undefined ? 'constant' : target(entry)}`;
    }
    if ((elf.sectionFlags(section) & SHF_STRINGS) === 0) return `${elf.name(section)}+0x${place.toString(16)}`;
    const content = Buffer.from(elf.content(section));
    const start = place - biasOf(elf.machine, type);
    return JSON.stringify(content.toString('latin1', start, content.indexOf(0, start)));
  };
  return relas
    .filter(({ section }) => sections.includes(elf.name(section)))
    .map((rela) => `${elf.name(rela.section)}+0x${rela.offset.toString(16)}: type ${rela.type} ${target(rela)}`)
    .sort();
}

/** Bytes from what an addend says to what is meant: these fields count from elsewhere than their own place. */
function biasOf(machine: number, type: number): number {
  if (machine === EM_S390 && type === R_390_PC32DBL) return 2;
  return machine === EM_X86_64 && (type === R_X86_64_PC32 || type === R_X86_64_PLT32) ? -4 : 0;
}
