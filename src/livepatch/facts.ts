import {
  R_ADDEND, R_OFFSET, R_SYM, RELA_WORDS, SHF_ALLOC, SHF_EXECINSTR, SHN_LORESERVE, SHN_XINDEX, SHT_RELA, STT_FUNC, STT_OBJECT, ST_INFO,
  ST_NAME, ST_SIZE, ST_VALUE, SYM_WORDS, s64, u64, type ElfObject,
} from '../elf';
import type { PlatformFacts } from './object';

const ENDBR64 = 0xfa1e0ff3;
const RET = 0xc3;
const INT3 = 0xcc;
/** `movl $hash, %eax`, which Clang puts where kCFI looks for a function's type. */
const MOVL_EAX = 0xb8;
const PREAMBLE = 5;
/** struct orc_entry, since 4.14: two 16-bit offsets, 16 bits of registers and type. */
const ORC_ENTRY = 6;
const SECTION_SPAN = 2 ** 40;

/** Sections whose presence or content is a fact, by what they start with behind the dot. */
const WANTED = /^\.(?:ibt_endbr_seal$|return_sites$|retpoline_sites$|cfi_sites$|orc_unwind(?:_ip)?$|initcall|exitcall\.exit$)/;

/** A place in the object as one number: section and offset. */
const place = (section: number, offset: number): number => section * SECTION_SPAN + offset;

/**
 * What ORIG says about its kernel: prefixes, ENDBR, the form of returns, kCFI hashes, ORC words. Two passes, over symbols and
 * over section headers; tables of a section's own (`.orc_unwind_ip`) are read once. Every processor is read by x86-64's names;
 * one that has none of them gets an object without features.
 * @throws KlpflowError `malformed-elf`
 */
export function platformFacts(object: ElfObject): PlatformFacts {
  const symbols = readSymbols(object);
  const tables = readSections(object);
  const prefixBytes = commonest(symbols.prefixes.map(({ size }) => size)) ?? 0;
  return {
    vermagic: symbols.vermagic,
    prefixBytes,
    functionAlign: commonest(tables.textAligns) ?? 1,
    ibt: tables.has('.ibt_endbr_seal') && beginWithEndbr(object, symbols.functions),
    returns: tables.has('.return_sites') ? 'thunk' : returnForm(object, symbols.functions),
    kcfi: typeHashes(object, symbols, tables),
    orcAtStart: orcWord(object, symbols, tables),
    retpoline: tables.has('.retpoline_sites'),
    kobjectRelease: symbols.kobjectRelease,
  };
}

interface Range {
  section: number;
  value: number;
  size: number;
}

interface Symbols {
  vermagic: string | null;
  kobjectRelease: boolean;
  /** `__pfx_*` and `__cfi_*`: what stands before functions. */
  prefixes: Range[];
  /** Where a `__cfi_*` symbol ends, i.e. its function starts, to where it begins. */
  preambles: Map<number, Range>;
  functions: Range[];
}

function readSymbols(object: ElfObject): Symbols {
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
      if (first === 0x76 && named(name, 'vermagic\0')) found.vermagic ??= stringAt(object, { section, value: u64(words, at + ST_VALUE), size: u64(words, at + ST_SIZE) });
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
function sectionOf(object: ElfObject, symbol: number): number {
  const short = object.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
  const section = short === SHN_XINDEX ? object.extendedIndex[symbol] ?? 0 : short < SHN_LORESERVE ? short : 0;
  return section < object.sectionCount ? section : 0;
}

/** The NUL-terminated text of an object; null where it does not end within its section. */
function stringAt(object: ElfObject, { section, value, size }: Range): string | null {
  const bytes = object.content(section).subarray(value, value + size);
  const end = bytes.indexOf(0);
  return end < 0 ? null : Buffer.from(bytes.subarray(0, end)).toString('latin1');
}

class Sections {
  private readonly byName = new Map<string, number[]>();
  private readonly relaOf = new Map<number, number>();
  readonly textAligns: number[] = [];

  constructor(readonly object: ElfObject) {}

  add(name: string, section: number): void {
    const known = this.byName.get(name);
    if (known === undefined) this.byName.set(name, [section]);
    else known.push(section);
  }

  relocates(rela: number, target: number): void {
    this.relaOf.set(target, rela);
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  named(test: (name: string) => boolean): number[] {
    return [...this.byName].filter(([name]) => test(name)).flatMap(([, sections]) => sections);
  }

  /** Relas of a section; nothing where it has none. */
  relas(section: number): Uint32Array {
    const rela = this.relaOf.get(section);
    return rela === undefined ? new Uint32Array(0) : this.object.relas(rela);
  }
}

function readSections(object: ElfObject): Sections {
  const found = new Sections(object);
  const wanted = new Set<number>();
  const relas: number[] = [];
  for (let section = 1; section < object.sectionCount; section++) {
    if (object.type(section) === SHT_RELA) {
      relas.push(section);
      continue;
    }
    const flags = object.sectionFlags(section);
    if ((flags & SHF_ALLOC) === 0) continue;
    if ((flags & SHF_EXECINSTR) !== 0) {
      if (object.size(section) > 0) found.textAligns.push(object.align(section));
      continue;
    }
    if (!mayBeWanted(object.bytes, object.nameOffset(section))) continue;
    const name = object.name(section);
    if (!WANTED.test(name)) continue;
    wanted.add(section);
    found.add(name, section);
  }
  for (const rela of relas) if (wanted.has(object.info(rela))) found.relocates(rela, object.info(rela));
  return found;
}

/** A kernel has 100,000 data sections (`.rodata.*`, `.data.*`, `.bss.*`): two letters spare the text of most names. */
function mayBeWanted(bytes: Uint8Array, name: number): boolean {
  const letter = bytes[name + 1];
  return bytes[name] === 0x2e && (letter === 0x69 || letter === 0x6f || letter === 0x63 || letter === 0x65 || (letter === 0x72 && bytes[name + 2] === 0x65));
}

function commonest<T>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best: T | undefined;
  let most = 0;
  for (const [value, count] of counts) if (count > most) [best, most] = [value, count];
  return best;
}

/** Functions to look into: some 2,000 of all, evenly spread. */
function* sample(functions: readonly Range[]): Generator<Range> {
  const step = Math.ceil(functions.length / 2048);
  for (let i = 0; i < functions.length; i += step) yield functions[i]!;
}

function beginWithEndbr(object: ElfObject, functions: readonly Range[]): boolean {
  let with64 = 0;
  let all = 0;
  for (const { section, value } of sample(functions)) {
    const code = object.content(section).subarray(value, value + 4);
    if (code.length < 4) continue;
    all++;
    if ((code[0]! | (code[1]! << 8) | (code[2]! << 16) | (code[3]! << 24)) >>> 0 === ENDBR64) with64++;
  }
  return with64 * 2 > all;
}

/** How functions end that have no return thunk: CONFIG_MITIGATION_SLS puts an int3 behind each `ret`. */
function returnForm(object: ElfObject, functions: readonly Range[]): 'ret' | 'ret-int3' {
  let plain = 0;
  let trapped = 0;
  for (const { section, value, size } of sample(functions)) {
    const code = object.content(section).subarray(value, value + size);
    if (code.at(-1) === RET) plain++;
    else if (code.at(-1) === INT3 && code.at(-2) === RET) trapped++;
  }
  return trapped > plain ? 'ret-int3' : 'ret';
}

/**
 * Type hashes out of the preambles of functions that certainly have the type: initcalls are `int (void)`, exit calls `void
 * (void)`. All donors of a type must say the same.
 */
function typeHashes(object: ElfObject, symbols: Symbols, tables: Sections): PlatformFacts['kcfi'] {
  if (symbols.preambles.size === 0 && !tables.has('.cfi_sites')) return null;
  const hashOf = (sections: readonly number[]): number | undefined => {
    const hashes = new Set<number>();
    for (const section of sections) {
      const relas = tables.relas(section);
      for (let at = 0; at < relas.length; at += RELA_WORDS) {
        const target = targetOf(object, relas, at);
        const preamble = target === undefined ? undefined : symbols.preambles.get(target);
        if (preamble === undefined || preamble.size < PREAMBLE) continue;
        const code = object.content(preamble.section).subarray(preamble.value, preamble.value + PREAMBLE);
        if (code.length === PREAMBLE && code[0] === MOVL_EAX) hashes.add((code[1]! | (code[2]! << 8) | (code[3]! << 16) | (code[4]! << 24)) >>> 0);
      }
    }
    return hashes.size === 1 ? [...hashes][0] : undefined;
  };
  const init = hashOf(tables.named((name) => name.startsWith('.initcall')));
  const exit = hashOf(tables.named((name) => name === '.exitcall.exit'));
  return init === undefined || exit === undefined ? 'no-donor' : { init, exit };
}

/** What a rela of a table of addresses points at; undefined for an undefined symbol. PC-relative entries name their own place, so no bias is in the addend. */
function targetOf(object: ElfObject, relas: Uint32Array, at: number): number | undefined {
  const symbol = relas[at + R_SYM]!;
  if (symbol >= object.symbolCount) object.malformed(object.offset(object.symtabSection), `a relocation names symbol ${symbol} of ${object.symbolCount}`);
  const section = sectionOf(object, symbol);
  return section === 0 ? undefined : place(section, u64(object.symbols, symbol * SYM_WORDS + ST_VALUE) + s64(relas, at + R_ADDEND));
}

/** The ORC entry at the start of most functions' prefixes (of most functions where there are no prefixes), in hex. */
function orcWord(object: ElfObject, symbols: Symbols, tables: Sections): string | null {
  const addresses = tables.named((name) => name === '.orc_unwind_ip');
  const words = tables.named((name) => name === '.orc_unwind');
  if (addresses.length === 0 || addresses.length !== words.length) return null;
  const starts = new Set((symbols.prefixes.length > 0 ? symbols.prefixes : symbols.functions).map(({ section, value }) => place(section, value)));
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
      if (target !== undefined && starts.has(target) && entry + ORC_ENTRY <= entries.length) found.push(entries.toString('hex', entry, entry + ORC_ENTRY));
    }
  });
  return commonest(found) ?? null;
}
