/**
 * The columns of one object, in shared memory.
 *
 * A kernel has 300,000 symbols and 200,000 sections: one JavaScript object each would cost seconds and gigabytes, so
 * every property is a typed array over one shared memory that all threads and their WebAssembly see. A million symbols take 85 MB.
 */
import { STB_LOCAL, type Offset, type SymbolIndex } from '../../elf';
import { COLUMNS, layout, type ColumnName, type Shape, type ViewOf } from '../../columns';
import { useHugePages } from '../../files/huge-pages';

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
  return layout(shape, PAGE).end;
}

/** Whether the columns fit into one memory, with half of it left to the threads: 16 million symbols do. */
export function fitsMemory(shape: Shape): boolean {
  return tableBytes(shape) <= (MOST_PAGES / 2) * PAGE;
}

/** The memory of columns, and where they lie in it. */
class ColumnMemory {
  readonly memory: SharedMemory;
  /** Where each column begins, by name. */
  readonly places: ReadonlyArray<readonly [name: string, at: number]>;
  private readonly at: ReturnType<typeof layout>['at'];

  /** Lays the columns over `memory`, or over fresh zeroed memory. */
  constructor(
    readonly shape: Shape,
    memory?: SharedMemory,
  ) {
    const { at, end } = layout(shape, PAGE);
    this.memory =
      memory ?? new WebAssembly.Memory({ initial: Math.ceil(end / PAGE), maximum: MOST_PAGES, shared: true });
    if (memory === undefined) useHugePages(this.memory.buffer, 0);
    this.at = at;
    this.places = Object.entries(at).map(([name, [offset]]) => [name, offset]);
  }

  protected view<N extends ColumnName>(name: N): ViewOf<N> {
    const View: new (buffer: SharedArrayBuffer, offset: Offset, length: number) => unknown = COLUMNS[name].type;
    const [offset, length] = this.at[name];
    return new View(this.memory.buffer, offset, length) as ViewOf<N>;
  }
}

/** Each column by name; src/columns.ts says what it holds. Written out, for V8 reads what a constructor names faster than what it loops over. */
export class ScanTable extends ColumnMemory {
  readonly digest = this.view('digest');
  readonly special = this.view('special');
  readonly hash = this.view('hash');
  readonly value = this.view('value');
  readonly size = this.view('size');
  readonly name = this.view('name');
  readonly section = this.view('section');
  readonly file = this.view('file');
  readonly canonical = this.view('canonical');
  readonly suffix = this.view('suffix');
  readonly traits = this.view('traits');
  readonly lines = this.view('lines');
  readonly covers = this.view('covers');
  readonly listed = this.view('listed');
  readonly nameLength = this.view('nameLength');
  readonly info = this.view('info');
  readonly kind = this.view('kind');
  readonly sectionClass = this.view('sectionClass');
  readonly relaSection = this.view('relaSection');
  readonly coverStart = this.view('coverStart');
  readonly sole = this.view('sole');
  readonly roles = this.view('roles');
  readonly sectionSpecial = this.view('sectionSpecial');
  readonly gapped = this.view('gapped');
  private readonly counts = this.view('counts');

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

  /** Whether the symbol's name is its unit's own. */
  isLocal(symbol: SymbolIndex): boolean {
    return this.info[symbol]! >>> 4 === STB_LOCAL;
  }

  /** STB_*. */
  bindOf(symbol: SymbolIndex): number {
    return this.info[symbol]! >>> 4;
  }

  /** STT_*. */
  typeOf(symbol: SymbolIndex): number {
    return this.info[symbol]! & 0xf;
  }

  has(symbol: SymbolIndex, trait: number): boolean {
    return (this.traits[symbol]! & trait) !== 0;
  }
}
