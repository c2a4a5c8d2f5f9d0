import { R_X86_64_64, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE } from '../elf/constants';
import type { ElfWriter } from '../elf/writer';
import type { Sites } from './encode-function';
import { GrowingBytes, GrowingRelas } from './growing';
import type { Place } from './places';

/** What the tables need to know besides the sites. */
export interface TableTargets {
  string(text: string): Place;
  named(name: string): number;
  key(key: Sites['branches'][number]['key']): number;
  staticCallKey(call: number): number;
}

const A = SHF_ALLOC;
const WA = SHF_ALLOC | SHF_WRITE;
const AX = SHF_ALLOC | SHF_EXECINSTR;
/** Exception type EX_TYPE_UACCESS. */
const EX_TYPE_UACCESS = 3;

/** A section that grows with its relocations. */
export class Table {
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

  pc32(offset: number, { symbol, addend }: Place): void {
    this.relas.add(offset, R_X86_64_PC32, symbol, addend);
  }
}

/**
 * The tables about code: what the compiler and assembler leave (bug records, jump labels, exceptions, alternatives,
 * runtime constants) and what objtool adds (static calls, ftrace sites, returns, sealed ENDBRs).
 *
 * Layouts are those of 6.12: 12-byte bug records, no entsize on what the assembler makes, no entry annotations.
 */
export class KernelTables {
  private readonly writer: ElfWriter;
  private readonly replacements: Table;
  private readonly alternatives: Table;
  private readonly bugs: Table;
  private readonly jumps: Table;
  private readonly faults: Table;
  private readonly runtime: Table;
  private readonly staticCalls: Table;
  private readonly returns: Table;
  private readonly ftrace: Table;
  private readonly seals: Table;

  constructor(writer: ElfWriter, private readonly targets: TableTargets) {
    this.writer = writer;
    this.alternatives = new Table(writer, '.altinstructions', A, 1);
    this.replacements = new Table(writer, '.altinstr_replacement', AX, 1);
    this.bugs = new Table(writer, '__bug_table', WA, 1);
    this.jumps = new Table(writer, '__jump_table', WA, 8);
    this.faults = new Table(writer, '__ex_table', A, 4);
    this.runtime = new Table(writer, 'runtime_ptr_USER_PTR_MAX', A, 1);
    this.staticCalls = new Table(writer, '.static_call_sites', WA, 1, 8);
    this.returns = new Table(writer, '.return_sites', A, 1, 4);
    this.ftrace = new Table(writer, '__mcount_loc', A, 8, 8);
    this.seals = new Table(writer, '.ibt_endbr_seal', A, 1, 4);
  }

  /** Adds all entries of the function that starts at `start`; `source` is its unit's path. */
  add(start: Place, sites: Sites, source: string, sealed: boolean): void {
    const at = (offset: number): Place => ({ symbol: start.symbol, addend: start.addend + offset });
    if (sites.fentry !== null) {
      const { symbol, addend } = at(sites.fentry);
      this.ftrace.relas.add(this.ftrace.entry(zeros(8)), R_X86_64_64, symbol, addend);
    }
    for (const site of sites.returns) this.returns.pc32(this.returns.entry(zeros(4)), at(site));
    if (sealed) this.seals.pc32(this.seals.entry(zeros(4)), at(0));
    for (const site of sites.runtimeConstants) this.runtime.pc32(this.runtime.entry(zeros(4)), at(site));
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

  private alternative(at: Place, site: Sites['alternatives'][number]): void {
    const replacement = this.replacements.entry(site.call === undefined ? site.replacement : [...site.replacement, 0xe8, ...zeros(4)]);
    if (site.call !== undefined) this.replacements.relas.add(replacement + site.replacement.length + 1, R_X86_64_PLT32, this.targets.named(site.call), -4);
    const entry = this.alternatives.entry([...zeros(8), ...half(site.feature), 0, 0, site.length, site.length]);
    this.alternatives.pc32(entry, at);
    this.alternatives.pc32(entry + 4, { symbol: this.writer.sectionSymbol(this.replacements.section), addend: replacement });
  }
}

function zeros(count: number): number[] {
  return new Array<number>(count).fill(0);
}

function half(value: number): [number, number] {
  return [value & 0xff, value >>> 8];
}
