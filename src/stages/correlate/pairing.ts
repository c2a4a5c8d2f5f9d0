import type { ScanTable } from '../scan';

/** Why two symbols are twins. The order is the order in which the rules are tried. */
export const RULES = [
  'none',
  /** The base name is unique in both objects. */ 'name',
  /** The base name is unique within the paired units. */ 'unit',
  /** Unique by base name, but one build made it local (or promoted it) and the other did not. */ 'promotion',
  /** The unit's `.llvm.` hash in one build is known to be this hash in the other. */ 'suffix',
  /** Equal contents; only functions and read-only data. */ 'content',
  /** Every member of the group has the same contents, so any order will do; only functions and read-only data. */ 'identical',
  /** The same place of the same function or object refers to them. */ 'use',
  /** The same instruction of functions that changed refers to them. */ 'aligned',
  /** Only the same functions use them. */ 'user',
  /** All others of the name are paired. */ 'remaining',
  /** By hand: `--twin`. */ 'declared',
] as const;

export type Rule = (typeof RULES)[number];

const RULE_NUMBERS = Object.fromEntries(RULES.map((rule, i) => [rule, i])) as Record<Rule, number>;

/** What each pairing rule rests on, in words. */
export const EVIDENCE: Record<Rule, string> = {
  none: 'not paired',
  name: 'the only symbol of this name in both objects',
  unit: 'the only symbol of this name in the paired compilation units',
  promotion: 'the only symbol of this name left, local in one build and promoted or global in the other',
  suffix: 'the same LTO unit hash as other pairs of the unit',
  content: 'equal contents, different from every other symbol of the name',
  identical: 'all symbols of the name have equal contents',
  use: 'the same places of unchanged functions refer to them',
  aligned:
    'the same instructions of a function that changed refer to them, and no other reading of its code comes near',
  user: 'the same functions use them, and no other symbol of the name',
  remaining: 'every other symbol of the name is paired',
  declared: 'declared with --twin',
};

/** The columns that threads share. */
export interface SharedPairing {
  twin: SharedArrayBuffer;
  origin: SharedArrayBuffer;
  rule: SharedArrayBuffer;
  unitTwin: SharedArrayBuffer;
  undecidedUnits: Array<[number, number]>;
}

/** The partial one-to-one map between two objects' symbols. */
export class Pairing {
  /** By ORIG symbol: the PATCHED twin, 0 for none. */ readonly twin: Uint32Array<SharedArrayBuffer>;
  /** By PATCHED symbol: the ORIG twin, 0 for none. */ readonly origin: Uint32Array<SharedArrayBuffer>;
  /** By ORIG symbol: index into RULES. */ readonly rule: Uint8Array<SharedArrayBuffer>;
  /** By ORIG's FILE symbol: the twin unit's FILE symbol, 0 for none; above all symbols for one that may be several, see `undecidedUnits`. */
  readonly unitTwin: Uint32Array<SharedArrayBuffer>;
  /** PATCHED's units of one name that nothing tells apart, by FILE symbol: the number that `unitTwin` has for ORIG's of them. */
  readonly undecidedUnits: Map<number, number>;
  /** Each object is of one unit (a partition of ThinLTO), so whatever a unit's static may be called is that unit's. */
  soleUnit = false;
  /** PATCHED's `.llvm.` hash of each unit of ORIG, where other objects of the link tell them: see `PromotedNames`. */
  unitHashes: ReadonlyMap<string, string> | undefined;
  /** Digests of promoted constants that other objects of both links define, by full name. */
  constants: ReadonlyMap<string, string> | undefined;

  /** A fresh pairing, or one over the shared columns of another thread's. */
  constructor(
    readonly orig: ScanTable,
    readonly patched: ScanTable,
    shared?: SharedPairing,
  ) {
    this.twin = new Uint32Array(shared?.twin ?? new SharedArrayBuffer(orig.symbols * 4));
    this.origin = new Uint32Array(shared?.origin ?? new SharedArrayBuffer(patched.symbols * 4));
    this.rule = new Uint8Array(shared?.rule ?? new SharedArrayBuffer(orig.symbols));
    this.unitTwin = new Uint32Array(shared?.unitTwin ?? new SharedArrayBuffer(orig.symbols * 4));
    this.undecidedUnits = new Map(shared?.undecidedUnits);
  }

  /** What another thread's pairing is made over. */
  get shared(): SharedPairing {
    const { twin, origin, rule, unitTwin, undecidedUnits } = this;
    return {
      twin: twin.buffer,
      origin: origin.buffer,
      rule: rule.buffer,
      unitTwin: unitTwin.buffer,
      undecidedUnits: [...undecidedUnits],
    };
  }

  /** What stands for a unit of PATCHED in `unitTwin`. */
  unitKey(unit: number): number {
    return this.undecidedUnits.size === 0 ? unit : (this.undecidedUnits.get(unit) ?? unit);
  }

  /** Whether two units, by FILE symbol, are twins, or may be. */
  sameUnit(orig: number, patched: number): boolean {
    return this.unitTwin[orig] !== 0 && this.unitTwin[orig] === this.unitKey(patched);
  }

  pair(orig: number, patched: number, rule: Rule): void {
    this.twin[orig] = patched;
    this.origin[patched] = orig;
    this.rule[orig] = RULE_NUMBERS[rule];
  }

  /** How many pairs each rule made. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (let symbol = 1; symbol < this.orig.symbols; symbol++) {
      if (this.twin[symbol] === 0) continue;
      const rule = RULES[this.rule[symbol]!]!;
      counts[rule] = (counts[rule] ?? 0) + 1;
    }
    return counts;
  }
}
