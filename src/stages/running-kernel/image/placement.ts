import { STB_WEAK, STT_SECTION } from '../../../elf';
import { SectionClass } from '../../../kernel/section-class';
import type { Side } from '../../side/side';
import { Trait } from '../../scan/traits';
import type { KernelCode } from './kernel-code';
import { SectionFit, type Misfit } from './section-fit';

/** A section of code that is nowhere in the image. */
export interface Difference extends Misfit {
  section: number;
  /** The function at the place, else the first one. */
  symbol: number;
  /** The list does not have its name at all. */
  missing: boolean;
}

/** Sections that are no code or data of their own: gathered, sorted or dropped by the link. */
const NOT_PLACED =
  SectionClass.SPECIAL | SectionClass.DERIVED | SectionClass.STRING | SectionClass.CONSTANT | SectionClass.REPLACEMENT;

/**
 * Where the sections of ORIG lie in the image. Code is placed by the names of its functions: of the addresses that the list has for
 * them one must fit. What it refers to is where its fields lead, and that decides between addresses that both fit: stubs that
 * `return 0` are equal at a thousand places. With a section for each function (-ffunction-sections) that is function by function,
 * without it the unit as a whole.
 */
export class Placement {
  readonly differences: Difference[] = [];
  /** Functions that were looked at, and weak ones that another unit overrides. */
  functions = 0;
  overridden = 0;
  private readonly fit: SectionFit;
  private readonly bases = new Map<number, number>();
  /** Addresses that fit, of sections with several. */
  private readonly open = new Map<number, number[]>();
  /** What references say of sections, and of symbols that have none. */
  private readonly votes = new Map<number, Set<number>>();
  private readonly outside = new Map<number, Set<number>>();

  constructor(
    private readonly orig: Side,
    private readonly kernel: KernelCode,
  ) {
    this.fit = new SectionFit(orig, kernel);
  }

  /** Places sections of code, and from there on what they refer to. */
  settle(sections: Iterable<number>): this {
    for (const section of sections) this.tryNames(section);
    for (let moved = true; moved; ) {
      moved = false;
      for (const [section, candidates] of this.open) {
        const voted = this.votes.get(section);
        const both = voted === undefined ? [] : candidates.filter((base) => voted.has(base));
        if (voted === undefined || voted.size !== 1 || both.length !== 1) continue;
        this.open.delete(section);
        this.place(section, both[0]!);
        moved = true;
      }
    }
    return this;
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
  addressOf(symbol: number): number | 'several' | undefined {
    const { table } = this.orig;
    const section = table.section[symbol]!;
    const own = table.info[symbol]! >>> 4 === STB_WEAK || section === 0 || section >= table.sections;
    const base = own ? undefined : this.bases.get(section);
    if (base !== undefined) return base + table.value[symbol]!;
    const voted = own ? this.outside.get(symbol) : this.votes.get(section);
    if (voted === undefined) return undefined;
    if (voted.size > 1) return 'several';
    const [only] = voted;
    return own ? only : only! + table.value[symbol]!;
  }

  /** Whether a function's own bytes are in the image. */
  isPlaced(symbol: number): boolean {
    return this.bases.has(this.orig.table.section[symbol]!);
  }

  /** How a section differs that a symbol lies in. */
  differenceOf(symbol: number): Difference | undefined {
    return this.differences.find(({ section }) => section === this.orig.table.section[symbol]);
  }

  private tryNames(section: number): void {
    const { table, object } = this.orig;
    const bases = new Set<number>();
    const functions: number[] = [];
    let weak = 0;
    for (let i = table.coverStart[section]!; i < table.coverStart[section + 1]!; i++) {
      const symbol = table.covers[i]!;
      if (!table.has(symbol, Trait.FUNC) || table.has(symbol, Trait.PREFIX)) continue;
      functions.push(symbol);
      if (table.info[symbol]! >>> 4 === STB_WEAK) weak++;
      for (const place of this.kernel.addressesOf(object.bytes, table.name[symbol]!, table.nameLength[symbol]!))
        bases.add(place - table.value[symbol]!);
    }
    if (functions.length === 0) return;
    this.functions += functions.length;
    let worst: Misfit | undefined;
    const fitting: number[] = [];
    for (const base of bases) {
      const misfit = this.fit.misfit(section, base);
      if (misfit === undefined) fitting.push(base);
      // The address at which most is equal says best what differs.
      else if (worst === undefined || misfit.offset > worst.offset) worst = misfit;
    }
    if (fitting.length === 1) this.place(section, fitting[0]!);
    else if (fitting.length > 1) this.open.set(section, fitting);
    else if (weak === functions.length) this.overridden += weak;
    else this.differences.push(this.difference(section, functions, worst));
  }

  private difference(section: number, functions: readonly number[], worst: Misfit | undefined): Difference {
    const { table } = this.orig;
    const { offset, why } = worst ?? { offset: 0, why: 'the kernel has no function of that name' };
    const at = functions.find(
      (symbol) => offset >= table.value[symbol]! && offset < table.value[symbol]! + table.size[symbol]!,
    );
    return { section, symbol: at ?? functions[0]!, offset, why, missing: worst === undefined };
  }

  private place(section: number, base: number): void {
    this.bases.set(section, base);
    const { table } = this.orig;
    for (const { symbol, address } of this.fit.readings(section, base)) {
      const target = table.section[symbol]!;
      const weak = table.info[symbol]! >>> 4 === STB_WEAK;
      if (weak || target === 0 || target >= table.sections) add(this.outside, symbol, address);
      else if ((table.sectionClass[target]! & NOT_PLACED) === 0)
        // Of a section symbol, whose value is 0, and of a named one the same: where the section begins.
        add(this.votes, target, address - ((table.info[symbol]! & 0xf) === STT_SECTION ? 0 : table.value[symbol]!));
    }
  }
}

function add(votes: Map<number, Set<number>>, key: number, address: number): void {
  const known = votes.get(key);
  if (known === undefined) votes.set(key, new Set([address]));
  else known.add(address);
}
