/**
 * assess: can the changes go into a livepatch, and what else must come along?
 *
 * The last stage that looks at both builds. It turns verdicts on pairs into lists of functions and data, takes callers
 * of functions that cannot be redirected, follows what included code reaches, and refuses whatever would load but not
 * work. Every reason is collected; none ends the run.
 */
import type { Offset, SymbolIndex } from '../../elf';
import { diagnostic, isRefused, type Diagnostic } from '../../diagnostics';
import { EVIDENCE, RULES, namesOf, type Pairing } from '../correlate';
import type { Verdict } from '../compare';
import type { Side } from '../side/side';
import { meet } from '../places';
import { Trait } from '../scan';
import { Bodies } from './bodies';
import { carryCallers } from './carry';
import { refuseAnchors } from './anchors';
import { reportEncodings } from './encoding';
import { withoutInstrumentation } from './instrumentation';
import { foldJumpers } from './jumped-pieces';
import { foldLabelTables, refuseSharedTables } from './label-tables';
import { reportLosses } from './losses';
import { discardedTraits, plain, unitNameOf } from './names';
import { withOwnedPieces } from './owned-differences';
import { Pieces, foldPieces } from './pieces';
import { reportOtherKernel } from './one-kernel';
import { checkReach } from './reach';
import { reportNothingRedirected } from './redirects';
import { reportRelease } from './release';
import { refuseSplitVariables } from './split-variables';
import { storeTo } from './set-data';
import { reportStaticsAnew } from './statics-anew';
import { changedTables, withReaders } from './tables';
import { refuseChangedTypes } from './type-hashes';
import { assessUncovered } from './uncovered';
import type { AssessInput, Assessment, ChangedFunction, IncludedFunction, ObjectResult } from './types';
import { withTwinRemedy } from './twin-remedy';
import { refuseUnlikeBuilds } from './unlike-builds';
import { listUnpaired, newFunctions, wantedVariables } from './unpaired';
import { reachedUnseen } from './unseen';
import { isUnit } from './whole-kernel';
import { append, moveToFront } from '../../lists';

export { reportLosses } from './losses';
export type { SetData } from './set-data';
export { profileEvidence, reportProfiles, type ProfileEvidence } from './profile';
export type {
  AssessInput,
  Assessment,
  CarriedFunction,
  ChangedFunction,
  IncludedFunction,
  ObjectResult,
  PlainSymbol,
} from './types';

export function assess(given: AssessInput): Assessment {
  const input = withoutInstrumentation(given);
  const { pairing, orig, patched, objectName } = input;
  const diagnostics: Diagnostic[] = [];
  meet(pairing, orig, patched);
  const refuse = (
    code: Parameters<typeof diagnostic>[0],
    message: string,
    side: Side,
    symbol: SymbolIndex,
    offset?: Offset,
  ): void => {
    diagnostics.push(
      diagnostic(code, message, {
        object: objectName,
        section: side.sectionName(symbol),
        symbol: side.name(symbol),
        ...(offset === undefined ? {} : { offset }),
      }),
    );
  };
  const discarded = discardedTraits(objectName);
  const setData = new Map((input.setData ?? []).map((one) => [one.name, one]));
  const losses = (): readonly Diagnostic[] => input.losses ?? reportLosses(input);

  const result: ObjectResult = {
    name: objectName,
    functions: { changed: [], new: [], removed: [], carried: [], ignored: [] },
    data: { changed: [], new: [], removed: [], ignored: [] },
    ambiguous: input.ambiguous
      .filter(({ used }) => used)
      .map((group) => ({
        orig: group.orig.map((s) => orig.name(s)),
        patched: group.patched.map((s) => patched.name(s)),
      })),
  };

  const counted = foldLabelTables(input);
  const tables = input.tables ?? changedTables(input, counted, discarded);
  const pieces = new Pieces(patched);
  const folded = foldPieces({ ...input, verdicts: withOwnedPieces(input, withReaders(counted, tables.readers)) });
  const verdicts = foldJumpers(input, folded, pieces);
  /** Pairs of functions that changed. */
  const changed: Verdict[] = [];
  for (const verdict of verdicts) {
    const { orig: a, patched: b, first } = verdict;
    const isFunction = !orig.table.has(a, Trait.OBJECT);
    if (verdict.status === 'ignored') {
      (isFunction ? result.functions : result.data).ignored.push({ name: orig.name(a), class: verdict.class as never });
    } else if (verdict.status === 'changed' && isFunction) {
      changed.push(verdict);
      result.functions.changed.push(changedFunction(pairing, orig, patched, verdict));
      if (orig.table.has(a, discarded) || patched.table.has(b, discarded)) {
        refuse(
          'init-change',
          `${orig.name(a)} changed, but its section ${orig.sectionName(a)} is gone from the running kernel`,
          orig,
          a,
          first?.offset,
        );
      }
    } else if (verdict.status === 'changed') {
      result.data.changed.push({ ...plain(orig, a), first, change: verdict.change ?? null });
      const why = tables.refused.get(a);
      if (orig.table.has(a, discarded))
        refuse(
          'init-change',
          `${orig.name(a)} changed, but its section ${orig.sectionName(a)} is gone from the running kernel`,
          orig,
          a,
          first?.offset,
        );
      else if (setData.has(orig.name(a))) {
        const store = storeTo(orig, a, setData.get(orig.name(a))!);
        if (store !== undefined)
          refuse(
            'set-data',
            `${orig.name(a)} cannot be set: ${orig.name(store.user)} writes to it at +0x${store.at.toString(16)}, so that it holds run-time state`,
            orig,
            a,
            store.at,
          );
      } else if (!tables.copied.has(b))
        refuse(
          'changed-data',
          `the initial value of ${orig.name(a)} changed${why === undefined ? '' : `, and ${why}`}`,
          orig,
          a,
          first?.offset,
        );
    }
  }

  for (const symbol of input.lineOnly) {
    (orig.table.has(symbol, Trait.OBJECT) ? result.data : result.functions).ignored.push({
      name: orig.name(symbol),
      class: 'line',
    });
  }
  const undecided = new Set(input.ambiguous.flatMap((group) => group.patched));
  const undecidedOrig = new Set(input.ambiguous.flatMap((group) => group.orig));
  const fresh = newFunctions(input, undecided).filter((symbol) => pieces.parentOf(symbol) === 0);
  for (const symbol of fresh) {
    result.functions.new.push(plain(patched, symbol));
    if (patched.table.has(symbol, discarded))
      refuse(
        'init-change',
        `new function ${patched.name(symbol)} lies in ${patched.sectionName(symbol)}, which the running kernel no longer executes`,
        patched,
        symbol,
      );
  }
  listUnpaired(input, result, undecided, undecidedOrig);
  append(diagnostics, reportRelease(input));
  const otherKernel = reportOtherKernel(input, result);
  if (otherKernel !== undefined)
    return {
      object: result,
      included: [],
      brought: [],
      undecided: [...undecided],
      copied: [],
      diagnostics: [otherKernel, ...losses()],
    };

  for (const group of input.ambiguous) {
    // Ambiguous data matters only where included code reaches it.
    // A piece is told by its function.
    if (patched.table.has(group.patched[0]!, Trait.OBJECT | Trait.COLD)) continue;
    const symbol = group.patched[0]!;
    refuse(
      'ambiguous-twin',
      `${group.orig.length} functions in ORIG and ${group.patched.length} in PATCHED share the name ${patched.name(symbol)}, at least one changed, and nothing tells which`,
      patched,
      symbol,
    );
  }

  for (const symbol of input.contradicted) {
    const code = orig.table.has(symbol, Trait.OBJECT) ? 'ambiguous-data' : 'ambiguous-twin';
    refuse(
      code,
      `functions that are otherwise unchanged disagree about which ${orig.name(symbol)} is which: at least one refers to another than before`,
      orig,
      symbol,
    );
  }

  const bodies = new Bodies(
    pairing,
    changed,
    (symbol) => reachedUnseen(patched, new Set([symbol]), isUnit(input)).size > 0,
  );
  const included = new Set([...changed.map(({ patched: symbol }) => symbol), ...fresh]);
  const { origins, spared } = carryCallers(
    input,
    changed,
    { bodies, pieces, discarded },
    { included, result, diagnostics },
  );
  for (const symbol of spared) included.delete(symbol);
  const carried = new Set(result.functions.carried.map(({ name }) => name));
  result.functions.ignored = result.functions.ignored.filter(({ name }) => !carried.has(name));
  for (const symbol of [...included]) for (const piece of pieces.of(symbol)) included.add(piece);
  const brought = wantedVariables(input, undecided);
  const known = { pieces, undecided, copied: tables.copied, discarded, brought };
  const reached = checkReach(input, included, known, diagnostics);
  append(diagnostics, [...reportStaticsAnew(input, reached), ...refuseSplitVariables(input, reached)]);
  refuseSharedTables(input, included, discarded, diagnostics);
  append(diagnostics, assessUncovered(input, included, discarded));
  if (included.size + brought.length > 0) {
    append(diagnostics, [
      ...refuseUnlikeBuilds(input),
      ...refuseChangedTypes(input, included),
      ...reportEncodings(input, included),
      ...refuseAnchors(input, included),
    ]);
    for (const { section, bytes } of input.unknownSizes) {
      diagnostics.push(
        diagnostic('special-entry-size', `no known entry size fits the ${bytes} bytes of ${section}`, {
          object: objectName,
          section,
        }),
      );
    }
    append(diagnostics, losses());
  }
  const functions = [...included].sort((a, b) => a - b).map((symbol) => includedFunction(symbol, origins.get(symbol)));
  append(diagnostics, reportNothingRedirected(input, functions, isRefused(diagnostics)));
  return {
    object: result,
    included: functions,
    brought,
    undecided: [...undecided],
    copied: [...tables.copied].sort((a, b) => a - b),
    diagnostics: diagnostics.map((told) => withTwinRemedy(input, told)),
  };
}

function includedFunction(symbol: SymbolIndex, [origin = 0, ...further]: readonly number[] = []): IncludedFunction {
  return { symbol, origin, ...(further.length === 0 ? {} : { further }) };
}

function changedFunction(pairing: Pairing, orig: Side, patched: Side, verdict: Verdict): ChangedFunction {
  const { orig: a, patched: b } = verdict;
  // Names of the body that lead to this twin: one body can have become two.
  const section = orig.sectionName(a);
  const names = namesOf(orig.table, a).filter(
    (symbol) => pairing.twin[symbol] !== 0 && patched.table.canonical[pairing.twin[symbol]!] === b,
  );
  // The compiler named the section after the function that it wrote (`.text.__se_sys_newuname`); the others are aliases.
  const own = names.findIndex((symbol) => section.endsWith(`.${orig.name(symbol)}`));
  if (own > 0) moveToFront(names, own);
  const paired = names[0] ?? a;
  const name = orig.name(paired);
  const patchedName = names.length === 0 ? patched.name(b) : patched.name(pairing.twin[paired]!);
  const aliases = names.slice(1).map((symbol) => orig.name(symbol));
  const rule = RULES[pairing.rule[paired]!]!;
  return {
    name,
    ...(patchedName === name ? {} : { patchedName }),
    ...(aliases.length === 0 ? {} : { aliases }),
    file: unitNameOf(orig, a),
    section,
    size: { orig: orig.table.size[a]!, patched: patched.table.size[b]! },
    class: verdict.class as ChangedFunction['class'],
    first: verdict.first,
    change: verdict.change ?? null,
    pairedBy: { rule, evidence: EVIDENCE[rule] },
  };
}
