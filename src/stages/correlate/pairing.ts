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
  /** Only the same functions use them. */ 'user',
  /** All others of the name are paired. */ 'remaining',
] as const;

export type Rule = (typeof RULES)[number];

/** The partial one-to-one map between two objects' symbols. */
export class Pairing {
  /** By ORIG symbol: the PATCHED twin, 0 for none. */ readonly twin: Uint32Array;
  /** By PATCHED symbol: the ORIG twin, 0 for none. */ readonly origin: Uint32Array;
  /** By ORIG symbol: index into RULES. */ readonly rule: Uint8Array;
  /** By FILE symbol: the twin unit's FILE symbol, 0 for none. */ readonly unitTwin: Uint32Array;
  readonly unitOrigin: Uint32Array;

  constructor(readonly orig: ScanTable, readonly patched: ScanTable) {
    const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
    this.twin = new Uint32Array(shared(orig.symbols * 4));
    this.origin = new Uint32Array(shared(patched.symbols * 4));
    this.rule = new Uint8Array(shared(orig.symbols));
    this.unitTwin = new Uint32Array(orig.symbols);
    this.unitOrigin = new Uint32Array(patched.symbols);
  }

  pair(orig: number, patched: number, rule: Rule): void {
    this.twin[orig] = patched;
    this.origin[patched] = orig;
    this.rule[orig] = RULES.indexOf(rule);
  }
}
