import { diagnostic, type Diagnostic } from '../../diagnostics';
import { STT_FUNC, type SymbolIndex } from '../../elf';
import { isOwnSection, parentName } from '../../livepatch/kpatch/names';
import type { Assessment } from '../assess';
import type { Verdict } from '../compare';
import type { Side } from '../side/side';
import { namesOf, originOf, type Pairing } from '../correlate';
import { Trait } from '../scan';
import type { FtraceSites } from '../assess/ftrace-sites';
import type { Markers } from './markers';

/** A function that the report names: its symbol of PATCHED, and the name that the running kernel has for it. */
export interface ReportedFunction {
  /** Canonical. */
  symbol: SymbolIndex;
  /** The one of its names that its section is called after. */
  named: number;
  name: string;
  /** Canonical ORIG symbol, 0 for a new function. */
  origin: SymbolIndex;
  /** The callees without an ftrace site that brought in a function which did not change itself. */
  carried?: readonly string[];
}

/**
 * Verdicts that count here: entries of special sections are not compared (a compiler may order or repeat them at will), and what
 * the patch's author said to ignore is not, either.
 */
export function verdictsThatCount(
  patched: Side,
  verdicts: readonly Verdict[],
  { ignoredSections, ignoredFunctions }: Markers,
): Verdict[] {
  const ignored = new Set(ignoredFunctions.map((symbol) => patched.name(symbol)));
  const isIgnored = (symbol: SymbolIndex): boolean => {
    for (let name: string | undefined = patched.name(symbol); name !== undefined; name = parentName(name))
      if (ignored.has(name)) return true;
    return ignoredFunctions.includes(symbol);
  };
  return verdicts.filter(
    ({ status, class: kind, patched: symbol }) =>
      status !== 'changed' ||
      (kind !== 'special-entry' && !ignoredSections.has(patched.table.section[symbol]!) && !isIgnored(symbol)),
  );
}

/**
 * A part that was split off a function (`f.part.0`) and has no ftrace site is replaced through that function, which then counts as
 * changed. `parts` are those parts, canonical, of PATCHED.
 */
export function raiseParents(
  pairing: Pairing,
  patched: Side,
  sites: FtraceSites,
  verdicts: readonly Verdict[],
): { verdicts: Verdict[]; parts: ReadonlySet<number> } {
  const parts = new Set<number>();
  const changed = new Set(verdicts.filter(({ status }) => status === 'changed').map(({ patched: symbol }) => symbol));
  const raised = new Map<number, Verdict>();
  for (const verdict of verdicts) {
    const name = parentName(patched.name(verdict.patched));
    if (
      verdict.status !== 'changed' ||
      name === undefined ||
      !patched.table.has(verdict.patched, Trait.FUNC) ||
      patched.table.has(verdict.patched, Trait.COLD)
    )
      continue;
    const parent = sites.siteOf(verdict.orig) === undefined ? functionNamed(patched, name) : 0;
    if (parent === 0) continue;
    parts.add(verdict.patched);
    const twin = originOf(pairing, parent);
    if (twin !== 0 && !changed.has(parent)) raised.set(parent, { ...verdict, orig: twin, patched: parent });
  }
  return { verdicts: [...verdicts.filter(({ patched: symbol }) => !raised.has(symbol)), ...raised.values()], parts };
}

/** The first function of this name, canonical; 0 if there is none. */
function functionNamed({ table, object }: Side, name: string): number {
  for (let i = 0; i < table.listedCount; i++) {
    const symbol = table.listed[i]!;
    if (table.nameLength[symbol] === name.length && table.has(symbol, Trait.FUNC) && object.symbolName(symbol) === name)
      return table.canonical[symbol]!;
  }
  return 0;
}

/** Changed functions that the kernel cannot redirect: by its own list of names, where there is one, else for lack of an ftrace site of ORIG. */
export function untraceable(
  orig: Side,
  sites: FtraceSites,
  traceable: ReadonlySet<string> | undefined,
  reported: readonly ReportedFunction[],
  objectName: string,
): Diagnostic[] {
  const isLost = ({ origin, name }: ReportedFunction): boolean =>
    origin !== 0 && (traceable === undefined ? sites.siteOf(origin) === undefined : !traceable.has(name));
  return reported.filter(isLost).map(({ origin }) =>
    diagnostic('not-traceable', `${orig.name(origin)} changed and has no ftrace site`, {
      object: objectName,
      section: orig.sectionName(origin),
      symbol: orig.name(origin),
    }),
  );
}

/**
 * The included functions that have a line each, in the order of PATCHED's symbol table: not those whose section is gone from the
 * running kernel, nor parts that were split off another function.
 */
export function reportedFunctions(
  pairing: Pairing,
  orig: Side,
  patched: Side,
  { included, object }: Pick<Assessment, 'included' | 'object'>,
): ReportedFunction[] {
  const carried = new Map(object.functions.carried.map(({ name, via }) => [name, via]));
  let functions: ReadonlySet<string> | undefined;
  const found: ReportedFunction[] = [];
  for (const { symbol } of included) {
    const parent = parentName(patched.name(symbol));
    if (
      patched.table.has(symbol, Trait.COLD | Trait.INIT | Trait.EXIT) ||
      (parent !== undefined && (functions ??= functionNames(patched)).has(parent))
    )
      continue;
    const named = ownName(patched, symbol);
    const origin = originOf(pairing, symbol);
    const twin = pairing.origin[named]!;
    const via = carried.get(patched.name(symbol));
    found.push({
      symbol,
      named,
      origin,
      ...(via === undefined ? {} : { carried: via }),
      name: twin !== 0 ? orig.name(twin) : origin !== 0 ? orig.name(ownName(orig, origin)) : patched.name(named),
    });
  }
  return found.sort((a, b) => a.named - b.named);
}

function functionNames({ table, object }: Side): ReadonlySet<string> {
  const names = new Set<string>();
  for (let i = 0; i < table.listedCount; i++)
    if (table.has(table.listed[i]!, Trait.FUNC)) names.add(object.symbolName(table.listed[i]!));
  return names;
}

/** Of a body's names the one that its section is called after, the last one if there are several; else the first function. */
export function ownName(side: Side, symbol: SymbolIndex): number {
  const names = namesOf(side.table, symbol)
    .filter((name) => side.table.typeOf(name) === STT_FUNC)
    .sort((a, b) => a - b);
  const section = side.sectionName(symbol);
  return names.findLast((name) => isOwnSection(section, side.name(name))) ?? names[0] ?? symbol;
}
