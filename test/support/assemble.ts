import { SHT_NOBITS, STB_GLOBAL, STB_LOCAL, STB_WEAK } from '../../src/elf/constants';
import { ElfWriter } from '../../src/elf/writer';
import type { RelaSpec } from './fields';
import type { SectionDefaults } from './section-defaults';

export type Binding = 'local' | 'global' | 'weak';

/** A section under construction. Targets that are strings have become section and addend. */
export interface SectionDraft extends SectionDefaults {
  /** Its place among the drafts. */
  number: number;
  name: string;
  bytes: Uint8Array;
  /** Bytes used so far; of SHT_NOBITS nothing else matters. */
  used: number;
  link: number;
  relas: Array<Omit<RelaSpec, 'sym'> & { scope: number; sym: string | { draft: number } }>;
}

/** A symbol under construction. `scope` numbers the FILE it is local to; `draft` is its section, -1 for none. */
export interface SymbolDraft {
  name: string;
  scope: number;
  draft: number;
  reserved?: number;
  at?: number;
  size?: number;
  type?: number;
  bind?: Binding;
  other?: number;
}

const BINDINGS: Record<Binding, number> = { local: STB_LOCAL, global: STB_GLOBAL, weak: STB_WEAK };

/** The writer that holds these sections (in their order, each followed by its relocations) and symbols. */
export function assemble(
  target: { machine: number; little: boolean; flags: number },
  sections: SectionDraft[],
  symbols: SymbolDraft[],
): ElfWriter {
  const writer = new ElfWriter(target);
  let next = 1;
  const numbers = sections.map((draft) => (next += draft.relas.length > 0 ? 2 : 1) - (draft.relas.length > 0 ? 2 : 1));
  // Relocations name symbol handles, which do not exist yet: their rows are resolved when they are written.
  for (const draft of sections) {
    const number = writer.section({
      name: draft.name,
      type: draft.type,
      flags: draft.flags,
      align: draft.align,
      entsize: draft.entsize,
      link: draft.link < 0 ? 0 : numbers[draft.link]!,
      ...(draft.type === SHT_NOBITS ? { size: draft.used } : { content: draft.bytes.slice(0, draft.used) }),
    });
    if (draft.relas.length > 0)
      writer.relas(number, {
        count: draft.relas.length,
        rows: () =>
          draft.relas.map((rela) => ({
            offset: rela.off,
            type: rela.type,
            symbol: resolve(rela),
            addend: rela.addend ?? 0,
          })),
      });
  }

  const byScope = new Map<string, number>();
  const ambiguous = new Set<string>();
  for (const symbol of symbols) {
    const { name, draft, reserved, at = 0, size = 0, type = 0, bind = 'local', other = 0 } = symbol;
    const handle = writer.symbol({
      name,
      value: at,
      size,
      type,
      binding: BINDINGS[bind],
      other,
      ...(draft >= 0 ? { section: numbers[draft]! } : {}),
      ...(reserved === undefined ? {} : { reserved }),
    });
    const key = bind === 'local' ? `${symbol.scope} ${name}` : name;
    if (byScope.has(key)) ambiguous.add(key);
    byScope.set(key, handle);
  }
  const sectionByName = new Map(sections.map((draft, index) => [draft.name, numbers[index]!]));
  for (const draft of sections) draft.relas.forEach(resolve);
  return writer;

  function resolve({ sym, scope }: SectionDraft['relas'][number]): number {
    if (typeof sym !== 'string') return writer.sectionSymbol(numbers[sym.draft]!);
    const key = byScope.has(`${scope} ${sym}`) ? `${scope} ${sym}` : sym;
    if (ambiguous.has(key)) throw new Error(`several symbols are called ${sym}: refer to one by its section`);
    const known = byScope.get(key);
    if (known !== undefined) return known;
    const section = sectionByName.get(sym);
    if (section !== undefined) return writer.sectionSymbol(section);
    const handle = writer.symbol({ name: sym, binding: STB_GLOBAL });
    byScope.set(sym, handle);
    return handle;
  }
}
