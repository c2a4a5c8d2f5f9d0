import { archOf, type Arch } from '../../arch';
import { RELA_WORDS, SHN_UNDEF, type ElfObject, type Offset, type SectionIndex, type SymbolIndex } from '../../elf';
import { Anchors } from './anchors';
import base64 from './generated/module';
import { hostOf } from './host';
import { RelaReader } from './relas';
import type { ScanTable } from './table';
import { Uses } from './uses';

/**
 * The functions of wasm/index.ts. Offsets are numbers, which hold those of any file: a BigInt is slow to pass. A digest comes as a pointer to
 * its four words, good until the next call.
 */
export interface WasmFunctions {
  classifySections(from: number, to: number): void;
  placeSections(from: number, to: number): void;
  readSymbols(from: number, to: number): void;
  countCovers(from: number, to: number): void;
  startCovers(from: number, to: number): void;
  placeCovers(from: number, to: number): void;
  orderCovers(from: number, to: number): void;
  checkOverlaps(from: number, to: number): void;
  markAmbiguous(from: number, to: number): void;
  clearSlots(): void;
  deriveSymbols(from: number, to: number): void;
  deriveSections(from: number, to: number): void;
  openName(length: number): number;
  nextNamed(from: number): number;
  nextBesideCovers(from: number): number;
  nextPrefix(from: number, section: SectionIndex): number;
  countLabels(): number;
  listLabels(at: number): void;
  nameLabels(): void;
  openGaps(): void;
  nextGaps(): number;
  digestCovers(from: number, to: number): void;
  digestRange(section: SectionIndex, start: number, end: number): number;
  digestTarget(
    symbol: SymbolIndex,
    section: SectionIndex,
    offset: Offset,
    type: number,
    addend: number,
    tail: number,
  ): number;
  fits(section: SectionIndex, size: number, site: number, known: number): number;
  annotatedSize(section: SectionIndex, annotations: number): number;
  openTable(): void;
  nextEntries(): number;
  digestEntry(): number;
  digestEntries(): void;
  markTargets(section: SectionIndex, trait: number): void;
  coverAt(section: SectionIndex, offset: Offset): number;
  objectAt(section: SectionIndex, offset: Offset): number;
  objectBefore(section: SectionIndex, offset: Offset): number;
  objectBehind(section: SectionIndex, offset: Offset): number;
  tocRela(section: SectionIndex, offset: Offset): number;
  branch(target: number): void;
}

/** Most frames for pages of the file: 4 MiB. */
const MOST_FRAMES = 512;

let compiled: WebAssembly.Module | undefined;
const known = new WeakMap<ScanTable, Identity>();

/**
 * Identity of contents: one digest a symbol, equal in two builds exactly when nothing that matters differs; see wasm/identity.ts, which says
 * what a digest holds. This is one thread's WebAssembly over one object and its columns: what it is given of memory lies behind the columns.
 */
export class Identity {
  readonly relas: RelaReader;
  readonly anchors: Anchors;
  readonly code: WasmFunctions;
  /** Rules of the open special table (wasm/entries.ts), and numbers of entries of it (wasm/index.ts). */
  readonly rules: Int32Array;
  readonly entries: Float64Array;
  private readonly words: Int32Array;
  private readonly longName: number;
  private readonly uses = new Uses();

  /** A thread has one for each table. */
  static of(object: ElfObject, table: ScanTable): Identity {
    let identity = known.get(table);
    if (identity === undefined)
      known.set(table, (identity = new Identity(object, table, archOf(object.machine, object.path))));
    return identity;
  }

  private constructor(
    readonly object: ElfObject,
    readonly table: ScanTable,
    readonly arch: Arch,
  ) {
    const { memory } = table;
    this.relas = new RelaReader(object, table);
    this.anchors = new Anchors(this);
    compiled ??= new WebAssembly.Module(Buffer.from(base64, 'base64'));
    const { exports } = new WebAssembly.Instance(compiled, {
      env: { memory },
      host: hostOf(this, (words) => this.uses.append(words)),
    });
    this.code = exports as unknown as WasmFunctions;
    const globals = exports as Record<string, WebAssembly.Global>;
    const constant = (name: string): number => globals[name]!.value;
    const pageBytes = 1 << constant('PAGE_BITS');
    const pages = Math.floor(object.bytes.length / pageBytes) + 1;
    const frames = Math.min(MOST_FRAMES, pages);

    let length = 0;
    const own = new Map<string, number>();
    const give = (name: string, bytes: number): void => {
      own.set(name, length);
      length += Math.ceil(bytes / 64) * 64;
    };
    give('frames', frames * (pageBytes + constant('NEXT')));
    give('pages', pages * 4);
    give('owners', frames * 4);
    give('orders', table.sections);
    give('memo', constant('MEMO'));
    give('uses', constant('USES') * 4);
    give('digests', (constant('LEVELS') + 1) * constant('DIGEST'));
    give('longName', constant('LONGEST'));
    give('plainName', constant('LONGEST_PLAIN') + 8);
    give('gaps', constant('GAPS'));
    give('rules', constant('RULES') * 4);
    const numbers = constant('BATCH_ENTRIES') * constant('ENTRY_NUMBERS');
    give('entryBatch', numbers * 8);
    give('nops', constant('NOPS'));
    const start = table.grow(length);

    const set = (name: string, value: number): void => {
      globals[name]!.value = value;
    };
    for (const [name, at] of own) set(name, start + at);
    for (const [name, at] of table.places) set(name, at);
    set('symbols', table.symbols);
    set('sections', table.sections);
    set('fileSize', object.bytes.length);
    set('big', object.little ? 0 : 1);
    set('frameCount', frames);
    set('headers', object.headersOffset);
    set('namesStart', object.sectionNames.start);
    set('namesEnd', object.sectionNames.end);
    set('symtab', object.offset(object.symtabSection));
    set('extended', object.extendedOffset);
    set('stringsStart', object.strings.start);
    set('stringsEnd', object.strings.end);
    set(
      'tails',
      arch.tails.reduce((bits, tail) => bits | (1 << tail), 0),
    );
    set('anchored', arch.distancesUsed === null ? 0 : 1);
    new Uint8Array(memory.buffer).set(arch.filling.nops.listed(constant('NOPS')), start + own.get('nops')!);
    this.longName = start + own.get('longName')!;
    this.words = new Int32Array(memory.buffer);
    this.rules = new Int32Array(memory.buffer, start + own.get('rules')!, constant('RULES'));
    this.entries = new Float64Array(memory.buffer, start + own.get('entryBatch')!, numbers);
  }

  /** The low word of a base name's hash, as the column `hash` has it of functions and objects. */
  nameHash(name: string): number {
    const bytes = Buffer.from(name);
    new Uint8Array(this.table.memory.buffer).set(bytes, this.longName);
    return this.code.openName(bytes.length) >>> 0;
  }

  /** The defined symbols of a name, in table order. */
  named(name: string): number[] {
    const { code, table, object } = this;
    this.nameHash(name);
    const found: number[] = [];
    for (let symbol = code.nextNamed(1); symbol < table.symbols; symbol = code.nextNamed(symbol + 1)) {
      const section = table.section[symbol]!;
      if (section !== SHN_UNDEF && section < table.sections && object.symbolName(symbol) === name) found.push(symbol);
    }
    return found;
  }

  /** The uses that were noted since the last call, USE_WORDS words each. */
  takeUses(): Uint32Array {
    return this.uses.take();
  }

  /** The digest of bytes [start, end) of a section and of all references in them. */
  ofRange(section: SectionIndex, start: number, end: number): Int32Array {
    return this.digestAt(this.code.digestRange(section, start, end));
  }

  /** The digest of what (symbol, addend) of a rela at `offset` of `section` points at; `tail` is the number of instruction bytes behind the field. */
  ofTarget(
    symbol: SymbolIndex,
    section: SectionIndex,
    offset: Offset,
    type: number,
    addend: number,
    tail: number,
  ): Int32Array {
    return this.digestAt(this.code.digestTarget(symbol, section, offset, type, addend, tail));
  }

  digestAt(pointer: number): Int32Array {
    return this.words.slice(pointer >>> 2, (pointer >>> 2) + 4);
  }

  /** The smallest sized symbol of `section` that covers `offset`, canonical; 0 if none. */
  coverAt(section: SectionIndex, offset: Offset): number {
    return this.code.coverAt(section, offset);
  }

  /** The symbol that a place belongs to; 0 for anonymous data. */
  objectAt(section: SectionIndex, offset: Offset): number {
    return this.code.objectAt(section, offset);
  }

  /** The object that begins last before a place, canonical; 0 if none does. */
  objectBefore(section: SectionIndex, offset: Offset): number {
    return this.code.objectBefore(section, offset);
  }

  /** The object that begins first behind a place, canonical; 0 if none does. */
  objectBehind(section: SectionIndex, offset: Offset): number {
    return this.code.objectBehind(section, offset);
  }

  /** Word number, in `relas.words`, of the rela of a TOC entry; -1 for a constant. An entry that refers to the TOC is none. */
  tocRela(section: SectionIndex, offset: Offset): number {
    const index = this.code.tocRela(section, offset);
    return index < 0 ? -1 : this.relas.select(section, 0, this.object.size(section)).at + index * RELA_WORDS;
  }
}

const SLICE = 4096;

/** Calls `work` for [from, to) a slice at a time; see wasm/index.ts. */
export function inSlices(from: number, to: number, work: (from: number, to: number) => void): void {
  for (let at = from; at < to; at += SLICE) work(at, Math.min(at + SLICE, to));
}
