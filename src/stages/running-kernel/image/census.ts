import { STB_WEAK, type SectionIndex } from '../../../elf';
import type { Side } from '../../side/side';
import type { KernelCode } from './kernel-code';
import { eachFunction, wholeSection, type Piece } from './pieces';
import { SectionFit } from './section-fit';

/** A unit has fewer symbols: of a whole kernel only the functions that are replaced are placed, and the others counted apart. */
const LARGEST_UNIT = 50_000;

export function isUnit(symbols: number): boolean {
  return symbols <= LARGEST_UNIT;
}

/** How many functions of ORIG stand in what runs. */
export interface Census {
  functions: number;
  /** Byte for byte at an address of their name, with references that lead to what they name. */
  equal: number;
  differing: number;
  /** What runs has no function of the name. */
  missing: number;
  /** Weak functions that differ: another unit's stands in their place. */
  overridden: number;
  /** The first one that differs or is missing. */
  first: string | null;
}

/** Counts the functions of sections, numbers of ORIG's section table. Names of static functions may fit at several addresses: one is enough. */
export function census(orig: Side, kernel: KernelCode, sections: Iterable<SectionIndex>): Census {
  const fit = new SectionFit(orig, kernel);
  const counts: Census = { functions: 0, equal: 0, differing: 0, missing: 0, overridden: 0, first: null };
  const stands = (piece: Piece): boolean | undefined => {
    const bases = namedBases(orig, kernel, piece);
    return bases.size === 0 ? undefined : [...bases].some((base) => fit.misfit(piece, base) === undefined);
  };
  for (const section of sections) {
    const whole = wholeSection(orig, section);
    if (whole === undefined) continue;
    counts.functions += whole.functions.length;
    if (stands(whole) === true) {
      counts.equal += whole.functions.length;
      continue;
    }
    for (const piece of eachFunction(orig, whole)) {
      const found = stands(piece);
      const { info } = orig.table;
      const kind =
        found === true
          ? 'equal'
          : piece.functions.every((symbol) => info[symbol]! >>> 4 === STB_WEAK)
            ? 'overridden'
            : found === undefined
              ? 'missing'
              : 'differing';
      counts[kind] += piece.functions.length;
      if (kind === 'differing' || kind === 'missing') counts.first ??= orig.name(piece.functions[0]!);
    }
  }
  return counts;
}

/** Where a piece's section would begin, by each address that the list has for one of its functions. */
export function namedBases({ table, object }: Side, kernel: KernelCode, { functions }: Piece): Set<number> {
  const bases = new Set<number>();
  for (const symbol of functions)
    for (const place of kernel.addressesOf(object.bytes, table.name[symbol]!, table.nameLength[symbol]!))
      bases.add(place - table.value[symbol]!);
  return bases;
}

/** The counts of several parts of one object, in their order. */
export function together(parts: readonly Census[]): Census {
  const sum = (of: (part: Census) => number): number => parts.reduce((total, part) => total + of(part), 0);
  return {
    functions: sum((part) => part.functions),
    equal: sum((part) => part.equal),
    differing: sum((part) => part.differing),
    missing: sum((part) => part.missing),
    overridden: sum((part) => part.overridden),
    first: parts.find(({ first }) => first !== null)?.first ?? null,
  };
}
