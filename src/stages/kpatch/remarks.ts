import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { Remarks } from '../../livepatch/kpatch/messages';
import { isOwnSection } from '../../livepatch/kpatch/names';
import type { Verdict } from '../compare';
import type { Side } from '../side/side';
import { referencesIn } from '../extract/resolve';
import { Trait } from '../scan';
import { ownName } from './judge';
import type { Markers } from './markers';
import { refersTo } from '../assess/side-relas';

/** What is worth a line besides the functions. `unpaired` are symbols that only PATCHED has. */
export function remarksOf(
  patched: Side,
  unpaired: readonly number[],
  verdicts: readonly Verdict[],
  { ignoredNames, ignoredFunctions, callbacks, forced }: Markers,
): Remarks {
  const changed = new Set(verdicts.filter(({ status }) => status === 'changed').map(({ patched: symbol }) => symbol));
  return {
    newStatic: newStatic(patched, unpaired),
    ignoredSections: ignoredNames,
    ignoredFunctions: ignoredFunctions.map((symbol) => ({ name: patched.name(symbol), changed: changed.has(symbol) })),
    callbacks: callbacks.map(({ symbol }) => patched.name(symbol)),
    forced: forced.map((symbol) => patched.name(symbol)),
  };
}

/** The same as diagnostics: they change no verdict. `told` are those that there are already: of a variable that starts anew assess may know more. */
export function reportRemarks(
  { newStatic: fresh, ignoredSections, ignoredFunctions, callbacks, forced }: Remarks,
  objectName: string,
  told: readonly Diagnostic[],
): Diagnostic[] {
  const isTold = (name: string): boolean =>
    told.some(({ code, where }) => code === 'new-static-local' && where.symbol === name);
  const marked = (message: string, where: { section?: string; symbol?: string }): Diagnostic =>
    diagnostic('kpatch-marked', message, { object: objectName, ...where });
  return [
    ...(fresh === null || isTold(fresh.name)
      ? []
      : [
          diagnostic(
            'new-static-local',
            `${fresh.user} has the static local variable ${fresh.name}, which nothing in ORIG is: it counts as new and starts anew`,
            { object: objectName, symbol: fresh.name },
          ),
        ]),
    ...ignoredSections.map((name) =>
      marked(`changes of ${name} do not count: KPATCH_IGNORE_SECTION`, { section: name }),
    ),
    ...ignoredFunctions.map(({ name, changed }) =>
      marked(`changes of ${name} do not count: KPATCH_IGNORE_FUNCTION${changed ? '' : '; there is none'}`, {
        symbol: name,
      }),
    ),
    ...callbacks.map((name) => marked(`${name} is a callback`, { symbol: name })),
    ...forced.map((name) => marked(`${name} may be replaced while it runs: KPATCH_FORCE_UNSAFE`, { symbol: name })),
  ];
}

/**
 * The first static local variable that only PATCHED has, in the order in which PATCHED's code refers to them: an author who did
 * not add one knows then that its value starts anew.
 */
function newStatic(patched: Side, unpaired: readonly number[]): Remarks['newStatic'] {
  const { table } = patched;
  const fresh = new Set(
    unpaired.filter(
      (symbol) => table.has(symbol, Trait.OBJECT) && table.isLocal(symbol) && /^[^.].*\./.test(patched.name(symbol)),
    ),
  );
  if (fresh.size === 0) return null;
  const homes = new Set([...fresh].map((symbol) => table.section[symbol]!));
  for (let section = 1; section < table.sections; section++) {
    // Compilers name a local by its section: only a closer look tells which one is meant.
    if (
      table.relaSection[section] === 0 ||
      !refersTo(patched, section, homes) ||
      patched.object.name(section).startsWith('.debug_')
    )
      continue;
    const found = referencesIn(patched, { section, start: 0, end: patched.object.size(section) }).find(
      (reference) => reference.kind === 'symbol' && fresh.has(reference.symbol),
    );
    if (found?.kind !== 'symbol') continue;
    const user = patched.identity.objectAt(section, found.field);
    const name = user === 0 ? '' : patched.name(ownName(patched, user));
    return {
      name: patched.name(found.symbol),
      user: isOwnSection(patched.object.name(section), name) ? name : patched.object.name(section),
    };
  }
  return null;
}
