import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE } from '../elf/constants';
import type { ElfWriter } from '../elf/writer';
import type { AlternativeSite, Sites } from './encoded';
import { GrowingBytes, GrowingRelas, ReferenceTable } from './growing';
import { half } from './halves';
import type { SynthPlace } from './places';
import type { ListName, ListSpec, SynthProcessor } from './processor';

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
const GPL = [0x47, 0x50, 0x4c, 0];

/** A section that grows with its relocations. */
export class TableSection {
  readonly section: number;
  readonly bytes = new GrowingBytes();
  readonly relas = new GrowingRelas();
  private readonly type: number;

  constructor(
    writer: ElfWriter,
    { types }: SynthProcessor,
    { name, flags, align, entsize = 0 }: { name: string; flags: number; align: number; entsize?: number },
  ) {
    this.type = types.distance;
    this.section = writer.section({ name, flags, align, entsize, content: this.bytes });
    writer.relas(this.section, this.relas);
  }

  /** Starts an entry of these bytes and returns its offset. */
  entry(bytes: readonly number[]): number {
    return this.bytes.add(bytes);
  }

  /** The distance to a place, 32 bits of it. */
  refer(offset: number, { symbol, addend }: SynthPlace): void {
    this.relas.add(offset, this.type, symbol, addend);
  }
}

/** A section of one reference an entry, with its relocations. */
export function listTable(
  writer: ElfWriter,
  { name, flags, align, entry, entsize, type, link = 0 }: ListSpec,
): ReferenceTable {
  const content = new ReferenceTable(entry, type);
  writer.relas(writer.section({ name, flags, align, entsize, link, content }), content.relas);
  return content;
}

/**
 * The tables about code: what the compiler and assembler leave (bug records, jump labels, exceptions, alternatives,
 * runtime constants) and what objtool adds (static calls, ftrace sites, returns, sealed ENDBRs).
 */
export class KernelTables {
  private readonly replacements: TableSection | null;
  private readonly alternatives: TableSection;
  private readonly bugs: TableSection;
  private readonly jumps: TableSection;
  private readonly faults: TableSection;
  private readonly staticCalls: TableSection | null;
  private readonly lists: Partial<Record<ListName, ReferenceTable>>;
  private readonly exports: TableSection;

  constructor(
    private readonly writer: ElfWriter,
    private readonly processor: SynthProcessor,
    private readonly targets: TableTargets,
  ) {
    const { bugAlign, replacements, staticCalls, lists, unwind } = processor.tables;
    const table = (name: string, flags: number, align: number, entsize = 0): TableSection =>
      new TableSection(writer, processor, { name, flags, align, entsize });
    this.alternatives = table('.altinstructions', A, 1);
    this.replacements = replacements === null ? null : table(replacements, AX, 1);
    this.bugs = table('__bug_table', WA, bugAlign);
    this.jumps = table('__jump_table', WA, 8);
    this.faults = table('__ex_table', A, 4);
    this.staticCalls = staticCalls ? table('.static_call_sites', WA, 1, 8) : null;
    this.exports = table('.export_symbol', A, 8);
    this.lists = Object.fromEntries(Object.entries(lists).map(([name, spec]) => [name, listTable(writer, spec)]));
    const { unwinds } = this.lists;
    if (unwinds !== undefined && unwind !== null)
      writer.section({
        name: '.orc_unwind',
        flags: A,
        align: 1,
        entsize: unwind.length,
        content: {
          get size() {
            return unwinds.count * unwind.length;
          },
          chunks: () => repeated(unwind, unwinds.count),
        },
      });
  }

  /** Adds all entries of the function that starts at `start`; `source` is its unit's path. */
  add(start: SynthPlace, sites: Sites, source: string, sealed: boolean): void {
    const at = (offset: number): SynthPlace => ({ symbol: start.symbol, addend: start.addend + offset });
    const { lists, staticCalls, processor } = this;
    const { types, tables } = processor;
    const list = (table: ReferenceTable | undefined, offsets: readonly number[]): void => {
      for (const offset of offsets) table?.add(start.symbol, start.addend + offset);
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
      this.bugs.refer(entry, at(bug.at));
      this.bugs.refer(entry + 4, this.targets.string(source));
    }
    for (const branch of sites.branches) {
      const entry = this.jumps.entry(zeros(16));
      this.jumps.refer(entry, at(branch.at));
      this.jumps.refer(entry + 4, at(branch.to));
      this.jumps.relas.add(entry + 8, types.distance64, this.targets.key(branch.key), 0);
    }
    for (const fault of sites.faults) {
      const entry = this.faults.entry([...zeros(8), ...tables.fault]);
      this.faults.refer(entry, at(fault.at));
      this.faults.refer(entry + 4, at(fault.fixup));
    }
    if (staticCalls !== null)
      for (const site of sites.staticCalls) {
        const entry = staticCalls.entry(zeros(8));
        staticCalls.refer(entry, at(site.at));
        staticCalls.refer(entry + 4, { symbol: this.targets.staticCallKey(site.call), addend: 0 });
      }
    for (const site of sites.alternatives) {
      const entry = this.alternatives.entry([
        ...zeros(8),
        ...tables.alternative({ ...site, written: site.call !== undefined }),
      ]);
      this.alternatives.refer(entry, at(site.at));
      this.alternatives.refer(entry + 4, this.replacement(start, site));
    }
  }

  /** Exports the function whose global symbol this is. */
  export(symbol: number, name: string): void {
    // Licence, namespace, both with their NUL, and a pointer; linked kernels make __ksymtab of it.
    const entry = this.exports.entry([...GPL, ...zeros(12)]);
    this.exports.relas.add(entry + 8, this.processor.types.address, symbol, 0);
    this.writer.symbol({ name: `__export_symbol_${name}`, section: this.exports.section, value: entry });
  }

  /** Keeps a symbol from being dropped, as initcalls and exports do. */
  address(symbol: number): void {
    this.lists.addressable?.add(symbol, 0);
  }

  /** The code that takes the site's place, or the function that writes it. */
  private replacement(start: SynthPlace, { replacement, call, behind }: AlternativeSite): SynthPlace {
    const { replacements } = this;
    if (behind !== undefined) return { symbol: start.symbol, addend: start.addend + behind };
    if (replacements === null) return { symbol: this.targets.named(call!), addend: 0 };
    const form = call === undefined ? null : this.processor.tables.call;
    const at = replacements.entry([...replacement, ...(form?.bytes ?? [])]);
    if (form !== null)
      replacements.relas.add(at + replacement.length + form.field, form.type, this.targets.named(call!), form.addend);
    return { symbol: this.writer.sectionSymbol(replacements.section), addend: at };
  }
}

function zeros(count: number): number[] {
  return new Array<number>(count).fill(0);
}

function* repeated(entry: Uint8Array, count: number): Generator<Uint8Array> {
  const many = new Uint8Array(entry.length * 4096);
  for (let i = 0; i < many.length; i += entry.length) many.set(entry, i);
  for (let left = count; left > 0; left -= 4096) yield left < 4096 ? many.subarray(0, left * entry.length) : many;
}
