import { archOf } from '../../arch';
import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHF_ALLOC,
  SHN_ABS,
  SHN_UNDEF,
  SHT_NOBITS,
  SHT_RELA,
  STB_LOCAL,
  STT_FILE,
  STT_SECTION,
  ST_INFO,
  ST_SIZE,
  SYM_WORDS,
  type ElfObject,
  s64,
  u64,
} from '../../elf';
import { notModule } from '../../diagnostics';
import { Columns } from '../../kernel/listing';
import { moduleInfo, moduleKeys } from '../../kernel/modinfo';
import { ModuleLayout } from './layout';

/** The table of ftrace's sites, by kernels' builds. */
const SITES = new Set(['__mcount_loc', '__patchable_function_entries']);

/**
 * A finished module (`.ko`) as the image of what runs, laid out and linked like the module loader does it: sections each at an address,
 * every symbol of another object at one of its own. What the linker resolved, or left to the loader, is the same then.
 */
export class ShippedModule {
  readonly name: string;
  readonly vermagic: string | null;
  /** Defined symbols in the order of its symbol table, which is the order in which livepatch counts them. */
  readonly columns: Columns;
  /** Addresses of what it imports, by name. */
  readonly imports: ReadonlyMap<string, number>;
  /** Addresses that ftrace can redirect. A module without a table of them has none: all of lib/ is compiled without ftrace (`lru_cache.ko`). */
  readonly sites: ReadonlySet<number>;
  private readonly layout: ModuleLayout;
  /** Sections that are loaded and have bytes, as the loader makes them. */
  private readonly contents: ReadonlyArray<Uint8Array | undefined>;

  /** @throws KlpflowError `not-a-module` for an object that is not finished, `malformed-elf` */
  constructor(readonly object: ElfObject) {
    const { name } = moduleInfo(object);
    const keys = moduleKeys(object);
    if (name === null || !keys.has('vermagic')) throw notModule(object.path, name === null ? 'name' : 'vermagic');
    this.name = name;
    this.vermagic = keys.get('vermagic') ?? null;
    this.layout = new ModuleLayout(object);
    this.contents = Array.from({ length: object.sectionCount }, (_, section) =>
      this.layout.sections[section] === 0 || object.type(section) === SHT_NOBITS
        ? undefined
        : new Uint8Array(object.content(section)),
    );
    const { addresses, columns, imports } = this.readSymbols();
    this.columns = columns;
    this.imports = imports;
    for (let section = 1; section < object.sectionCount; section++)
      if (object.type(section) === SHT_RELA) this.relocate(section, addresses);
    this.sites = this.readSites();
  }

  get path(): string {
    return this.object.path;
  }

  /** Memory of a section that the file has; undefined for other addresses. */
  bytesAt(address: number, length: number): Uint8Array | undefined {
    const { sections } = this.layout;
    for (let section = 1; section < sections.length; section++) {
      const at = address - sections[section]!;
      if (sections[section] !== 0 && at >= 0 && length >= 0 && at + length <= this.object.size(section))
        return this.contents[section]?.subarray(at, at + length);
    }
    return undefined;
  }

  /** Memory from an address to the end of its section. */
  bytesFrom(address: number): Uint8Array | undefined {
    const { sections } = this.layout;
    for (let section = 1; section < sections.length; section++) {
      const at = address - sections[section]!;
      if (sections[section] !== 0 && at >= 0 && at < this.object.size(section))
        return this.contents[section]?.subarray(at);
    }
    return undefined;
  }

  /** The first section of a name, as the loader makes it. */
  content(name: string): { address: number; bytes: Uint8Array } | undefined {
    const [section] = this.object.sectionsNamed(name);
    const bytes = section === undefined ? undefined : this.contents[section];
    return bytes === undefined ? undefined : { address: this.layout.sections[section!]!, bytes };
  }

  has(section: string): boolean {
    return this.object.sectionsNamed(section).length > 0;
  }

  /** Whether an address lies in a section of this name. */
  holds(name: string, address: number): boolean {
    const { sections } = this.layout;
    return this.object
      .sectionsNamed(name)
      .some((section) => address >= sections[section]! && address < sections[section]! + this.object.size(section));
  }

  /** Whether the kernel drops a symbol of `columns` once the module has been initialised: those behind it then have other positions. */
  isDropped(entry: number): boolean {
    const section = this.object.sectionOf(this.columns.symbol[entry]!);
    return section === undefined || this.object.name(section).startsWith('.init');
  }

  isGlobal(entry: number): boolean {
    return ((this.object.symbols[this.columns.symbol[entry]! * SYM_WORDS + ST_INFO]! >>> 4) & 0xf) !== STB_LOCAL;
  }

  private readSymbols(): { addresses: Float64Array; columns: Columns; imports: Map<string, number> } {
    const { object, layout } = this;
    const { symbols, symbolCount } = object;
    const addresses = new Float64Array(symbolCount);
    const columns = new Columns(object.bytes, symbolCount);
    const imports = new Map<string, number>();
    for (let symbol = 1; symbol < symbolCount; symbol++) {
      const word = symbols[symbol * SYM_WORDS + ST_INFO]!;
      const type = word & 0xf;
      const section = object.sectionOf(symbol);
      if (word >>> 16 === SHN_UNDEF) {
        const name = object.symbolName(symbol);
        const address = imports.get(name) ?? layout.nextImport();
        imports.set(name, address);
        addresses[symbol] = address;
        continue;
      }
      const value = object.symbolValue(symbol);
      const address = section === undefined ? value : layout.sections[section]! + value;
      addresses[symbol] = address;
      const loaded = section === undefined ? word >>> 16 === SHN_ABS : (object.sectionFlags(section) & SHF_ALLOC) !== 0;
      if (type === STT_SECTION || type === STT_FILE || !loaded) continue;
      const start = object.symbolNameOffset(symbol);
      const end = object.bytes.indexOf(0, start);
      if (end > start && end - start <= 0xffff)
        columns.add(start, end - start, address >>> 0, 0, u64(symbols, symbol * SYM_WORDS + ST_SIZE), 0, symbol);
    }
    return { addresses, columns, imports };
  }

  private relocate(relas: number, addresses: Float64Array): void {
    const { object, layout } = this;
    const arch = archOf(object.machine, object.path);
    const section = object.info(relas);
    const content = this.contents[section];
    if (content === undefined) return;
    const size = content.length;
    const base = layout.sections[section]!;
    const view = new DataView(content.buffer);
    const words = object.relas(relas);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const offset = u64(words, at + R_OFFSET);
      const symbol = words[at + R_SYM]!;
      const type = words[at + R_TYPE]!;
      if (symbol >= addresses.length || offset >= size)
        object.malformed(object.offset(relas) + at * 4, `a relocation of symbol ${symbol} at ${offset}`);
      // What does not fit is of a type that does nothing, or damaged: then it fits nothing that it is compared with.
      if (offset + (type === arch.address64 ? 8 : 4) <= size)
        arch.fill(type, view, offset, base + offset, addresses[symbol]! + s64(words, at + R_ADDEND));
    }
  }

  private readSites(): Set<number> {
    const { object } = this;
    const sites = new Set<number>();
    for (let section = 1; section < object.sectionCount; section++) {
      const content = this.contents[section];
      if (content === undefined || !SITES.has(object.name(section))) continue;
      const view = new DataView(content.buffer);
      for (let at = 0; at + 8 <= view.byteLength; at += 8) sites.add(Number(view.getBigInt64(at, true)));
    }
    return sites;
  }
}
