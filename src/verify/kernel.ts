import { KlpflowError } from '../diagnostics';
import {
  ElfImage,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHN_ABS,
  SHN_UNDEF,
  STB_LOCAL,
  STT_FILE,
  STT_FUNC,
  STT_OBJECT,
  STT_SECTION,
  ST_INFO,
  ST_SIZE,
  ST_VALUE,
  SYM_WORDS,
  u64,
} from '../elf';
import { MappedFile } from '../files/mapped-file';
import { address64, byAddress, isElf } from './addresses';
import { kindOfLetter, readList } from './kernel-list';
import type { KernelSymbol } from './kernel-list';
import type { ListedSymbol, ShippedKernel } from './shipped';
import { LinkedBytes } from './shipped/linked-bytes';
import { SECTION_ROOM, type ShippedModule } from './shipped/modules';
import { relocatedWords } from './shipped/raw-image';

/** Names that kallsyms leaves out (scripts/mksysmap, scripts/kallsyms.c). */
const UNLISTED = /^(\.L|\$|__kcfi_typeid_|__crc_|__kstrtab|__mod_device_table__|__efistub_|__pi_\.L)/;

/** Symbols that say what else the kernel has. */
const MARKS = [
  '_stext',
  '__init_begin',
  '__init_end',
  '__per_cpu_start',
  '__per_cpu_end',
  '__start_mcount_loc',
  '__stop_mcount_loc',
  '__return_sites',
  '__return_sites_end',
  '__retpoline_sites',
  '__retpoline_sites_end',
  '__call_sites',
  '__call_sites_end',
  '__start_static_call_sites',
  '__stop_static_call_sites',
  '__start_rodata',
  '__end_rodata',
  '__smp_locks',
  '__smp_locks_end',
  '__cfi_sites',
  '__cfi_sites_end',
  '_etext',
  '_sinittext',
  '_einittext',
];

/** The kernel that the module is for: where its symbols are, as its kallsyms would list them. */
export class Kernel {
  /** Entries of `__mcount_loc`; null where the source does not hold them. */
  private sites: Float64Array | null = null;
  private readonly moduleSites: number[] = [];
  private readonly dropped = new Set<number>();
  /** Functions whose endbr64 boot code overwrites (`.ibt_endbr_seal`). */
  private readonly sealed = new Set<number>();
  /** The linked file's bytes; null where the source is text. */
  private memory: LinkedBytes | null = null;
  /** The linked file that has a symbol table. */
  private image: ElfImage | null = null;
  /** The list of a kernel without a symbol table. */
  private carried: readonly ListedSymbol[] | null = null;

  private constructor(
    readonly path: string,
    /** A linked ELF file, or text (`/proc/kallsyms`, `System.map`, `readelf -sW`). */
    readonly source: 'image' | 'list',
    /** Symbols of vmlinux by name, in the order of their addresses. */
    private readonly symbols: ReadonlyMap<string, KernelSymbol[]>,
    /** Symbols of loaded modules by module and name, in table order; empty for sources without modules. */
    private readonly modules: Map<string, ReadonlyMap<string, KernelSymbol[]>>,
  ) {}

  /** Of a module its own file says more than a list does. */
  addModule({ name, symbols, sites, dropped }: ShippedModule): this {
    this.modules.set(name, symbols);
    for (const site of sites) this.moduleSites.push(site);
    for (const room of dropped) this.dropped.add(room);
    return this;
  }

  /**
   * Reads the symbols called as one of `wanted`.
   * @throws KlpflowError `unreadable`, `malformed-elf`, `malformed-symbol-list`
   */
  static open(path: string, wanted: ReadonlySet<string>): Kernel {
    const names = new Set([...wanted, ...MARKS]);
    // Files of /proc have no size and cannot be mapped.
    if (!path.startsWith('/proc/')) {
      const file = MappedFile.open(path);
      if (isElf(file.bytes)) return Kernel.fromImage(new ElfImage(file), names);
    }
    const { symbols, modules } = readList(path, names);
    for (const list of symbols.values()) list.sort((a, b) => byAddress(a.address, b.address));
    if (!symbols.has('_stext'))
      throw new KlpflowError(
        'malformed-symbol-list',
        `${path} does not list _stext: it is not a kernel's symbol list, or a stub of one`,
        { object: path },
      );
    const kernel = new Kernel(path, 'list', symbols, modules);
    kernel.doubtLetters();
    return kernel;
  }

  /** A kernel that has no symbol table, by the list that it carries. */
  static ofShipped({ memory, list, path }: ShippedKernel, wanted: ReadonlySet<string>): Kernel {
    const symbols = new Map<string, KernelSymbol[]>();
    for (const { name, letter, address } of list) {
      if (!wanted.has(name) && !MARKS.includes(name)) continue;
      const symbol: KernelSymbol = { address, size: null, kind: kindOfLetter(letter) };
      const known = symbols.get(name);
      if (known === undefined) symbols.set(name, [symbol]);
      else known.push(symbol);
    }
    const kernel = new Kernel(path, 'image', symbols, new Map());
    kernel.doubtLetters();
    kernel.sites = kernel.readSites(memory, list);
    kernel.readSeals(memory);
    kernel.memory = memory;
    kernel.carried = list;
    return kernel;
  }

  private static fromImage(image: ElfImage, names: ReadonlySet<string>): Kernel {
    const { symbols: words } = image;
    const symbols = new Map<string, KernelSymbol[]>();
    for (let index = 1, at = SYM_WORDS; index < image.symbolCount; index++, at += SYM_WORDS) {
      const info = words[at + ST_INFO]!;
      const type = info & 0xf;
      const section = info >>> 16;
      if (type === STT_SECTION || type === STT_FILE || section === SHN_UNDEF) continue;
      // Local absolute symbols are the assembler's constants.
      if (section === SHN_ABS && ((info >>> 4) & 0xf) === STB_LOCAL) continue;
      const name = image.symbolName(index);
      if (!names.has(name) || UNLISTED.test(name)) continue;
      const size = u64(words, at + ST_SIZE);
      const symbol: KernelSymbol = {
        address: address64(words, at + ST_VALUE),
        size: size === 0 ? null : size,
        kind: kindOf(type, image, image.sectionOf(index)),
      };
      const known = symbols.get(name);
      if (known === undefined) symbols.set(name, [symbol]);
      else known.push(symbol);
    }
    for (const list of symbols.values()) list.sort((a, b) => byAddress(a.address, b.address));
    if (!symbols.has('_stext'))
      throw new KlpflowError(
        'malformed-symbol-list',
        `${image.path} has no symbol _stext: it is not a linked vmlinux`,
        { object: image.path },
      );
    const kernel = new Kernel(image.path, 'image', symbols, new Map());
    kernel.memory = LinkedBytes.ofElf(image);
    kernel.sites = kernel.readSites(kernel.memory, []);
    kernel.readSeals(kernel.memory);
    kernel.image = image;
    return kernel;
  }

  /** All symbols of a name, in the order in which positions count; null where the source does not cover that object. */
  find(object: string, name: string): readonly KernelSymbol[] | null {
    if (object === 'vmlinux') return UNLISTED.test(name) ? [] : (this.symbols.get(name) ?? []);
    const module = this.modules.get(object);
    return module === undefined ? null : (module.get(name) ?? []);
  }

  /** The symbol at a position: 0 asks for the only one, n for the n-th. Says why there is none. */
  at(object: string, name: string, sympos: number): KernelSymbol | string | null {
    const list = this.find(object, name);
    if (list === null) return null;
    if (list.length === 0) return `${object} has no symbol ${name}`;
    if (object !== 'vmlinux' && list.length > 1 && list.some((symbol) => this.isDiscarded(symbol.address)))
      return `${object} has ${list.length} symbols called ${name}, one of them in memory that is given back after initialization: positions change then`;
    if (sympos === 0)
      return list.length === 1
        ? list[0]!
        : `${object} has ${list.length} symbols called ${name}, so position 0 does not name one`;
    return (
      list[sympos - 1] ??
      `${object} has ${list.length === 1 ? 'one symbol' : `${list.length} symbols`} called ${name}, there is no position ${sympos}`
    );
  }

  /** Whether `traceable` can say anything. */
  get knowsSites(): boolean {
    return this.sites !== null;
  }

  /** Whether ftrace has a site in [address, address + size); null where the source does not say. */
  traceable(address: number, size: number): boolean | null {
    const sites = address >= SECTION_ROOM ? this.moduleSites : this.sites;
    if (sites === null) return null;
    return sites.some((site) => site >= address && site < address + size);
  }

  /** Whether nothing may call the function at an address through a pointer; false where the source does not say. */
  isSealed(address: number): boolean {
    return this.sealed.has(address);
  }

  /** Whether an address is of memory that is given back after boot. Per-CPU symbols address a template there, which stays in use. */
  isDiscarded(address: number): boolean {
    if (this.dropped.has(Math.floor(address / SECTION_ROOM))) return true;
    return (
      this.within(address, '__init_begin', '__init_end') && !this.within(address, '__per_cpu_start', '__per_cpu_end')
    );
  }

  /** Whether an address is of memory that is read-only once the kernel has booted; what is `__ro_after_init` lies between the same marks. */
  isReadOnly(address: number): boolean {
    return this.within(address, '__start_rodata', '__end_rodata');
  }

  /** All names of vmlinux at each of some addresses, as kallsyms would list them. */
  namesAt(addresses: ReadonlySet<number>): Map<number, string[]> {
    const found = new Map<number, string[]>();
    const add = (name: string, address: number): void => {
      if (!addresses.has(address) || UNLISTED.test(name)) return;
      const list = found.get(address);
      if (list === undefined) found.set(address, [name]);
      else list.push(name);
    };
    if (addresses.size === 0) return found;
    if (this.carried !== null) {
      for (const { name, address } of this.carried) add(name, address);
      return found;
    }
    if (this.image === null) {
      for (const [name, list] of readList(this.path, null).symbols) for (const { address } of list) add(name, address);
      return found;
    }
    const { symbols: words, symbolCount } = this.image;
    for (let index = 1, at = SYM_WORDS; index < symbolCount; index++, at += SYM_WORDS) {
      const type = words[at + ST_INFO]! & 0xf;
      if (type !== STT_SECTION && type !== STT_FILE && words[at + ST_INFO]! >>> 16 !== SHN_UNDEF)
        add(this.image.symbolName(index), address64(words, at + ST_VALUE));
    }
    return found;
  }

  /** Bytes at an address as the file has them; undefined where the source is text, or has none there. */
  bytesAt(address: number, length: number): Uint8Array | undefined {
    return this.memory?.at(address, length);
  }

  private within(address: number, from: string, to: string): boolean {
    const start = this.mark(from);
    const end = this.mark(to);
    return (
      start !== undefined &&
      end !== undefined &&
      start !== end &&
      byAddress(address, start) >= 0 &&
      byAddress(address, end) < 0
    );
  }

  /** Whether the kernel was linked with a table that these symbols enclose and that is not empty. */
  hasTable(start: string, end: string): boolean {
    const from = this.mark(start);
    const to = this.mark(end);
    return from !== undefined && to !== undefined && from !== to;
  }

  /** A letter tells the flags of the linked section, and the .data of 7.2 and 7.3 is executable by them: `T jiffies`. What lies outside of all code may be data. */
  private doubtLetters(): void {
    if (this.mark('_etext') === undefined) return;
    for (const symbol of [...this.symbols.values()].flat()) {
      if (
        symbol.kind === 'code' &&
        !this.within(symbol.address, '_stext', '_etext') &&
        !this.within(symbol.address, '_sinittext', '_einittext')
      )
        symbol.kind = 'unknown';
    }
  }

  private mark(name: string): number | undefined {
    return this.symbols.get(name)?.[0]?.address;
  }

  private readSeals(memory: LinkedBytes): void {
    const seals = memory.section('.ibt_endbr_seal');
    if (seals === undefined) return;
    const { buffer, byteOffset, byteLength } = seals.bytes;
    const view = new DataView(buffer, byteOffset, byteLength);
    // Each entry is a distance from itself.
    for (let at = 0; at + 4 <= byteLength; at += 4)
      this.sealed.add(seals.address + at + view.getInt32(at, memory.little));
  }

  private readSites(memory: LinkedBytes, list: readonly ListedSymbol[]): Float64Array | null {
    const start = this.mark('__start_mcount_loc');
    const stop = this.mark('__stop_mcount_loc');
    if (start === undefined || stop === undefined || stop <= start || (stop - start) % 8 !== 0) return null;
    const bytes = memory.at(start, stop - start);
    if (bytes === undefined) return null;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const sites = Float64Array.from({ length: bytes.length / 8 }, (_, i) =>
      Number(view.getBigInt64(i * 8, memory.little)),
    );
    // A relocatable kernel that was linked without the values in place has zeros here, which would call every function untraceable.
    if (sites.some((site) => site !== 0)) return sites;
    return memory.rawBase === null ? null : relocatedWords(memory, list, start, stop);
  }
}

function kindOf(type: number, image: ElfImage, section: number | undefined): KernelSymbol['kind'] {
  if (type === STT_FUNC) return 'code';
  if (type === STT_OBJECT) return 'data';
  if (section === undefined) return 'unknown';
  // 7.2's linked .data is executable by its flags.
  return (image.sectionFlags(section) & (SHF_EXECINSTR | SHF_WRITE)) === SHF_EXECINSTR ? 'code' : 'data';
}
