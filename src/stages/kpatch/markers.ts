import type { SectionIndex, SymbolIndex } from '../../elf';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { CALLBACK, CALLBACK_SECTIONS, FORCE, IGNORE_FUNCTIONS, IGNORE_SECTIONS } from '../../livepatch/kpatch/layout';
import type { Side } from '../side/side';
import { Trait } from '../scan';
import { tableRelasOf } from '../assess/side-relas';
import { sectionsNamed, sectionsStarting } from '../scan/section-names';

/** A callback that the patch's author set: the section of its record, and its function. */
export interface CallbackRecord {
  section: SectionIndex;
  symbol: SymbolIndex;
}

/** What the macros of kpatch-macros.h and the compiler left for the differ in PATCHED. */
export interface Markers {
  /** Sections whose changes do not count, by KPATCH_IGNORE_SECTION. */
  ignoredSections: ReadonlySet<number>;
  /** Names of these, in the order of their markers. */
  ignoredNames: readonly string[];
  /** Functions whose changes do not count, canonical. */
  ignoredFunctions: readonly number[];
  callbacks: readonly CallbackRecord[];
  /** Functions that may be replaced while they run, canonical. */
  forced: readonly number[];
  /** `import_ns=X` of .modinfo, in order. */
  namespaces: readonly string[];
  problems: readonly Diagnostic[];
}

/** Reads them. Markers that name nothing are told in `problems`. */
export function readMarkers(patched: Side, objectName: string): Markers {
  const problems: Diagnostic[] = [];
  const wrong = (section: string, message: string): void =>
    void problems.push(diagnostic('kpatch-marker', message, { object: objectName, section }));
  const sections = markerSections(patched);
  const named = sectionsToIgnore(patched, sections, wrong);
  return {
    ignoredSections: new Set(named.map(({ section }) => section)),
    ignoredNames: named.map(({ name }) => name),
    ignoredFunctions: functionsToIgnore(patched, sections, wrong),
    callbacks: callbackRecords(patched, sections),
    forced: functionsOf(patched, sections, FORCE),
    namespaces: namespacesOf(patched),
    problems,
  };
}

/** Sections by name, in file order. */
type MarkerSections = ReadonlyMap<string, number[]>;

/** The sections that macros and kpatch's tools know. */
function markerSections(patched: Side): MarkerSections {
  const sections = new Map<string, number[]>();
  for (const section of sectionsStarting(patched, '.kpatch.')) {
    const name = patched.object.name(section);
    const list = sections.get(name);
    if (list === undefined) sections.set(name, [section]);
    else list.push(section);
  }
  return sections;
}

function sectionsToIgnore(
  patched: Side,
  sections: MarkerSections,
  wrong: (section: string, message: string) => void,
): Array<{ section: SectionIndex; name: string }> {
  const { object, table } = patched;
  const found: Array<{ section: SectionIndex; name: string }> = [];
  for (const marker of sections.get(IGNORE_SECTIONS) ?? []) {
    for (const { section, place } of tableRelasOf(patched, marker)) {
      const end = section === 0 ? 0 : object.size(section);
      const name =
        place >= 0 && place < end ? object.text(object.offset(section) + place, object.offset(section) + end) : '';
      const [known] = name === '' ? [] : sectionsNamed(patched, name);
      if (known === undefined) {
        wrong(
          IGNORE_SECTIONS,
          `KPATCH_IGNORE_SECTION names ${name === '' ? 'nothing' : name}, which is no section of PATCHED`,
        );
        continue;
      }
      // A rela section stands for what it relocates.
      const base = table.relaSection.indexOf(known);
      found.push({ section: base > 0 ? base : known, name });
    }
  }
  return found;
}

function functionsToIgnore(
  patched: Side,
  sections: MarkerSections,
  wrong: (section: string, message: string) => void,
): number[] {
  const functions = functionsOf(patched, sections, IGNORE_FUNCTIONS);
  const count = (sections.get(IGNORE_FUNCTIONS) ?? []).reduce(
    (sum, section) => sum + tableRelasOf(patched, section).length,
    0,
  );
  if (functions.length < count)
    wrong(IGNORE_FUNCTIONS, 'KPATCH_IGNORE_FUNCTION names something that is no function of PATCHED');
  return functions;
}

/** The functions that a marker's pointers name, canonical. */
function functionsOf(patched: Side, sections: MarkerSections, marker: string): number[] {
  const { table, identity } = patched;
  const functions: SymbolIndex[] = [];
  for (const holder of sections.get(marker) ?? []) {
    for (const { symbol, section, place } of tableRelasOf(patched, holder)) {
      const target = table.has(symbol, Trait.FUNC)
        ? table.canonical[symbol]!
        : section === 0
          ? 0
          : identity.objectAt(section, place);
      if (target !== 0 && table.has(target, Trait.FUNC)) functions.push(target);
    }
  }
  return functions;
}

function callbackRecords(patched: Side, sections: MarkerSections): CallbackRecord[] {
  const { table, identity } = patched;
  const records: CallbackRecord[] = [];
  for (const section of CALLBACK_SECTIONS.flatMap((name) => sections.get(name) ?? []).sort((a, b) => a - b)) {
    const target = tableRelasOf(patched, section).find(({ offset }) => offset % CALLBACK.entsize === CALLBACK.function);
    if (target === undefined) continue;
    const symbol = table.has(target.symbol, Trait.FUNC)
      ? table.canonical[target.symbol]!
      : target.section === 0
        ? 0
        : identity.objectAt(target.section, target.place);
    if (symbol !== 0) records.push({ section, symbol });
  }
  return records;
}

const IMPORT = 'import_ns=';

/** Built-in objects say `object.import_ns=X`, modules `import_ns=X`. */
function namespacesOf(patched: Side): string[] {
  return sectionsNamed(patched, '.modinfo')
    .flatMap((section) => Buffer.from(patched.object.content(section)).toString('latin1').split('\0'))
    .filter((text) => text.includes(IMPORT))
    .map((text) => text.slice(text.indexOf(IMPORT)));
}
