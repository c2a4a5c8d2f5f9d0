import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_MERGE,
  SHF_STRINGS,
  SHF_WRITE,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHN_XINDEX,
  SHT_NOBITS,
  SHT_RELA,
  STB_LOCAL,
  STT_FILE,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
} from '../../elf/constants';
import type { ElfObject } from '../../elf/object';
import { RELA_WORDS, R_OFFSET, R_SYM, R_TYPE, ST_INFO, ST_SIZE, ST_VALUE, SYM_WORDS, u64 } from '../../elf/words';
import { distributionOf } from './distribution';
import { SHAPE_RULES, type ShapeRules } from './rules';
import {
  REFERENCE_KINDS,
  SITE_TABLES,
  type DataKind,
  type ObjectShape,
  type ReferenceKind,
  type Shape,
  type SiteKind,
} from './types';

const CLONE = /\.(cold|isra|part|constprop)(\.|$)/;
/** Tables whose entries hold two references to code. */
const TWO_CODE_FIELDS = new Set<SiteKind>(['jumpLabels', 'faults', 'alternatives']);

/** What symbols lie in, by section kind. */
const Kind = { OTHER: 0, CODE: 1, STRING: 2, RODATA: 3, DATA: 4, BSS: 5 } as const;
const DATA_KINDS: ReadonlyArray<readonly [DataKind, number]> = [
  ['data', Kind.DATA],
  ['bss', Kind.BSS],
  ['rodata', Kind.RODATA],
];

/** A symbol that has bytes of its own. */
interface Extent {
  symbol: number;
  section: number;
  start: number;
  size: number;
  relas: number;
}

/**
 * Measures how an object of a processor of SHAPE_RULES is built. Names of symbols are read, code is not.
 * @throws KlpflowError `malformed-elf` for a record that points nowhere
 */
export function measureShape(object: ElfObject): Shape {
  return new Measurement(object).shape();
}

class Measurement {
  private readonly kinds: Uint8Array;
  private readonly functions: Extent[] = [];
  private readonly objects = new Map<number, Extent[]>(DATA_KINDS.map(([, kind]) => [kind, []]));
  /** Extents of each section with any, in order of their starts. */
  private readonly extents = new Map<number, Extent[]>();
  private readonly references = new Map<ReferenceKind, number>(REFERENCE_KINDS.map((kind) => [kind, 0]));
  private readonly byUnit: number[] = [];
  private readonly localNames = new Map<string, number>();
  private readonly scopes = { local: 0, global: 0, promoted: 0, cloned: 0, prefixed: 0, aliased: 0 };
  /** Where data stands in code, by section: hashes of types and literals. */
  private readonly dataInCode = new Map<number, Set<number>>();
  private readonly rules: ShapeRules;
  private relaCount = 0;
  private units = 0;

  constructor(private readonly object: ElfObject) {
    this.rules = SHAPE_RULES[object.machine]!;
    this.kinds = Uint8Array.from({ length: object.sectionCount }, (_, section) => this.kindOf(section));
    this.readSymbols();
    for (const extents of this.extents.values()) extents.sort((a, b) => a.start - b.start || a.symbol - b.symbol);
    this.dropAliases();
    for (let section = 1; section < object.sectionCount; section++)
      if (object.type(section) === SHT_RELA) this.readRelas(section);
  }

  shape(): Shape {
    const { object, functions, scopes } = this;
    const count = functions.length;
    const per1000 = (value: number, of = count): number => (of === 0 ? 0 : Math.round((value / of) * 100_000) / 100);
    const byKey = <K extends string, V>(keys: readonly K[], value: (key: K) => V): Record<K, V> =>
      Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, V>;
    const groups = [...this.localNames.values()].filter((times) => times > 1);
    const alone = functions.filter(({ section }) => this.extents.get(section)!.length === 1).length;
    const init = functions.filter(({ section }) => object.name(section) === '.init.text').length;
    const references = [...this.references.values()].reduce((sum, value) => sum + value, 0);
    return {
      schema: 'klpflow/shape@1',
      ...this.rules.said,
      counts: {
        bytes: object.bytes.length,
        sections: object.sectionCount,
        symbols: object.symbolCount,
        relas: this.relaCount,
        functions: count,
        units: this.units,
      },
      functions: {
        size: distributionOf(functions.map(({ size }) => size)),
        relas: distributionOf(functions.map(({ relas }) => relas)),
        sizeToRelas: rankCorrelation(functions),
        localsPerUnit: distributionOf(this.byUnit.filter((locals) => locals > 0)),
        per1000: byKey(Object.keys(scopes) as Array<keyof typeof scopes>, (scope) => per1000(scopes[scope])),
        placed: { alone: per1000(alone), init: per1000(init), shared: per1000(count - alone - init) },
        duplicates: {
          per1000: per1000(
            groups.reduce((sum, times) => sum + times, 0),
            scopes.local,
          ),
          group: distributionOf(groups),
        },
      },
      ...(this.rules.hashesAreData ? { typeHashes: per1000(this.hashed()) } : {}),
      references: byKey(REFERENCE_KINDS, (kind) => per1000(this.references.get(kind)!, references)),
      objects: Object.fromEntries(
        DATA_KINDS.map(([name, kind]): [DataKind, ObjectShape] => {
          const found = this.objects.get(kind)!;
          return [
            name,
            {
              per1000: per1000(found.length),
              alone: per1000(
                found.filter(({ section }) => this.extents.get(section)!.length === 1).length,
                found.length,
              ),
              size: distributionOf(found.map(({ size }) => size)),
              relas: distributionOf(found.map(({ relas }) => relas)),
            },
          ];
        }),
      ) as Shape['objects'],
      strings: this.strings(per1000),
      sites: byKey(Object.keys(SITE_TABLES) as SiteKind[], (kind) => per1000(this.sites(kind))),
      entrySections: per1000(this.entrySections()),
      totals: {
        sections: per1000(object.sectionCount),
        symbols: per1000(object.symbolCount),
        relas: per1000(this.relaCount),
      },
      debug: this.debug(count),
    };
  }

  private kindOf(section: number): number {
    const { object } = this;
    const flags = object.sectionFlags(section);
    if ((flags & SHF_ALLOC) === 0) return Kind.OTHER;
    if ((flags & SHF_EXECINSTR) !== 0) return Kind.CODE;
    if ((flags & SHF_MERGE) !== 0 && (flags & SHF_STRINGS) !== 0) return Kind.STRING;
    if ((flags & SHF_WRITE) === 0) return Kind.RODATA;
    return object.type(section) === SHT_NOBITS ? Kind.BSS : Kind.DATA;
  }

  /** The section of a symbol, 0 for none. */
  private sectionOf(symbol: number): number {
    const { object } = this;
    let section = object.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
    if (section === SHN_XINDEX) section = object.extendedIndex[symbol] ?? 0;
    else if (section === SHN_UNDEF || section >= SHN_LORESERVE) return 0;
    if (section >= object.sectionCount)
      object.malformed(0, `symbol ${symbol} is in section ${section} of ${object.sectionCount}`);
    return section;
  }

  private readSymbols(): void {
    const { object, scopes } = this;
    for (let symbol = 1; symbol < object.symbolCount; symbol++) {
      const info = object.symbols[symbol * SYM_WORDS + ST_INFO]! & 0xff;
      const type = info & 0xf;
      if (type === STT_FILE) {
        this.units++;
        this.byUnit.push(0);
      }
      if (type === STT_NOTYPE && this.rules.hashesAreData) this.readMark(symbol);
      if (type !== STT_FUNC && type !== STT_OBJECT) continue;
      const section = this.sectionOf(symbol);
      const size = u64(object.symbols, symbol * SYM_WORDS + ST_SIZE);
      if (section === 0 || size === 0) continue;
      const extent = { symbol, section, start: u64(object.symbols, symbol * SYM_WORDS + ST_VALUE), size, relas: 0 };
      if (type === STT_OBJECT) {
        const found = this.objects.get(this.kinds[section]!);
        if (found === undefined) continue;
        found.push(extent);
      } else {
        const name = object.symbolName(symbol);
        if (name.startsWith('__pfx_')) {
          scopes.prefixed++;
          continue;
        }
        this.functions.push(extent);
      }
      const others = this.extents.get(section);
      if (others === undefined) this.extents.set(section, [extent]);
      else others.push(extent);
    }
  }

  /** Remembers a mapping symbol of data within code. */
  private readMark(symbol: number): void {
    const { object, kinds } = this;
    const section = this.sectionOf(symbol);
    if (kinds[section] !== Kind.CODE || !/^\$d(\.|$)/.test(object.symbolName(symbol))) return;
    const places = this.dataInCode.get(section) ?? new Set();
    this.dataInCode.set(section, places.add(u64(object.symbols, symbol * SYM_WORDS + ST_VALUE)));
  }

  /** Functions with a word of data in front of them. */
  private hashed(): number {
    return this.functions.filter(({ section, start }) => this.dataInCode.get(section)?.has(start - 4)).length;
  }

  /** Of several functions at one place the first counts. */
  private dropAliases(): void {
    const { object, scopes } = this;
    const extra = new Set<Extent>();
    for (const [section, extents] of this.extents) {
      const kept = extents.filter(
        (extent, i) => i === 0 || extents[i - 1]!.start !== extent.start || extents[i - 1]!.size !== extent.size,
      );
      if (kept.length === extents.length) continue;
      for (const extent of extents) if (!kept.includes(extent)) extra.add(extent);
      this.extents.set(section, kept);
    }
    const before = this.functions.length;
    keep(this.functions, extra);
    for (const objects of this.objects.values()) keep(objects, extra);
    scopes.aliased = before - this.functions.length;
    const units = this.unitOfLocals();
    for (const { symbol } of this.functions) {
      const name = object.symbolName(symbol);
      if (CLONE.test(name)) scopes.cloned++;
      if (name.includes('.llvm.')) scopes.promoted++;
      else if ((object.symbols[symbol * SYM_WORDS + ST_INFO]! & 0xff) >> 4 !== STB_LOCAL) scopes.global++;
      else {
        scopes.local++;
        this.localNames.set(name, (this.localNames.get(name) ?? 0) + 1);
        const unit = units[symbol]!;
        if (unit > 0) this.byUnit[unit - 1]!++;
      }
    }
  }

  /** Number of the FILE symbol, from 1, in whose scope each symbol stands. */
  private unitOfLocals(): Uint32Array {
    const { symbols, symbolCount } = this.object;
    const units = new Uint32Array(symbolCount);
    for (let symbol = 1, unit = 0; symbol < symbolCount; symbol++) {
      if ((symbols[symbol * SYM_WORDS + ST_INFO]! & 0xf) === STT_FILE) unit++;
      units[symbol] = unit;
    }
    return units;
  }

  private readRelas(section: number): void {
    const { object, kinds } = this;
    const words = object.relas(section);
    const target = object.info(section);
    this.relaCount += words.length / RELA_WORDS;
    const extents = this.extents.get(target);
    const isCode = kinds[target] === Kind.CODE;
    if (extents === undefined && !isCode) return;
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      if (isCode) this.count(words[at + R_SYM]!, words[at + R_TYPE]!);
      const extent = extents === undefined ? undefined : holder(extents, u64(words, at + R_OFFSET));
      if (extent !== undefined) extent.relas++;
    }
  }

  private count(symbol: number, type: number): void {
    const { object } = this;
    if (symbol >= object.symbolCount)
      object.malformed(0, `a relocation names symbol ${symbol} of ${object.symbolCount}`);
    if (this.rules.completing.includes(type)) return;
    const section = this.sectionOf(symbol);
    const kind = section === 0 ? Kind.OTHER : this.kinds[section]!;
    this.references.set(
      this.referenceKind(symbol, type, kind),
      this.references.get(this.referenceKind(symbol, type, kind))! + 1,
    );
  }

  private referenceKind(symbol: number, type: number, kind: number): ReferenceKind {
    if (kind === Kind.CODE || kind === Kind.OTHER) {
      const name = this.object.symbolName(symbol);
      const own = this.rules.named(name);
      if (own !== undefined) return own;
      return this.rules.calls.includes(type) ? 'call' : kind === Kind.CODE ? 'code' : 'other';
    }
    return kind === Kind.STRING ? 'string' : kind === Kind.RODATA ? 'constant' : kind === Kind.DATA ? 'data' : 'bss';
  }

  private strings(per1000: (value: number) => number): Shape['strings'] {
    const { object, kinds } = this;
    const lengths: number[] = [];
    let sections = 0;
    for (let section = 1; section < object.sectionCount; section++) {
      if (kinds[section] !== Kind.STRING || object.entsize(section) > 1) continue;
      sections++;
      const bytes = object.content(section);
      for (let start = 0; start < bytes.length; ) {
        const end = bytes.indexOf(0, start);
        // Strings of `.str1.8` stand at multiples of 8: what is between them is not a string.
        if (end > start) lengths.push(end - start);
        start = end < 0 ? bytes.length : end + 1;
      }
    }
    return { per1000: per1000(lengths.length), length: distributionOf(lengths), sections: per1000(sections) };
  }

  /** Entries of the tables of this kind: their references to code, by those that an entry holds. */
  private sites(kind: SiteKind): number {
    const { object, kinds } = this;
    const name = this.rules.tables[kind];
    let references = 0;
    for (let section = 1; section < object.sectionCount; section++) {
      if (object.type(section) !== SHT_RELA) continue;
      const target = object.name(object.info(section));
      if (name.endsWith('_') ? !target.startsWith(name) : target !== name) continue;
      const words = object.relas(section);
      for (let at = 0; at < words.length; at += RELA_WORDS) {
        const symbol = words[at + R_SYM]!;
        if (symbol >= object.symbolCount)
          object.malformed(0, `a relocation names symbol ${symbol} of ${object.symbolCount}`);
        const isCode = kinds[this.sectionOf(symbol)] === Kind.CODE;
        // What is exported or kept for modules may be a variable.
        if (isCode || kind === 'exports' || kind === 'addressable') references++;
      }
    }
    return references / (TWO_CODE_FIELDS.has(kind) ? 2 : 1);
  }

  private entrySections(): number {
    const { object } = this;
    let count = 0;
    for (let section = 1; section < object.sectionCount; section++)
      if (object.name(section) === '__patchable_function_entries') count++;
    return count;
  }

  private debug(functions: number): Shape['debug'] {
    const { object } = this;
    const found: Record<string, { bytes: number; relas: number }> = {};
    const rounded = (value: number): number => Math.round((value / Math.max(functions, 1)) * 1000) / 1000;
    for (let section = 1; section < object.sectionCount; section++) {
      const name = object.name(section).replace(/^\.rela/, '');
      if (!name.startsWith('.debug_')) continue;
      const entry = (found[name] ??= { bytes: 0, relas: 0 });
      if (object.type(section) === SHT_RELA) entry.relas += rounded(object.size(section) / 24);
      else entry.bytes += rounded(object.size(section));
    }
    return Object.keys(found).length === 0 ? null : found;
  }
}

function keep(extents: Extent[], without: ReadonlySet<Extent>): void {
  let used = 0;
  for (const extent of extents) if (!without.has(extent)) extents[used++] = extent;
  extents.length = used;
}

/** The extent that holds an offset, by bisection. */
function holder(extents: readonly Extent[], offset: number): Extent | undefined {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (extents[middle]!.start <= offset) low = middle + 1;
    else high = middle;
  }
  const extent = extents[low - 1];
  return extent !== undefined && offset < extent.start + extent.size ? extent : undefined;
}

/** Spearman's rank correlation of size and number of relocations; equal values share a rank. */
function rankCorrelation(functions: readonly Extent[]): number {
  const ranks = (values: number[]): Float64Array => {
    const order = values.map((_, i) => i).sort((left, right) => values[left]! - values[right]!);
    const rank = new Float64Array(values.length);
    for (let from = 0; from < order.length; ) {
      let to = from;
      while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
      for (let i = from; i < to; i++) rank[order[i]!] = (from + to - 1) / 2;
      from = to;
    }
    return rank;
  };
  const [a, b] = [ranks(functions.map(({ size }) => size)), ranks(functions.map(({ relas }) => relas))];
  const mean = (functions.length - 1) / 2;
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i]! - mean) * (b[i]! - mean);
    aa += (a[i]! - mean) ** 2;
    bb += (b[i]! - mean) ** 2;
  }
  return aa * bb === 0 ? 0 : Math.round((ab / Math.sqrt(aa * bb)) * 1000) / 1000;
}
