import {
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
} from '../elf/constants';
import type { ElfWriter } from '../elf/writer';
import type { Sites } from './encode-function';
import { GrowingBytes, GrowingRelas, ReferenceTable } from './growing';
import type { SynthPlace } from './places';

/** What the tables need to know besides the sites. */
export interface TableTargets {
  string(text: string): SynthPlace;
  named(name: string): number;
  key(key: Sites['branches'][number]['key']): number;
  staticCallKey(call: number): number;
}

const A = SHF_ALLOC;
const WA = SHF_ALLOC | SHF_WRITE;
const AX = SHF_ALLOC | SHF_EXECINSTR;
/** One unwind entry: offsets from the stack pointer, kept the same for all. */
const ORC = Uint8Array.of(8, 0, 0xf0, 0xff, 0x25, 0x01);
const GPL = [0x47, 0x50, 0x4c, 0];
/** Exception type EX_TYPE_UACCESS. */
const EX_TYPE_UACCESS = 3;

/** A section that grows with its relocations. */
export class TableSection {
  readonly section: number;
  readonly bytes = new GrowingBytes();
  readonly relas = new GrowingRelas();

  constructor(writer: ElfWriter, name: string, flags: number, align: number, entsize = 0) {
    this.section = writer.section({ name, flags, align, entsize, content: this.bytes });
    writer.relas(this.section, this.relas);
  }

  /** Starts an entry of these bytes and returns its offset. */
  entry(bytes: readonly number[]): number {
    return this.bytes.add(bytes);
  }

  pc32(offset: number, { symbol, addend }: SynthPlace): void {
    this.relas.add(offset, R_X86_64_PC32, symbol, addend);
  }
}

interface ListSpec {
  name: string;
  flags: number;
  align: number;
  /** Bytes of an entry. */
  entry: number;
  /** sh_entsize. */
  entsize: number;
  /** R_* */
  type: number;
}

/** A section of one reference an entry, with its relocations. */
export function listTable(writer: ElfWriter, { name, flags, align, entry, entsize, type }: ListSpec): ReferenceTable {
  const content = new ReferenceTable(entry, type);
  writer.relas(writer.section({ name, flags, align, entsize, content }), content.relas);
  return content;
}

/**
 * The tables about code: what the compiler and assembler leave (bug records, jump labels, exceptions, alternatives,
 * runtime constants) and what objtool adds (static calls, ftrace sites, returns, sealed ENDBRs).
 *
 * Layouts are those of 6.12: 12-byte bug records, no entsize on what the assembler makes, no entry annotations.
 */
export class KernelTables {
  private readonly writer: ElfWriter;
  private readonly replacements: TableSection;
  private readonly alternatives: TableSection;
  private readonly bugs: TableSection;
  private readonly jumps: TableSection;
  private readonly faults: TableSection;
  private readonly staticCalls: TableSection;
  /** Tables that hold nothing but references to code. */
  private readonly lists: Record<
    | 'runtime'
    | 'returns'
    | 'calls'
    | 'retpolines'
    | 'locks'
    | 'unwinds'
    | 'ftrace'
    | 'seals'
    | 'annotations'
    | 'addressable',
    ReferenceTable
  >;
  private readonly exports: TableSection;

  constructor(
    writer: ElfWriter,
    private readonly targets: TableTargets,
  ) {
    this.writer = writer;
    this.alternatives = new TableSection(writer, '.altinstructions', A, 1);
    this.replacements = new TableSection(writer, '.altinstr_replacement', AX, 1);
    this.bugs = new TableSection(writer, '__bug_table', WA, 1);
    this.jumps = new TableSection(writer, '__jump_table', WA, 8);
    this.faults = new TableSection(writer, '__ex_table', A, 4);
    this.staticCalls = new TableSection(writer, '.static_call_sites', WA, 1, 8);
    this.exports = new TableSection(writer, '.export_symbol', A, 8);
    const list = (
      name: string,
      flags: number,
      align: number,
      entry: number,
      entsize: number,
      type = R_X86_64_PC32,
    ): ReferenceTable => listTable(writer, { name, flags, align, entry, entsize, type });
    this.lists = {
      runtime: list('runtime_ptr_USER_PTR_MAX', A, 1, 4, 0),
      returns: list('.return_sites', A, 1, 4, 4),
      calls: list('.call_sites', A, 1, 4, 4),
      retpolines: list('.retpoline_sites', A, 1, 4, 4),
      locks: list('.smp_locks', A, 4, 4, 0),
      unwinds: list('.orc_unwind_ip', A, 1, 4, 4),
      ftrace: list('__mcount_loc', A, 8, 8, 8, R_X86_64_64),
      seals: list('.ibt_endbr_seal', A, 1, 4, 4),
      annotations: list('.discard.annotate_insn', 0, 1, 8, 0),
      addressable: list('.discard.addressable', WA, 8, 8, 0, R_X86_64_64),
    };
    const { unwinds } = this.lists;
    writer.section({
      name: '.orc_unwind',
      flags: A,
      align: 1,
      entsize: ORC.length,
      content: {
        get size() {
          return unwinds.count * ORC.length;
        },
        chunks: () => repeated(ORC, unwinds.count),
      },
    });
  }

  /** Adds all entries of the function that starts at `start`; `source` is its unit's path. */
  add(start: SynthPlace, sites: Sites, source: string, sealed: boolean): void {
    const at = (offset: number): SynthPlace => ({ symbol: start.symbol, addend: start.addend + offset });
    const { lists } = this;
    const list = (table: ReferenceTable, offsets: readonly number[]): void => {
      for (const offset of offsets) table.add(start.symbol, start.addend + offset);
    };
    if (sites.fentry !== null) list(lists.ftrace, [sites.fentry]);
    list(lists.returns, sites.returns);
    list(lists.calls, sites.calls);
    list(lists.retpolines, sites.retpolines);
    list(lists.locks, sites.locks);
    list(lists.unwinds, sites.unwinds);
    list(lists.annotations, sites.annotations);
    list(lists.runtime, sites.runtimeConstants);
    if (sealed) list(lists.seals, [0]);
    for (const bug of sites.bugs) {
      const entry = this.bugs.entry([...zeros(8), ...half(bug.line), ...half(bug.flags)]);
      this.bugs.pc32(entry, at(bug.at));
      this.bugs.pc32(entry + 4, this.targets.string(source));
    }
    for (const branch of sites.branches) {
      const entry = this.jumps.entry(zeros(16));
      this.jumps.pc32(entry, at(branch.at));
      this.jumps.pc32(entry + 4, at(branch.to));
      this.jumps.relas.add(entry + 8, R_X86_64_PC64, this.targets.key(branch.key), 0);
    }
    for (const fault of sites.faults) {
      const entry = this.faults.entry([...zeros(8), EX_TYPE_UACCESS, 0, 0, 0]);
      this.faults.pc32(entry, at(fault.at));
      this.faults.pc32(entry + 4, at(fault.fixup));
    }
    for (const site of sites.staticCalls) {
      const entry = this.staticCalls.entry(zeros(8));
      this.staticCalls.pc32(entry, at(site.at));
      this.staticCalls.pc32(entry + 4, { symbol: this.targets.staticCallKey(site.call), addend: 0 });
    }
    for (const site of sites.alternatives) this.alternative(at(site.at), site);
  }

  /** Exports the function whose global symbol this is. */
  export(symbol: number, name: string): void {
    // Licence, namespace, both with their NUL, and a pointer; linked kernels make __ksymtab of it.
    const entry = this.exports.entry([...GPL, ...zeros(12)]);
    this.exports.relas.add(entry + 8, R_X86_64_64, symbol, 0);
    this.writer.symbol({ name: `__export_symbol_${name}`, section: this.exports.section, value: entry });
  }

  /** Keeps a symbol from being dropped, as initcalls and exports do. */
  address(symbol: number): void {
    this.lists.addressable.add(symbol, 0);
  }

  private alternative(at: SynthPlace, site: Sites['alternatives'][number]): void {
    const replacement = this.replacements.entry(
      site.call === undefined ? site.replacement : [...site.replacement, 0xe8, ...zeros(4)],
    );
    if (site.call !== undefined)
      this.replacements.relas.add(
        replacement + site.replacement.length + 1,
        R_X86_64_PLT32,
        this.targets.named(site.call),
        -4,
      );
    const entry = this.alternatives.entry([...zeros(8), ...half(site.feature), 0, 0, site.length, site.length]);
    this.alternatives.pc32(entry, at);
    this.alternatives.pc32(entry + 4, {
      symbol: this.writer.sectionSymbol(this.replacements.section),
      addend: replacement,
    });
  }
}

function zeros(count: number): number[] {
  return new Array<number>(count).fill(0);
}

function half(value: number): [number, number] {
  return [value & 0xff, value >>> 8];
}

function* repeated(entry: Uint8Array, count: number): Generator<Uint8Array> {
  const many = new Uint8Array(entry.length * 4096);
  for (let i = 0; i < many.length; i += entry.length) many.set(entry, i);
  for (let left = count; left > 0; left -= 4096) yield left < 4096 ? many.subarray(0, left * entry.length) : many;
}
