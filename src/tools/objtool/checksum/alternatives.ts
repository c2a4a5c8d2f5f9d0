import { STT_SECTION, type ElfObject } from '../../../elf';
import type { Relocations } from './relocations';
import type { ChecksumSymbols } from './symbols';

/** Why an instruction may not be what runs; the numbers are part of the identity. */
export const AlternativeKind = { INSTRUCTIONS: 0, JUMP_LABEL: 1, EXCEPTION: 2 } as const;

/** What may run in an instruction's place, or after it. */
export interface Alternative {
  kind: number;
  /** Where it starts; section 0 for a replacement by nothing. */
  section: number;
  offset: number;
  /** The whole replacement, where more than one instruction counts. */
  group?: Replacement;
}

export interface Replacement {
  /** Feature and flags of the alt_instr. */
  feature: number;
  /** Where the replacement ends in its section. */
  end: number;
  /** What it replaces; nested ALTERNATIVE()s replace the longest of their originals. */
  replaced: { section: number; start: number; end: number };
}

/** Layouts of Linux 7.2, which are also those of 6.12. */
const TABLES = [
  { name: '.altinstructions', size: 14, kind: AlternativeKind.INSTRUCTIONS },
  { name: '__jump_table', size: 16, kind: AlternativeKind.JUMP_LABEL },
  { name: '__ex_table', size: 12, kind: AlternativeKind.EXCEPTION },
] as const;
const SITE = 0;
const TARGET = 4;
const FEATURE = 8;
const ORIG_LENGTH = 12;
const LENGTH = 13;
/** Entries made by `_ASM_EXTABLE_EX` in older kernels carry this bias in their target; objtool still takes it off. */
const EXTABLE_BIAS = 0x7ffffff0;

/** Every alternative of an object, by the place of its instruction, in the order of the tables. */
export class Alternatives {
  private readonly bySite = new Places<Alternative[]>();
  private readonly replacements = new Places<Replacement>();

  constructor(
    private readonly elf: ElfObject,
    private readonly symbols: ChecksumSymbols,
    private readonly relocations: Relocations,
  ) {
    for (const table of TABLES) {
      for (let section = 1; section < elf.sectionCount; section++)
        if (elf.name(section) === table.name) this.read(section, table);
    }
  }

  of(section: number, offset: number): readonly Alternative[] {
    return this.bySite.get(section, offset) ?? NONE;
  }

  /** The replacement that starts at a place. */
  replacementAt(section: number, offset: number): Replacement | undefined {
    return this.replacements.get(section, offset);
  }

  private read(table: number, { name, size, kind }: (typeof TABLES)[number]): void {
    const { elf } = this;
    const bytes = elf.content(table);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (bytes.length % size !== 0)
      elf.malformed(elf.offset(table), `${name} holds ${bytes.length} bytes, not entries of ${size}`);
    let replaced = { section: -1, start: -1, end: -1 };
    for (let at = 0; at < bytes.length; at += size) {
      const site =
        this.target(table, at + SITE) ??
        elf.malformed(elf.offset(table) + at, `an entry of ${name} names no instruction`);
      const empty = kind === AlternativeKind.INSTRUCTIONS && bytes[at + LENGTH] === 0;
      const target = empty
        ? { section: 0, offset: 0 }
        : (this.target(table, at + TARGET) ??
          elf.malformed(elf.offset(table) + at, `an entry of ${name} names no target`));
      if (target.offset >= EXTABLE_BIAS) target.offset -= EXTABLE_BIAS;
      const alternative: Alternative = { kind, ...target };
      if (kind === AlternativeKind.INSTRUCTIONS) {
        const end = site.offset + bytes[at + ORIG_LENGTH]!;
        if (site.section === replaced.section && site.offset === replaced.start)
          replaced.end = Math.max(replaced.end, end);
        else replaced = { section: site.section, start: site.offset, end };
        const group = {
          feature: view.getUint32(at + FEATURE, true),
          end: target.offset + bytes[at + LENGTH]!,
          replaced,
        };
        alternative.group = group;
        if (!empty) this.replacements.set(target.section, target.offset, group);
      }
      const known = this.bySite.get(site.section, site.offset);
      if (known === undefined) this.bySite.set(site.section, site.offset, [alternative]);
      else known.push(alternative);
    }
  }

  /** What the relocation at a field refers to. */
  private target(table: number, field: number): { section: number; offset: number } | undefined {
    const relocation = this.relocations.first(table, field, field + 1);
    if (relocation === undefined) return undefined;
    const { symbol, addend } = relocation;
    const base = this.symbols.type(symbol) === STT_SECTION ? 0 : this.symbols.value(symbol);
    return { section: this.symbols.section[symbol]!, offset: base + addend };
  }
}

const NONE: readonly Alternative[] = [];

/** Values by section and offset. Most sections have none. */
class Places<T> {
  private readonly sections = new Map<number, Map<number, T>>();

  get(section: number, offset: number): T | undefined {
    return this.sections.get(section)?.get(offset);
  }

  set(section: number, offset: number, value: T): void {
    const places = this.sections.get(section);
    if (places === undefined) this.sections.set(section, new Map([[offset, value]]));
    else places.set(offset, value);
  }
}
