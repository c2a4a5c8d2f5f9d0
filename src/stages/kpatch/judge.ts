import { diagnostic, type Diagnostic } from '../../diagnostics';
import { STB_LOCAL, STT_FUNC } from '../../elf';
import type { Messages } from '../../livepatch/kpatch/messages';
import { isOwnSection, parentName } from '../../livepatch/kpatch/names';
import { SectionClass } from '../../livepatch/section-class';
import type { Assessment } from '../assess';
import type { Side, Verdict } from '../compare';
import { namesOf, originOf, type Pairing } from '../correlate';
import { referencesIn } from '../extract/resolve';
import { Trait } from '../scan';
import type { FtraceSites } from './ftrace-sites';
import type { Markers } from './markers';
import { refersTo } from './side-relas';

/** A function that the report names: its symbol of PATCHED, and the name that the running kernel has for it. */
export interface ReportedFunction {
  /** Canonical. */
  symbol: number;
  /** The one of its names that its section is called after. */
  named: number;
  name: string;
  /** Canonical ORIG symbol, 0 for a new function. */
  origin: number;
  /** The callees without an ftrace site that brought in a function which did not change itself. */
  carried?: readonly string[];
}

/**
 * Verdicts that count here: entries of special sections are not compared (a compiler may order or repeat them at will), and what
 * the patch's author said to ignore is not, either.
 */
export function verdictsThatCount(patched: Side, verdicts: readonly Verdict[], { ignoredSections, ignoredFunctions }: Markers): Verdict[] {
  const ignored = new Set(ignoredFunctions.map((symbol) => patched.name(symbol)));
  const isIgnored = (symbol: number): boolean => {
    for (let name: string | undefined = patched.name(symbol); name !== undefined; name = parentName(name)) if (ignored.has(name)) return true;
    return ignoredFunctions.includes(symbol);
  };
  return verdicts.filter(({ status, class: kind, patched: symbol }) => status !== 'changed' || (kind !== 'special-entry' && !ignoredSections.has(patched.table.section[symbol]!) && !isIgnored(symbol)));
}

/**
 * Read-only variables whose value changed, canonical, of PATCHED. Code that goes in gets a copy, as create-diff-object's does; unlike
 * with a writable one nobody can tell. One that no such code reaches is a change that would be lost.
 */
export function changedConstants(patched: Side, verdicts: readonly Verdict[]): number[] {
  const { table, object } = patched;
  return verdicts.filter(({ status, patched: symbol }) => {
    const section = table.section[symbol]!;
    return status === 'changed' && table.has(symbol, Trait.OBJECT) && section < table.sections && (table.sectionClass[section]! & SectionClass.READONLY) !== 0
      && object.name(section).startsWith('.rodata.') && !table.has(symbol, Trait.INIT | Trait.EXIT);
  }).map(({ patched: symbol }) => symbol);
}

/**
 * A part that was split off a function (`f.part.0`) and has no ftrace site is replaced through that function, which then counts as
 * changed. `parts` are those parts, canonical, of PATCHED.
 */
export function raiseParents(pairing: Pairing, patched: Side, sites: FtraceSites, verdicts: readonly Verdict[]): { verdicts: Verdict[]; parts: ReadonlySet<number> } {
  const parts = new Set<number>();
  const changed = new Set(verdicts.filter(({ status }) => status === 'changed').map(({ patched: symbol }) => symbol));
  const raised = new Map<number, Verdict>();
  for (const verdict of verdicts) {
    const name = parentName(patched.name(verdict.patched));
    if (verdict.status !== 'changed' || name === undefined || !patched.table.has(verdict.patched, Trait.FUNC) || patched.table.has(verdict.patched, Trait.COLD)) continue;
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
    if (table.nameLength[symbol] === name.length && table.has(symbol, Trait.FUNC) && object.symbolName(symbol) === name) return table.canonical[symbol]!;
  }
  return 0;
}

export function tellMarkers({ ignoredNames, ignoredFunctions }: Markers, patched: Side, verdicts: readonly Verdict[], messages: Messages): void {
  const changed = new Set(verdicts.filter(({ status }) => status === 'changed').map(({ patched: symbol }) => symbol));
  for (const name of ignoredNames) messages.ignoringSection(name);
  for (const symbol of ignoredFunctions) messages.ignoringFunction(patched.name(symbol), changed.has(symbol));
}

/** Changed functions that no ftrace site of ORIG lets the kernel redirect. A part that was split off goes with its function. */
export function untraceable(orig: Side, sites: FtraceSites, reported: readonly ReportedFunction[], objectName: string): Diagnostic[] {
  return reported.filter(({ origin }) => origin !== 0 && sites.siteOf(origin) === undefined).map(({ origin }) => diagnostic(
    'not-traceable', `${orig.name(origin)} changed and has no ftrace site`, { object: objectName, section: orig.sectionName(origin), symbol: orig.name(origin) },
  ));
}

/**
 * The included functions that have a line each, in the order of PATCHED's symbol table: not those whose section is gone from the
 * running kernel, nor parts that were split off another function.
 */
export function reportedFunctions(pairing: Pairing, orig: Side, patched: Side, { included, object }: Assessment): ReportedFunction[] {
  const carried = new Map(object.functions.carried.map(({ name, via }) => [name, via]));
  const functions = new Set<string>();
  for (let i = 0; i < patched.table.listedCount; i++) {
    const symbol = patched.table.listed[i]!;
    if (patched.table.has(symbol, Trait.FUNC)) functions.add(patched.name(symbol));
  }
  const found: ReportedFunction[] = [];
  for (const { symbol } of included) {
    const parent = parentName(patched.name(symbol));
    if (patched.table.has(symbol, Trait.COLD | Trait.INIT | Trait.EXIT) || (parent !== undefined && functions.has(parent))) continue;
    const named = ownName(patched, symbol);
    const origin = originOf(pairing, symbol);
    const twin = pairing.origin[named]!;
    const via = carried.get(patched.name(symbol));
    found.push({ symbol, named, origin, ...(via === undefined ? {} : { carried: via }), name: twin !== 0 ? orig.name(twin) : origin !== 0 ? orig.name(ownName(orig, origin)) : patched.name(named) });
  }
  return found.sort((a, b) => a.named - b.named);
}

/** Of a body's names the one that its section is called after, the last one if there are several; else the first function. */
export function ownName(side: Side, symbol: number): number {
  const names = namesOf(side.table, symbol).filter((name) => (side.table.info[name]! & 0xf) === STT_FUNC).sort((a, b) => a - b);
  const section = side.sectionName(symbol);
  return names.findLast((name) => isOwnSection(section, side.name(name))) ?? names[0] ?? symbol;
}

/**
 * Tells of the first static local variable that only PATCHED has, in the order in which PATCHED's code refers to them: an author
 * who did not add one knows then that its value starts anew.
 */
export function tellNewStatic(patched: Side, unpaired: readonly number[], messages: Messages): void {
  const { table } = patched;
  const fresh = new Set(unpaired.filter((symbol) => table.has(symbol, Trait.OBJECT) && table.info[symbol]! >>> 4 === STB_LOCAL && /^[^.].*\./.test(patched.name(symbol))));
  if (fresh.size === 0) return;
  const homes = new Set([...fresh].map((symbol) => table.section[symbol]!));
  for (let section = 1; section < table.sections; section++) {
    // Compilers name a local by its section: only a closer look tells which one is meant.
    if (table.relaSection[section] === 0 || !refersTo(patched, section, homes) || patched.object.name(section).startsWith('.debug_')) continue;
    const found = referencesIn(patched, { section, start: 0, end: patched.object.size(section) }).find((reference) => reference.kind === 'symbol' && fresh.has(reference.symbol));
    if (found?.kind !== 'symbol') continue;
    const user = patched.identity.objectAt(section, found.field);
    const name = user === 0 ? '' : patched.name(ownName(patched, user));
    messages.newStaticLocal(patched.name(found.symbol), isOwnSection(patched.object.name(section), name) ? name : patched.object.name(section));
    return;
  }
}
