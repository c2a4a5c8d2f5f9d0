/**
 * The columns of one object, in shared memory.
 *
 * A kernel has 300,000 symbols and 200,000 sections: one JavaScript object each would cost seconds and gigabytes, so
 * every property is a typed array over one shared memory that all threads and their WebAssembly see. A million symbols take 85 MB.
 */
import { useHugePages } from '../../files/huge-pages';

export interface Shape {
  symbols: number;
  sections: number;
}

type Place = readonly [offset: number, length: number];

/**
 * Where each column lies, 8-aligned, and how many bytes all take. `around` and `refersTo` are derived, and the WebAssembly's alone: see
 * wasm/derive.ts; so are `sectionStart` and `sectionLength`, see wasm/sections.ts.
 */
function layout({ symbols: n, sections: m }: Shape) {
  let bytes = PAGE;
  const column = (width: number, length: number): Place => {
    const place = [bytes, length] as const;
    bytes = Math.ceil((bytes + width * length) / 8) * 8;
    return place;
  };
  const columns = {
    digest: column(4, n * 4),
    special: column(4, n * 2),
    hash: column(4, n * 2),
    value: column(4, n),
    size: column(4, n),
    name: column(4, n),
    section: column(4, n),
    file: column(4, n),
    canonical: column(4, n),
    suffix: column(4, n),
    traits: column(4, n),
    lines: column(4, n),
    covers: column(4, n),
    around: column(4, n),
    listed: column(4, n),
    nameLength: column(2, n),
    info: column(1, n),
    kind: column(1, n),
    refersTo: column(1, n),
    sectionClass: column(4, m),
    relaSection: column(4, m),
    sectionStart: column(4, m),
    sectionLength: column(4, m),
    coverStart: column(4, m + 1),
    sole: column(4, m),
    roles: column(4, m),
    sectionSpecial: column(1, m),
    gapped: column(1, m),
    counts: column(4, 4),
  };
  return { columns, bytes };
}

/** Memory grows by pages, up to 4 GiB, and WebAssembly keeps its constants in the first. */
const PAGE = 65536;
const MOST_PAGES = 65536;

/** A WebAssembly.Memory that threads share, as far as a table needs it; Node's types have none. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}

/** Memory that the columns take. */
export function tableBytes(shape: Shape): number {
  return layout(shape).bytes;
}

/** Whether the columns fit into one memory, with half of it left to the threads: 16 million symbols do. */
export function fitsMemory(shape: Shape): boolean {
  return tableBytes(shape) <= (MOST_PAGES / 2) * PAGE;
}

export class ScanTable {
  readonly memory: SharedMemory;
  /** Where each column begins, by name. */ readonly places: ReadonlyArray<readonly [name: string, at: number]>;

  // Per symbol.
  /** File offset of the name. */ readonly name: Uint32Array;
  /** Length of the name in bytes. */ readonly nameLength: Uint16Array;
  /** Two words of base-name hash. */ readonly hash: Uint32Array;
  readonly section: Uint32Array;
  /** st_value; bytes from the section's start. Of SHN_ABS only the low 32 bits: ElfFile.symbolValue has all. */
  readonly value: Uint32Array;
  readonly size: Uint32Array;
  /** st_info. */ readonly info: Uint8Array;
  readonly kind: Uint8Array;
  readonly traits: Uint32Array;
  /** The FILE symbol a local belongs to, 0 for none. */ readonly file: Uint32Array;
  /** The alias that stands for the group; itself for most. */ readonly canonical: Uint32Array;
  /** Hash of the `.llvm.` suffix, 0 for none. */ readonly suffix: Uint32Array;
  /** FILE and correlatable symbols in table order, `listedCount` of them: what correlation goes through. Derived. */
  readonly listed: Uint32Array;
  /** Sections that are read entry by entry, sought by role, hold records or have a name of their own; some hundred, `roleCount` of them. Derived. */
  readonly roles: Uint32Array;
  /** How many of `listed` and `roles` are filled, and how many cold parts and prefixes with a type there are. */
  private readonly counts: Uint32Array;
  /** Four words of content digest. */ readonly digest: Int32Array;
  /** Two words of digest over the function's special-section entries, order-free. */ readonly special: Int32Array;
  /** Sum over the source lines that a function's entries carry; a difference here is told and ignored. */
  readonly lines: Int32Array;

  // Per section.
  readonly sectionClass: Uint32Array;
  /** Number of the special section, 0 for none. */ readonly sectionSpecial: Uint8Array;
  /** The rela section that applies, 0 for none. */ readonly relaSection: Uint32Array;
  /** covers[coverStart[s] .. coverStart[s + 1]) are the sized symbols of section s by (value, size). */
  readonly coverStart: Uint32Array;
  readonly covers: Uint32Array;
  /** The object that a section consists of, canonical; 0 for others. Derived. */ readonly sole: Uint32Array;
  /** 1 for a loaded section that has bytes which no sized symbol covers, and which are compared as such. Derived. */
  readonly gapped: Uint8Array;

  /** Lays the columns over `memory`, or over fresh zeroed memory. */
  constructor(
    readonly shape: Shape,
    memory?: SharedMemory,
  ) {
    const { columns: at, bytes } = layout(shape);
    this.memory =
      memory ?? new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE), maximum: MOST_PAGES, shared: true });
    const { buffer } = this.memory;
    if (memory === undefined) useHugePages(buffer, 0);
    this.places = Object.entries(at).map(([name, [offset]]) => [name, offset]);
    this.value = new Uint32Array(buffer, ...at.value);
    this.size = new Uint32Array(buffer, ...at.size);
    this.digest = new Int32Array(buffer, ...at.digest);
    this.special = new Int32Array(buffer, ...at.special);
    this.hash = new Uint32Array(buffer, ...at.hash);
    this.name = new Uint32Array(buffer, ...at.name);
    this.section = new Uint32Array(buffer, ...at.section);
    this.file = new Uint32Array(buffer, ...at.file);
    this.canonical = new Uint32Array(buffer, ...at.canonical);
    this.suffix = new Uint32Array(buffer, ...at.suffix);
    this.traits = new Uint32Array(buffer, ...at.traits);
    this.lines = new Int32Array(buffer, ...at.lines);
    this.covers = new Uint32Array(buffer, ...at.covers);
    this.listed = new Uint32Array(buffer, ...at.listed);
    this.nameLength = new Uint16Array(buffer, ...at.nameLength);
    this.info = new Uint8Array(buffer, ...at.info);
    this.kind = new Uint8Array(buffer, ...at.kind);
    this.sectionClass = new Uint32Array(buffer, ...at.sectionClass);
    this.relaSection = new Uint32Array(buffer, ...at.relaSection);
    this.coverStart = new Uint32Array(buffer, ...at.coverStart);
    this.sole = new Uint32Array(buffer, ...at.sole);
    this.roles = new Uint32Array(buffer, ...at.roles);
    this.sectionSpecial = new Uint8Array(buffer, ...at.sectionSpecial);
    this.gapped = new Uint8Array(buffer, ...at.gapped);
    this.counts = new Uint32Array(buffer, ...at.counts);
  }

  /** More memory behind the columns, for as long as they live; threads may ask at the same time. Returns where it begins. */
  grow(bytes: number): number {
    const start = this.memory.grow(Math.ceil(bytes / PAGE)) * PAGE;
    useHugePages(this.memory.buffer, start);
    return start;
  }

  get listedCount(): number {
    return this.counts[0]!;
  }

  set listedCount(count: number) {
    this.counts[0] = count;
  }

  get roleCount(): number {
    return this.counts[1]!;
  }

  set roleCount(count: number) {
    this.counts[1] = count;
  }

  /** Sections of a role, in order; see Role. */
  ofRole(role: number): number[] {
    return Array.from(this.roles.subarray(0, this.roleCount)).filter(
      (section) => this.sectionSpecial[section] === role,
    );
  }

  get coldCount(): number {
    return this.counts[2]!;
  }

  set coldCount(count: number) {
    this.counts[2] = count;
  }

  get typedCount(): number {
    return this.counts[3]!;
  }

  get symbols(): number {
    return this.shape.symbols;
  }

  get sections(): number {
    return this.shape.sections;
  }

  has(symbol: number, trait: number): boolean {
    return (this.traits[symbol]! & trait) !== 0;
  }
}
