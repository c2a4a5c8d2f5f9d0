import { SHF_ALLOC, SHF_LINK_ORDER, SHF_WRITE } from '../elf/constants';
import type { ElfWriter, Rela } from '../elf/writer';
import { Column } from './columns';
import type { ReferenceTable } from './growing';
import type { SynthFunction } from './model';
import type { SynthPlace } from './places';
import type { SynthProcessor } from './processor';
import { listTable } from './tables';

const NAME = '__patchable_function_entries';
const WA = SHF_ALLOC | SHF_WRITE;
const POINTER = new Uint8Array(8);

/** The compiler's records of patchable entries: one section for all functions, or one for each section of code. */
export class PatchableEntries {
  /** The one for all. */
  readonly joined: ReferenceTable | null;
  /** Of code that functions share, by its section. */
  private readonly shared = new Map<number, ReferenceTable>();
  /** What the entry of each section with one refers to. */
  private readonly symbols = new Column();
  private readonly addends = new Column();

  private readonly content = {
    rows: (section: number): Rela[] => [
      {
        offset: 0,
        type: this.processor.types.address,
        symbol: this.symbols.get(section),
        addend: this.addends.get(section),
      },
    ],
  };

  constructor(
    private readonly writer: ElfWriter,
    private readonly processor: SynthProcessor,
    joined: boolean,
  ) {
    this.joined = joined ? this.table() : null;
  }

  /** Makes the section that holds nothing but this function's entry, and returns it: 0 where there is none. */
  begin(link: number, fn: SynthFunction): number {
    if (this.joined !== null || fn.placed !== 'alone' || !this.has(fn)) return 0;
    return this.writer.section({ name: NAME, flags: WA | SHF_LINK_ORDER, align: 8, link, content: POINTER });
  }

  /** Records the entry of the function that starts there. */
  end(section: number, { symbol, addend }: SynthPlace, link: number, fn: SynthFunction): void {
    if (!this.has(fn)) return;
    const { writer, processor } = this;
    const at = addend - processor.text.entries.before;
    if (section === 0) {
      (this.joined ?? this.sharedTable(link)).add(symbol, at);
      return;
    }
    writer.sectionSymbol(section);
    if (processor.text.mappingSymbols) writer.symbol({ name: '$d', section });
    this.symbols.set(section, symbol);
    this.addends.set(section, at);
    writer.relas(section, { count: 1, from: this.content });
  }

  private has(fn: SynthFunction): boolean {
    return this.processor.text.entries.of === 'traced' ? fn.traced : fn.placed === 'alone' || this.joined !== null;
  }

  private sharedTable(link: number): ReferenceTable {
    let table = this.shared.get(link);
    if (table === undefined) this.shared.set(link, (table = this.table(link)));
    return table;
  }

  private table(link?: number): ReferenceTable {
    const { writer, processor } = this;
    return listTable(writer, {
      name: NAME,
      flags: link === undefined ? WA : WA | SHF_LINK_ORDER,
      align: 8,
      entry: 8,
      entsize: 0,
      type: processor.types.address,
      ...(link === undefined ? {} : { link }),
    });
  }
}
