import { SHT_NOBITS, STB_WEAK, STT_SECTION, type Offset, type SectionIndex, type SymbolIndex } from '../../../elf';
import { SectionClass } from '../../../kernel/section-class';
import type { Side } from '../../side/side';
import { namedBases } from './census';
import type { KernelCode } from './kernel-code';
import { eachFunction, wholeSection, type Piece } from './pieces';
import { SectionFit, type Misfit } from './section-fit';
import { Votes } from './votes';

/** Code that is nowhere in the image. */
export interface Difference extends Misfit {
  section: SectionIndex;
  /** Its function. */
  symbol: SymbolIndex;
  /** The list does not have its name at all. */
  missing: boolean;
}

/** Sections that are no code or data of their own: gathered, sorted or dropped by the link. */
const NOT_PLACED =
  SectionClass.SPECIAL | SectionClass.DERIVED | SectionClass.STRING | SectionClass.CONSTANT | SectionClass.REPLACEMENT;

/** Who built the kernel, where and when: of a rebuild never the same. */
const BUILD = new Set(['.rodata.linux_banner', '.rodata.linux_proc_banner']);

/**
 * Where the sections of ORIG lie in the image. Code is placed by the names of its functions: of the addresses that the list has for
 * them one must fit. What it refers to is where its fields lead, and that decides between addresses that both fit: stubs that
 * `return 0` are equal at a thousand places. A section lies there whole, or where it does not, function by function.
 */
export class Placement {
  readonly differences: Difference[] = [];
  /** Data that placed code leads to and that has other content there. */
  readonly otherData: Difference[] = [];
  /** Sections of data that were compared. */
  data = 0;
  /** Functions that were looked at, and weak ones that another unit overrides. */
  functions = 0;
  overridden = 0;
  private readonly fit: SectionFit;
  /** By section where the whole of it lies, by function where it does not. */
  private readonly sections = new Map<number, number>();
  private readonly own = new Map<number, number>();
  /** Bases that fit, of pieces with several. */
  private readonly open = new Map<Piece, number[]>();
  /** What references say of sections, and of symbols by name. */
  private readonly sectionVotes = new Votes();
  private readonly symbolVotes = new Votes();
  private readonly objectVotes = new Votes();
  private readonly compared = new Set<number>();

  constructor(
    private readonly orig: Side,
    private readonly kernel: KernelCode,
  ) {
    this.fit = new SectionFit(orig, kernel);
  }

  /** Places sections of code, and from there on what they refer to; `deep`: what that refers to, too. */
  settle(sections: Iterable<SectionIndex>, deep: boolean): this {
    for (const section of sections) {
      const whole = wholeSection(this.orig, section);
      if (whole === undefined) continue;
      this.functions += whole.functions.length;
      if (this.tryNames(whole) !== undefined)
        for (const piece of eachFunction(this.orig, whole)) {
          const worst = this.tryNames(piece);
          if (worst !== undefined) this.differs(piece, worst);
        }
    }
    do this.settleOpen();
    while (this.placeData() && deep);
    return this;
  }

  /** Decides between places that fit, by what is placed by now. */
  private settleOpen(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const [piece, candidates] of this.open) {
        const voted = this.votedBase(piece);
        if (voted === undefined || !candidates.includes(voted)) continue;
        this.open.delete(piece);
        this.place(piece, voted);
        moved = true;
      }
    }
  }

  /**
   * Data that references lead to: a table is part of what the code means. Its pointers lead further. A section lies there whole, or object by object
   * where `ld -r` made one of several units' (`.rodata.__func__.9`).
   */
  private placeData(): boolean {
    const { table, object } = this.orig;
    let placed = false;
    for (const [section, bases] of this.sectionVotes.all()) {
      if (!this.isKept(section) || this.sections.has(section) || [...bases].some((at) => this.kernel.isFilledLate(at)))
        continue;
      const whole = { section, start: 0, end: object.size(section), functions: [] };
      const several = table.coverStart[section + 1]! - table.coverStart[section]! > 1;
      const [base] = bases;
      if (!this.compared.has(section) && bases.size === 1) {
        this.compared.add(section);
        this.data++;
        const misfit = this.fit.misfit(whole, base!);
        if (misfit === undefined) this.place(whole, base!);
        else if (!several)
          this.otherData.push({
            section,
            symbol: table.covers[table.coverStart[section]!] ?? 0,
            ...misfit,
            missing: false,
          });
        placed ||= misfit === undefined;
      }
      if (several && !this.sections.has(section) && this.placeObjects(section)) placed = true;
    }
    return placed;
  }

  /** Only what nothing writes stands as the unit has it: sorttable clears `main_extable_sort_needed` after the link. */
  private isKept(section: SectionIndex): boolean {
    const { table, object } = this.orig;
    return (
      (table.sectionClass[section]! & (SectionClass.EXEC | SectionClass.READONLY)) === SectionClass.READONLY &&
      object.type(section) !== SHT_NOBITS &&
      !BUILD.has(object.name(section))
    );
  }

  private placeObjects(section: SectionIndex): boolean {
    const { coverStart, covers, value, size } = this.orig.table;
    let placed = false;
    for (let i = coverStart[section]!; i < coverStart[section + 1]!; i++) {
      const symbol = covers[i]!;
      const base = this.objectVotes.of(symbol);
      if (typeof base !== 'number' || this.own.has(symbol)) continue;
      const range = { section, start: value[symbol]!, end: value[symbol]! + size[symbol]!, functions: [symbol] };
      const misfit = this.fit.misfit(range, base);
      if (misfit !== undefined) {
        this.own.set(symbol, base);
        this.otherData.push({ section, symbol, ...misfit, missing: false });
        continue;
      }
      this.place(range, base);
      placed = true;
    }
    return placed;
  }

  /** The sized symbol that a place of a section belongs to, 0 for none. */
  private objectAt(section: SectionIndex, offset: Offset): number {
    const { coverStart, covers, value, size } = this.orig.table;
    for (let i = coverStart[section]!; i < coverStart[section + 1]! && value[covers[i]!]! <= offset; i++)
      if (offset < value[covers[i]!]! + size[covers[i]!]!) return covers[i]!;
    return 0;
  }

  /** All sections of ORIG with code of functions. */
  static codeSections({ table }: Side): number[] {
    const found: number[] = [];
    for (let section = 1; section < table.sections; section++)
      if ((table.sectionClass[section]! & SectionClass.EXEC) !== 0 && (table.sectionClass[section]! & NOT_PLACED) === 0)
        found.push(section);
    return found;
  }

  /** The address of a symbol of ORIG in the image; `several` where references disagree, undefined where nothing tells. */
  addressOf(symbol: SymbolIndex): number | 'several' | undefined {
    const { table } = this.orig;
    const section = table.section[symbol]!;
    const named = this.symbolVotes.of(symbol);
    // Another unit's may be in the place of a weak one.
    if (table.info[symbol]! >>> 4 === STB_WEAK || section === 0 || section >= table.sections) return named;
    const base = this.sections.get(section) ?? this.own.get(symbol);
    if (base !== undefined) return base + table.value[symbol]!;
    if (named !== undefined) return named;
    const voted = this.sectionVotes.of(section);
    // Sections of several units that `ld -r` put together lie apart.
    return typeof voted === 'number' ? voted + table.value[symbol]! : undefined;
  }

  /** How the code differs that a symbol stands for. */
  differenceOf(symbol: SymbolIndex): Difference | undefined {
    const { section, value } = this.orig.table;
    return this.differences.find((one) => one.section === section[symbol] && value[one.symbol] === value[symbol]);
  }

  /** Places a piece where the list has its functions; where it fits nowhere, how it differs at best. */
  private tryNames(piece: Piece): Misfit | 'missing' | undefined {
    const bases = namedBases(this.orig, this.kernel, piece);
    let worst: Misfit | 'missing' = 'missing';
    const fitting: number[] = [];
    for (const base of bases) {
      const misfit = this.fit.misfit(piece, base);
      if (misfit === undefined) fitting.push(base);
      // The address at which most is equal says best what differs.
      else if (worst === 'missing' || misfit.offset > worst.offset) worst = misfit;
    }
    if (fitting.length === 0) return worst;
    if (fitting.length === 1) this.place(piece, fitting[0]!);
    else this.open.set(piece, fitting);
    return undefined;
  }

  private differs({ section, start, functions }: Piece, worst: Misfit | 'missing'): void {
    const { table } = this.orig;
    if (functions.every((symbol) => table.info[symbol]! >>> 4 === STB_WEAK)) {
      this.overridden += functions.length;
      return;
    }
    const missing = worst === 'missing';
    const { offset, why } = missing ? { offset: start, why: 'the kernel has no function of that name' } : worst;
    this.differences.push({ section, symbol: functions[0]!, offset, why, missing });
  }

  /** Where references say that a piece lies. */
  private votedBase({ section, functions }: Piece): number | undefined {
    const { value } = this.orig.table;
    for (const symbol of functions) {
      const named = this.symbolVotes.of(symbol);
      if (typeof named === 'number') return named - value[symbol]!;
    }
    const voted = this.sectionVotes.of(section);
    return typeof voted === 'number' ? voted : undefined;
  }

  private place(piece: Piece, base: number): void {
    const { table, object } = this.orig;
    if (piece.start === 0 && piece.end === object.size(piece.section)) this.sections.set(piece.section, base);
    for (const symbol of piece.functions) this.own.set(symbol, base);
    this.fit.forEachReading(piece, base, (reading) => {
      const { symbol, address } = reading;
      const target = table.section[symbol]!;
      const isSection = (table.info[symbol]! & 0xf) === STT_SECTION;
      if (!isSection) this.symbolVotes.add(symbol, address);
      if (target === 0 || target >= table.sections || table.info[symbol]! >>> 4 === STB_WEAK) return true;
      if ((table.sectionClass[target]! & NOT_PLACED) !== 0) return true;
      // Of a section symbol, whose value is 0, and of a named one the same: where the section begins.
      const start = address - (isSection ? 0 : table.value[symbol]!);
      this.sectionVotes.add(target, start);
      const meant = isSection ? this.objectAt(target, this.fit.meant(piece.section, reading)) : symbol;
      if (meant !== 0) this.objectVotes.add(meant, start);
      return true;
    });
  }
}
