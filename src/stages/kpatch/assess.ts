/**
 * assess in this dialect: which changes count, whether they can go into a patch module, and what extract has to know of them.
 */
import type { Diagnostic } from '../../diagnostics';
import type { Remarks } from '../../livepatch/kpatch/messages';
import { assess, type AssessInput, type Assessment } from '../assess';
import { withoutInstrumentation } from '../assess/instrumentation';
import { foldLabelTables } from '../assess/label-tables';
import { discardedTraits } from '../assess/names';
import { changedTables, withReaders } from '../assess/tables';
import { isWholeKernel } from '../assess/whole-kernel';
import { newGlobalsOf } from './extract';
import { FtraceSites } from '../assess/ftrace-sites';
import { raiseParents, reportedFunctions, untraceable, verdictsThatCount } from './judge';
import { reportUnlikeMake } from './make';
import { readMarkers } from './markers';
import { remarksOf } from './remarks';
import type { KpatchPlan } from './plan';

export interface KpatchAssessment {
  /** Its diagnostics hold `problems`, too, but no remarks. */
  assessment: Assessment;
  plan: KpatchPlan;
  /** Whether nothing would go in. */
  empty: boolean;
  /** What create-diff-object prints a line of; `reportRemarks` makes diagnostics of it. */
  remarks: Remarks;
  /** Refusals for which create-diff-object ends before it names a function. */
  problems: readonly Diagnostic[];
}

/** Judges what compare found. `traceable` counts for a whole kernel and for the functions of a unit, not for their callers. */
export function assessKpatch(given: AssessInput): KpatchAssessment {
  const input = withoutInstrumentation(given);
  const { pairing, orig, patched, objectName, unpaired, traceable } = input;
  const markers = readMarkers(patched, objectName);

  // Only of a whole kernel all callers of a function are known.
  const whole = isWholeKernel(orig);
  const sites = whole && (input.traceKnown || traceable !== undefined) ? undefined : FtraceSites.of(orig);
  const own = verdictsThatCount(patched, foldLabelTables(input), markers);
  // A part of a function may read a table, too.
  const tables = changedTables(input, own, discardedTraits(objectName));
  const all = withReaders(own, tables.readers);
  const { verdicts, parts } =
    sites === undefined ? { verdicts: all, parts: new Set<number>() } : raiseParents(pairing, patched, sites, all);
  const { object, included, ...rest } = assess({
    ...input,
    verdicts,
    tables,
    assumeSites: sites !== undefined,
    unit: !whole,
  });

  const reported = reportedFunctions(pairing, orig, patched, { included, object });
  const newGlobals = newGlobalsOf(patched, unpaired.patched);
  const remarks = remarksOf(patched, unpaired.patched, input.verdicts, markers);
  const problems = [
    ...reportUnlikeMake(orig.object, patched.object),
    ...markers.problems,
    ...(sites === undefined ? [] : untraceable(orig, sites, traceable, reported, objectName)),
  ];
  return {
    assessment: {
      ...rest,
      object,
      included: included.map((entry) => (parts.has(entry.symbol) ? { ...entry, origin: 0 } : entry)),
      diagnostics: [...problems, ...rest.diagnostics],
    },
    plan: { markers, reported, newGlobals, debug: !whole },
    empty: reported.length + newGlobals.length + markers.callbacks.length === 0,
    remarks,
    problems,
  };
}
