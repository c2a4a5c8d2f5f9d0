import type { SetData } from './set-data';
import type { SymbolIndex } from '../../elf';
import type { Diagnostic } from '../../diagnostics';
import type { Change, ChangeClass, Difference, IgnoredClass, UncoveredDifference, Verdict } from '../compare';
import type { Side } from '../side/side';
import type { AmbiguousGroup, Pairing } from '../correlate';
import type { UnknownEntrySize } from '../scan/entries';

/** What all earlier stages found. */
export interface AssessInput {
  pairing: Pairing;
  ambiguous: AmbiguousGroup[];
  /** ORIG symbols about which unchanged users disagree. */
  contradicted: number[];
  /** Correlatable symbols without a twin, in table order. */
  unpaired: { orig: number[]; patched: number[] };
  /** ORIG symbols whose twins differ only in source lines. */
  lineOnly: number[];
  /** Differences of bytes that no symbol covers. */
  uncovered: UncoveredDifference[];
  /** What `reportLosses` says, where another thread asked it. */
  losses?: readonly Diagnostic[];
  /** Whether ORIG says which functions have an ftrace site. */
  traceKnown: boolean;
  /** The running kernel's own list of them, by name, where it was given: it decides instead. */
  traceable?: ReadonlySet<string> | undefined;
  /** Who asks refuses functions without a site itself, so that none counts as one here. */
  assumeSites?: boolean;
  /** The object is one of several that make up the patched one: others may use its globals. Without it, any but a whole kernel or a module is taken for such. */
  unit?: boolean;
  orig: Side;
  patched: Side;
  verdicts: Verdict[];
  /** Name of the patched object: `vmlinux` or a module's. */
  objectName: string;
  unknownSizes: UnknownEntrySize[];
  /** Read-only data that changed, where it is known already. */
  tables?: Tables;
  /** Variables whose new value callbacks of the livepatch write. */
  setData?: readonly SetData[];
  /** Names of new globals that go in though nothing here reaches them: another object of the livepatch uses them. */
  wanted?: readonly string[];
}

/** The unit a symbol belongs to: its FILE symbol's name, null where ELF does not say (globals). */
export type UnitName = string | null;

export interface ChangedFunction {
  /** Full ELF name in ORIG. */
  name: string;
  /** Full ELF name in PATCHED, where it differs. */
  patchedName?: string;
  /** Other names of the same body. */
  aliases?: string[];
  file: UnitName;
  section: string;
  /** Bytes of it. */
  size: { orig: number; patched: number };
  class: ChangeClass;
  first: Difference | null;
  /** All that changed; null where too many functions did, or only code that belongs to this one. */
  change: Change | null;
  pairedBy: { rule: string; evidence: string };
}

export interface PlainSymbol {
  name: string;
  file: UnitName;
  section: string;
}

export interface CarriedFunction {
  name: string;
  /** Callees without an ftrace site, innermost last, that brought it in. */
  via: string[];
}

export interface ObjectResult {
  name: string;
  functions: {
    changed: ChangedFunction[];
    new: PlainSymbol[];
    removed: PlainSymbol[];
    carried: CarriedFunction[];
    ignored: Array<{ name: string; class: IgnoredClass }>;
  };
  data: {
    changed: Array<PlainSymbol & { first: Difference | null; change: Change | null }>;
    new: PlainSymbol[];
    removed: PlainSymbol[];
    ignored: Array<{ name: string; class: IgnoredClass }>;
  };
  /** Groups of one name that nothing tells apart; a refusal only where the livepatch depends on one. */
  ambiguous: Array<{ orig: string[]; patched: string[] }>;
}

/** A function of PATCHED that goes into the livepatch, canonical. */
export interface IncludedFunction {
  symbol: SymbolIndex;
  /** ORIG's canonical function that it takes the place of; 0 where nothing is redirected: new ones, pieces, those whose callers were taken along instead. */
  origin: SymbolIndex;
  /** Further ones, where several bodies of ORIG became this one. */
  further?: readonly number[];
}

export interface Assessment {
  object: ObjectResult;
  /** What a livepatch would hold, in symbol-table order. */
  included: IncludedFunction[];
  /** New variables that go in for another object's sake, canonical. */
  brought: number[];
  /** PATCHED symbols that nothing pairs. */
  undecided: number[];
  /** Read-only data of PATCHED that is copied although ORIG has it, canonical: its content changed, or what it leads to. */
  copied: number[];
  diagnostics: Diagnostic[];
}

/** An included function with each body of ORIG whose place it takes. */
export function replacements({
  symbol,
  origin,
  further = [],
}: IncludedFunction): Array<{ symbol: SymbolIndex; origin: SymbolIndex }> {
  return [origin, ...further].map((body) => ({ symbol, origin: body }));
}

/** Read-only data whose content changed and that a livepatch can bring along. Symbols are PATCHED's, canonical. */
export interface Tables {
  /** What is copied although ORIG has it: these, and read-only data that leads to them. */
  copied: ReadonlySet<number>;
  /** Functions that read them and differ in nothing else. */
  readers: Verdict[];
  /** Why data that changed is no such table, by ORIG's symbol. */
  refused: ReadonlyMap<number, string>;
}
