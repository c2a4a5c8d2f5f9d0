import { machineName } from '../../elf/machines';
import { KlpflowError } from '../../diagnostics';
import {
  RELA_SIZE,
  R_X86_64_64,
  R_X86_64_NONE,
  SHF_ALLOC,
  SHF_INFO_LINK,
  SHF_RELA_LIVEPATCH,
  SHN_LIVEPATCH,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHT_NOBITS,
  SHT_RELA,
  ST_INFO,
  ST_VALUE,
  SYM_SIZE,
  SYM_WORDS,
  s64,
  type ElfObject,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import { withSections } from './append';
import { KLP_RELOCS, isKlpSymbol, isTombstone } from '../../livepatch/klp/layout';
import { archOf, hasKlpBuild } from '../../arch';
import { relaBytes, relasBySection, type RelaRow } from '../../livepatch/klp/rows';

/** Relocations for the livepatch core that apply to one section. */
interface KlpRelaSection {
  name: string;
  target: number;
  rows: Omit<RelaRow, 'at'>[];
}

/**
 * Finishes a linked livepatch module as `objtool klp post-link` does: every record of `__klp_relocs.OBJ` becomes a relocation
 * in `.klp.rela.OBJ.SECTION`, its symbol belongs to the livepatch core (SHN_LIVEPATCH), and the relocation that held its place does nothing.
 * @returns the module's bytes in pieces; undefined where there is nothing to do
 * @throws KlpflowError `unsupported-object` (not x86-64, or more sections than a module may have), `malformed-elf`, also for a module that is finished already
 */
export function postLink(elf: ElfObject): Uint8Array[] | undefined {
  if (!hasKlpBuild(elf.machine))
    throw new KlpflowError(
      'unsupported-object',
      `${elf.path}: livepatch modules of klp-build are for x86-64, not for ${machineName(elf.machine)}`,
      { object: elf.path, offset: 18 },
    );
  const tables = Array.from({ length: elf.sectionCount }, (_, i) => i).filter(
    (i) => i > 0 && elf.name(i).startsWith(KLP_RELOCS.prefix),
  );
  if (tables.length === 0) return undefined;
  const module = new PostLinked(elf);
  for (const table of tables) module.convert(table);
  return module.pieces();
}

class PostLinked {
  private readonly relas: Map<number, RelaRow[]>;
  private readonly tombstones = new Map<number, Map<number, RelaRow>>();
  private readonly made = new Map<string, KlpRelaSection>();
  private readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(private readonly elf: ElfObject) {
    this.relas = relasBySection(elf);
    this.bytes = elf.bytes.slice();
    this.view = new DataView(this.bytes.buffer);
  }

  /** Takes over every record of one table. */
  convert(table: number): void {
    const { elf } = this;
    const name = elf.name(table);
    const [start, size] = [elf.offset(table), elf.size(table)];
    if (elf.type(table) === SHT_NOBITS || size % KLP_RELOCS.entsize !== 0)
      elf.malformed(start, `${name} does not hold records of ${KLP_RELOCS.entsize} bytes`);
    const pointers = new Map((this.relas.get(table) ?? []).map((row) => [row.offset, row]));
    for (let at = 0; at < size; at += KLP_RELOCS.entsize) {
      const where = pointers.get(at + KLP_RELOCS.whereField);
      const what = pointers.get(at + KLP_RELOCS.whatField);
      if (where?.type !== R_X86_64_64 || what?.type !== R_X86_64_64)
        return elf.malformed(start + at, `a record of ${name} lacks its place or its symbol`);
      this.relocate(
        name.slice(KLP_RELOCS.prefix.length),
        where,
        what,
        this.view.getUint32(start + at + KLP_RELOCS.typeField, true),
      );
    }
  }

  /** The file's bytes with the sections that were made. */
  pieces(): Uint8Array[] {
    const { elf } = this;
    const count = elf.sectionCount + this.made.size;
    if (count >= SHN_LORESERVE)
      throw new KlpflowError(
        'unsupported-object',
        `${elf.path} has ${count} sections, more than the kernel loads in one module`,
        { object: elf.path },
      );
    const { header, kept, rest } = withSections(
      elf,
      [...this.made.values()].map(({ name, target, rows }) => ({
        name,
        type: SHT_RELA,
        flags: SHF_ALLOC | SHF_INFO_LINK | SHF_RELA_LIVEPATCH,
        align: 8,
        entsize: RELA_SIZE,
        link: elf.symtabSection,
        info: target,
        content: relaBytes(rows),
      })),
    );
    return [header, this.bytes.subarray(header.length, kept), ...rest];
  }

  private relocate(object: string, where: RelaRow, what: RelaRow, type: number): void {
    const { elf } = this;
    const target = this.shortIndex(where.symbol);
    if (target === SHN_UNDEF || target >= SHN_LORESERVE || target >= elf.sectionCount)
      return elf.malformed(where.at, 'the place of a klp relocation lies in no section');
    const offset = s64(elf.symbols, where.symbol * SYM_WORDS + ST_VALUE) + where.addend;
    if (offset < 0 || offset + archOf(elf.machine, elf.path).linked(type)[1] > elf.size(target))
      elf.malformed(where.at, `the klp relocation at ${offset} lies outside ${elf.name(target)}`);
    const symbol = elf.symbolName(what.symbol);
    if (!isKlpSymbol(symbol))
      elf.malformed(
        what.at,
        `a klp relocation names ${symbol || `symbol ${what.symbol}`}, which is no .klp.sym symbol`,
      );
    const held = this.tombstonesIn(target).get(offset);
    if (held === undefined)
      return elf.malformed(where.at, `no relocation against a tombstone stands at ${elf.name(target)}+${offset}`);
    if (held.type === R_X86_64_NONE)
      elf.malformed(
        held.at,
        `${elf.name(target)}+${offset} has its klp relocation already: objtool klp post-link was here before`,
      );
    this.tombstonesIn(target).delete(offset);
    this.view.setUint32(held.at + 8, R_X86_64_NONE, true);
    this.giveToLivepatch(held.symbol);
    this.giveToLivepatch(what.symbol);
    this.section(object, target).rows.push({ offset, type, symbol: what.symbol, addend: what.addend });
  }

  /** Relocations of a section that hold the place of a klp relocation which nobody has seen yet. */
  private tombstonesIn(section: SectionIndex): Map<number, RelaRow> {
    let found = this.tombstones.get(section);
    if (found === undefined) {
      found = new Map(
        (this.relas.get(section) ?? [])
          .filter((row) => isTombstone(this.elf.symbolName(row.symbol)))
          .map((row) => [row.offset, row]),
      );
      this.tombstones.set(section, found);
    }
    return found;
  }

  private section(object: string, target: number): KlpRelaSection {
    const key = `${target} ${object}`;
    let section = this.made.get(key);
    if (section === undefined) {
      section = { name: `.klp.rela.${object}.${this.elf.name(target)}`, target, rows: [] };
      this.made.set(key, section);
    }
    return section;
  }

  private giveToLivepatch(symbol: SymbolIndex): void {
    const index = this.shortIndex(symbol);
    if (index !== SHN_UNDEF && index !== SHN_LIVEPATCH)
      this.elf.malformed(
        this.elf.offset(this.elf.symtabSection) + symbol * SYM_SIZE,
        `${this.elf.symbolName(symbol)} is defined in this module`,
      );
    this.view.setUint16(this.elf.offset(this.elf.symtabSection) + symbol * SYM_SIZE + 6, SHN_LIVEPATCH, true);
  }

  private shortIndex(symbol: SymbolIndex): number {
    return this.elf.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
  }
}
