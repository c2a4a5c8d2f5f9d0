import { diagnostic, type Diagnostic, type DiagnosticCode } from '../../diagnostics';
import { SectionClass } from '../../livepatch/section-class';
import { isRewritablePointer, runtimeConstantOf } from '../../livepatch/runtime-constants';
import { RUNTIME_SPECIAL } from '../../livepatch/special-sections';
import { entriesOf } from '../compare/entries';
import { Kind, Trait } from '../scan';
import { originOf } from './carry';
import { referencesFrom, type Reference } from './references';
import type { AssessInput } from './index';

/**
 * Follows what included code reaches, through new data, and refuses what would not work in a module.
 *
 * Every problem is reported once, at the first reference that meets it.
 */
export function checkReach(input: AssessInput, included: ReadonlySet<number>, undecided: ReadonlySet<number>, discarded: number, diagnostics: Diagnostic[]): void {
  const { patched, objectName } = input;
  const { table } = patched;
  const told = new Set<string>();
  const refuse = (code: DiagnosticCode, from: number, at: number, about: string, message: string): void => {
    if (told.has(`${code}:${about}`)) return;
    told.add(`${code}:${about}`);
    diagnostics.push(diagnostic(code, message, { object: objectName, section: patched.sectionName(from), symbol: about, offset: at }));
  };

  const queue = [...included];
  const seen = new Set(queue);
  for (let from = queue.shift(); from !== undefined; from = queue.shift()) {
    const start = table.value[from]!;
    const name = patched.name(from);
    for (const reference of referencesFrom(patched, table.section[from]!, start, start + table.size[from]!)) {
      const { symbol, at } = reference;
      if (symbol === 0) {
        const section = reference.section;
        if (section < table.sections && table.sectionClass[section]! & discardedClass(discarded)) {
          refuse('init-change', from, at, patched.object.name(section), `${name} refers to ${patched.object.name(section)}, which is gone from the running kernel`);
        }
        continue;
      }
      if (seen.has(symbol)) continue;
      if (undecided.has(symbol)) {
        const code = table.has(symbol, Trait.FUNC) ? 'ambiguous-twin' : 'ambiguous-data';
        refuse(code, from, at, patched.name(symbol), `${name} refers to ${patched.name(symbol)}, and nothing tells which one of ORIG that is`);
        continue;
      }
      const twin = originOf(input, symbol);
      if (twin !== 0) checkExisting(input, from, reference, twin, discarded, refuse);
      else if (isNewData(table.kind[symbol]!, table.traits[symbol]!)) {
        seen.add(symbol);
        queue.push(symbol);
      }
    }
    if (table.has(from, Trait.FUNC)) checkRuntimeConstants(input, from, refuse);
  }
}

type Refuse = (code: DiagnosticCode, from: number, at: number, about: string, message: string) => void;

function checkExisting({ orig, patched }: AssessInput, from: number, { at, branch }: Reference, twin: number, discarded: number, refuse: Refuse): void {
  const about = orig.name(twin);
  const name = patched.name(from);
  if (orig.table.has(twin, discarded) && !patched.table.has(from, discarded)) {
    refuse('init-change', from, at, about, `${name} refers to ${about} in ${orig.sectionName(twin)}, which is gone from the running kernel`);
  }
  // Direct calls need no ENDBR; an address that is kept will be called indirectly.
  if (!branch && orig.table.has(twin, Trait.SEALED) && orig.table.has(twin, Trait.FUNC)) {
    refuse('sealed-endbr', from, at, about, `${name} takes the address of ${about}, whose ENDBR the running kernel removed at boot`);
  }
}

/** Data that has to come along: it exists in PATCHED only, or is private to each build. */
function isNewData(kind: number, traits: number): boolean {
  return (traits & Trait.OBJECT) !== 0 && (kind === Kind.NAMED || kind === Kind.CONTENT || kind === Kind.PRIVATE || kind === Kind.PLACE) && (traits & Trait.CONTENT) !== 0;
}

function discardedClass(discarded: number): number {
  return (discarded & Trait.INIT ? SectionClass.INIT : 0) | (discarded & Trait.EXIT ? SectionClass.EXIT : 0);
}

/** Constants that boot code fills in: a pointer can be turned into a load, a shift cannot. */
function checkRuntimeConstants({ patched }: AssessInput, symbol: number, refuse: Refuse): void {
  for (const entry of entriesOf(patched, symbol)) {
    if (entry.table.special !== RUNTIME_SPECIAL) continue;
    const constant = runtimeConstantOf(patched.object.name(entry.table.section))!;
    const name = patched.name(symbol);
    if (constant.kind === 'shift') {
      refuse('runtime-constant', symbol, entry.site, name, `${name} shifts by ${constant.variable}, a count that the kernel writes into its own code at boot`);
    } else if (!isRewritablePointer(patched.bytes(symbol), entry.site)) {
      refuse('runtime-constant', symbol, entry.site, name, `${name} holds ${constant.variable} in an instruction that cannot be turned into a load`);
    }
  }
}
