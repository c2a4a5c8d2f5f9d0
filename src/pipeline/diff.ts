/**
 * The flow of one pair of objects, from two paths to a verdict. Each stage is one call; a stage that needs both objects
 * waits for both, everything before it runs side by side.
 */
import { forkJoin, from, lastValueFrom, map, mergeMap, toArray } from 'rxjs';
import { KlpflowError, diagnostic, isAllowable, type Diagnostic } from '../diagnostics';
import { fileIdentity, sameIdentity } from '../elf';
import type { Assessment, ObjectResult } from '../stages/assess';
import { candidates, namesakesLeft, type Verdict } from '../stages/compare';
import { correlate, pairByName, type Correlation, type NamePairs } from '../stages/correlate';
import { ScanTable, USE_WORDS } from '../stages/scan';
import type { KlpSymbolReport } from '../stages/extract';
import { Extract, inputFile, type Extracted } from './extract';
import { Flow, type RunOptions } from './flow';
import { recordOutcome, reuseOutcome } from './outcome';
import { writeLivepatch, type OutputReport, type OutputRequest } from './output';
import { identify$, scan$, type Identified, type Scanned } from './scan';
import { diffTrees } from './tree';
import { isFolder } from './tree-files';
import type { Explanation, ObjectRef, PairRef, RunReport } from './types';

export interface PairRequest extends RunOptions {
  orig: string;
  patched: string;
}

export interface DiffRequest extends PairRequest {
  /** Name of the patched object; default `vmlinux`. */
  module?: string;
  /** `CODE` or `CODE:SYMBOL` of refusals to turn into warnings. */
  allow?: readonly string[];
  /** The running kernel's list of functions that can be traced (`available_filter_functions`); default: what ORIG says. */
  ftrace?: string | undefined;
  /** The livepatch to write; without it there is only the report. */
  output?: OutputRequest;
}

export interface DiffResult {
  schema: 'klpflow/diff@1';
  verdict: 'patchable' | 'refused' | 'unchanged';
  objects: Array<ObjectResult & { klpSymbols: KlpSymbolReport[] }>;
  diagnostics: Diagnostic[];
  output: OutputReport | null;
  run: RunReport;
}

type Findings = Pick<DiffResult, 'objects' | 'diagnostics'>;

/** Compares two objects. @throws KlpflowError what ends a run: unreadable or malformed input, no space, an interruption */
export async function diff(request: DiffRequest): Promise<DiffResult> {
  if (isFolder(request.orig) && isFolder(request.patched)) return diffFolders(request);
  return withFlow(request, async (flow) => {
    // Both inputs first: most errors of a command line show here, before any work.
    const [orig, patched] = await identifyBoth(flow, request);
    if (orig.digest === patched.digest) return finish(flow, unchanged(request));

    // A pair that was compared before, whatever its files are called now, is read back, and so is a livepatch that was made of it.
    const extract = request.output === undefined ? undefined : new Extract(flow, orig, patched, request.output, optionsOf(request));
    const known = await reuseOutcome<Findings>(flow, orig, patched, optionsOf(request));
    if (known !== undefined) {
      const made = await extract?.reuse();
      if (extract === undefined || made !== undefined || !hasChanges(known)) return output(flow, request, known, made);
    }

    // What is in each object? ORIG's scan is kept for every later patch.
    const scans = await scanBoth(flow, orig, patched);
    checkUnchanged(orig, patched);

    // Which symbol is which? Needs both tables whole, and little time: it runs here while the threads load the decoder.
    const { correlation, pair } = correlateBoth(flow, scans);

    // What changed? Only pairs that digests do not prove equal are looked at.
    const { verdicts, lineOnly } = await compareCandidates(flow, correlation, pair);

    // Can it go into a livepatch? Looks at all changes together, so it comes last.
    const { assessment, findings } = await assessAll(flow, request, scans, correlation, pair, verdicts, lineOnly);
    checkUnchanged(orig, patched);
    await recordOutcome(flow, orig, patched, optionsOf(request), findings);

    // What must go in? Only where a livepatch is asked for; it collects its own refusals.
    const made = assessment.included.length === 0 ? undefined : await extract?.make(pair, assessment);
    checkUnchanged(orig, patched);

    // Nothing is refused: the object is written, or linked into a module.
    return output(flow, request, findings, made);
  });
}

/** Compares two folders of objects, each pair of files by itself. */
async function diffFolders(request: DiffRequest): Promise<DiffResult> {
  if (request.output !== undefined) throw new KlpflowError('usage', `-o ${request.output.path}: a livepatch is made of two objects, not of folders`);
  return withFlow(request, async (flow) => {
    const { objects, diagnostics, inputs } = await diffTrees(flow, request, optionsOf(request));
    checkUnchanged(...inputs);
    return finish(flow, { objects: objects.map((object) => ({ ...object, klpSymbols: [] })), diagnostics: diagnostics.map((entry) => allowed(entry, request.allow ?? [])) });
  });
}

/** Explains one symbol of a pair: the same flow, with one pair at its end. */
export async function explain(request: PairRequest & { symbol: string; context: number }): Promise<Explanation> {
  return withFlow(request, async (flow) => {
    const [orig, patched] = await identifyBoth(flow, request);
    const scans = await scanBoth(flow, orig, patched);
    const { pair } = correlateBoth(flow, scans);
    const explanation = await lastValueFrom(
      flow.task('assess', null, 'explain', { pair, symbol: request.symbol, context: request.context }, () => ({ items: 1, bytes: 0 })),
    );
    checkUnchanged(orig, patched);
    return explanation;
  });
}

/** What `correlate` found, in numbers and names. */
export interface CorrelateResult {
  schema: 'klpflow/correlate@1';
  paired: Record<string, number>;
  candidates: number;
  ambiguous: number;
  units: { removed: number; added: number };
  run: RunReport;
}

/** Runs the stages up to correlate. */
export async function correlateObjects(request: PairRequest): Promise<CorrelateResult> {
  return withFlow(request, async (flow) => {
    const [orig, patched] = await identifyBoth(flow, request);
    const scans = await scanBoth(flow, orig, patched);
    const { correlation } = correlateBoth(flow, scans);
    checkUnchanged(orig, patched);
    const { pairing, ambiguous, units } = correlation;
    return {
      schema: 'klpflow/correlate@1',
      paired: pairing.counts(),
      candidates: candidates(correlation).pairs.length / 2,
      ambiguous: ambiguous.length,
      units: { removed: units.removed.length, added: units.added.length },
      run: report(flow),
    };
  });
}

export interface ScanResult {
  schema: 'klpflow/scan@1';
  object: { path: string; digest: string; bytes: number; symbols: number; sections: number; machine: number; littleEndian: boolean };
  /** References to names that are not unique. */
  uses: number;
  unknownEntrySizes: Array<{ section: string; bytes: number }>;
  run: RunReport;
}

/** Scans one object into the run directory. */
export async function scanObject(request: RunOptions & { object: string }): Promise<ScanResult> {
  const { object: path } = request;
  return withFlow(request, async (flow) => {
    const identified = await lastValueFrom(identify$(flow, path));
    const scanned = await lastValueFrom(scan$(flow, identified));
    checkUnchanged(identified);
    return {
      schema: 'klpflow/scan@1',
      object: {
        path, digest: identified.digest, bytes: identified.identity.size, ...scanned.ref.table.shape, machine: identified.machine, littleEndian: identified.little,
      },
      uses: scanned.uses.length / USE_WORDS,
      unknownEntrySizes: scanned.unknownSizes,
      run: report(flow),
    };
  });
}

async function withFlow<T>(request: RunOptions, work: (flow: Flow) => Promise<T>): Promise<T> {
  const flow = new Flow(request);
  try {
    const result = await work(flow);
    // Asked to stop during the last task: all is recorded, and who asked is answered.
    flow.checkStopped();
    return result;
  } finally {
    // Whatever happened, tasks under way finish and record: the next run goes on from there.
    await flow.close();
    request.trace?.(flow.pool.done);
  }
}

async function identifyBoth(flow: Flow, { orig, patched }: PairRequest): Promise<[Identified, Identified]> {
  // Both are waited for, so that of two errors it is always ORIG's that is told.
  const [first, second] = await Promise.allSettled([lastValueFrom(identify$(flow, orig)), lastValueFrom(identify$(flow, patched))]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  const [a, b] = [first.value, second.value];
  if (a.machine !== b.machine || a.little !== b.little) {
    const what = a.machine !== b.machine ? `processors ${a.machine} and ${b.machine}` : 'different byte orders';
    throw new KlpflowError('machine-mismatch', `${orig} and ${patched} are for ${what}`, { object: patched });
  }
  return [a, b];
}

interface BothScanned {
  orig: Scanned;
  patched: Scanned;
  named: NamePairs | undefined;
}

/** Scans both objects. As soon as both tables are there this thread pairs names, while the others make the digests. */
async function scanBoth(flow: Flow, orig: Identified, patched: Identified): Promise<BothScanned> {
  const tables: { orig?: ScanTable; patched?: ScanTable } = {};
  let named: NamePairs | undefined;
  const tableDone = (side: 'orig' | 'patched') => ({ table }: ObjectRef): void => {
    tables[side] = new ScanTable(table.shape, table.memory);
    const { orig: a, patched: b } = tables;
    if (a === undefined || b === undefined) return;
    try {
      named = flow.progress.onMain('correlate', () => pairByName(a, b));
    } catch {
      // Nobody waits for this: `correlate` does it itself, and meets the same error where it is told.
    }
  };
  const [a, b] = await lastValueFrom(forkJoin([scan$(flow, orig, tableDone('orig')), scan$(flow, patched, tableDone('patched'))]));
  return { orig: a, patched: b, named };
}

function correlateBoth(flow: Flow, { orig, patched, named }: BothScanned): { correlation: Correlation; pair: PairRef } {
  flow.checkStopped();
  flow.pool.warm();
  const correlation = flow.progress.onMain('correlate', () => correlate(
    { table: named?.pairing.orig ?? new ScanTable(orig.ref.table.shape, orig.ref.table.memory), uses: orig.uses },
    { table: named?.pairing.patched ?? new ScanTable(patched.ref.table.shape, patched.ref.table.memory), uses: patched.uses },
    named,
  ));
  flow.progress.step('correlate', null, false, null, { items: correlation.pairing.orig.symbols, bytes: 0 });
  const { twin, origin, rule } = correlation.pairing;
  const pair: PairRef = {
    id: `${orig.ref.table.id}+${patched.ref.table.id}`, orig: orig.ref, patched: patched.ref,
    twin: twin.buffer, origin: origin.buffer, rule: rule.buffer, structSizes: flow.structSizes,
  };
  return { correlation, pair };
}

/** Pairs a task: some milliseconds of decoding, so that a big change spreads over the threads. */
const PAIRS_A_TASK = 64;

async function compareCandidates(flow: Flow, correlation: Correlation, pair: PairRef): Promise<{ verdicts: Verdict[]; lineOnly: number[] }> {
  // Names that are left over on both sides are not the same thing; their users need a look although their digests agree.
  const namesakes = namesakesLeft(correlation);
  const suspects = namesakes.size === 0 ? [] : (await lastValueFrom(flow.task('compare', null, 'users', { object: pair.orig, targets: [...namesakes] }, () => ({ items: 0, bytes: 0 })))).users;
  const { pairs, lineOnly } = candidates(correlation, new Set(suspects));
  if (pairs.length === 0) return { verdicts: [], lineOnly };
  const starts = Array.from({ length: Math.ceil(pairs.length / (PAIRS_A_TASK * 2)) }, (_, i) => i * PAIRS_A_TASK * 2);
  flow.progress.expect('compare', null, starts.length);
  return lastValueFrom(
    from(starts).pipe(
      mergeMap((start) => {
        const part = pairs.slice(start, start + PAIRS_A_TASK * 2);
        return flow.task('compare', null, 'compare', { pair, pairs: part }, () => ({ items: part.length / 2, bytes: 0 })).pipe(map(({ verdicts }) => ({ start, verdicts })));
      }, flow.pool.inFlight),
      toArray(),
      map((done) => ({ verdicts: done.sort((a, b) => a.start - b.start).flatMap(({ verdicts }) => verdicts), lineOnly })),
    ),
  );
}

async function assessAll(flow: Flow, request: DiffRequest, scans: BothScanned, { ambiguous, contradicted, unpaired, units }: Correlation, pair: PairRef, verdicts: Verdict[], lineOnly: number[]): Promise<{ assessment: Assessment; findings: Findings }> {
  const assessment = await lastValueFrom(
    flow.task('assess', null, 'assess', { pair, verdicts, ambiguous, contradicted, unpaired, lineOnly, traceKnown: scans.orig.traceKnown, ftrace: request.ftrace === undefined ? null : inputFile(request.ftrace), objectName: request.module ?? 'vmlinux', unknownSizes: scans.patched.unknownSizes }, () => ({ items: verdicts.length, bytes: 0 })),
  );
  const { object, diagnostics } = assessment;
  const all = [...diagnostics];
  if (units.removed.length + units.added.length > 0) {
    all.push(diagnostic('unit-mismatch', `${units.removed.length} compilation units of ORIG and ${units.added.length} of PATCHED have no counterpart`, { object: object.name }));
  }
  return { assessment, findings: { objects: [{ ...object, klpSymbols: [] }], diagnostics: all.map((entry) => allowed(entry, request.allow ?? [])) } };
}

/** Adds what extract found to the report, and writes the livepatch if nothing is refused. */
async function output(flow: Flow, request: DiffRequest, { objects, diagnostics }: Findings, made: Extracted | undefined): Promise<DiffResult> {
  if (request.output === undefined || made === undefined) return finish(flow, { objects, diagnostics });
  const findings = {
    objects: objects.map((object) => ({ ...object, klpSymbols: made.findings.klpSymbols })),
    diagnostics: [...diagnostics, ...made.findings.diagnostics.map((entry) => allowed(entry, request.allow ?? []))],
  };
  if (isRefused(findings)) return finish(flow, findings);
  flow.checkStopped();
  const written = await writeLivepatch(flow, request.output, made.object);
  return finish(flow, { ...findings, diagnostics: [...findings.diagnostics, ...written.diagnostics] }, written.output);
}

function isRefused({ diagnostics }: Pick<Findings, 'diagnostics'>): boolean {
  return diagnostics.some(({ severity }) => severity === 'refusal');
}

function hasChanges({ objects }: Findings): boolean {
  return objects.some(({ functions }) => functions.changed.length + functions.new.length > 0);
}

/** Turns a refusal that the user allowed by name into a warning. */
function allowed(entry: Diagnostic, allow: readonly string[]): Diagnostic {
  const named = allow.includes(entry.code) || allow.includes(`${entry.code}:${entry.where.symbol ?? ''}`);
  return named && entry.severity === 'refusal' && isAllowable(entry.code) ? { ...entry, severity: 'warning' } : entry;
}

function unchanged({ module: name = 'vmlinux' }: DiffRequest): Findings {
  const none = { changed: [], new: [], removed: [], ignored: [] };
  return {
    objects: [{ name, functions: { ...none, carried: [] }, data: { ...none }, ambiguous: [], klpSymbols: [] }],
    diagnostics: [diagnostic('shared-input', 'the two files have the same content', { object: name })],
  };
}

function finish(flow: Flow, findings: Findings, written: OutputReport | null = null): DiffResult {
  const verdict = isRefused(findings) ? 'refused' : hasChanges(findings) ? 'patchable' : 'unchanged';
  return { schema: 'klpflow/diff@1', verdict, ...findings, output: written, run: report(flow) };
}

function report(flow: Flow): RunReport {
  return { ...flow.times(), peakAnonBytes: flow.pool.peakAnonBytes, workers: flow.pool.workers, runDir: flow.runDir.path };
}

/** What an outcome depends on besides the two contents. */
function optionsOf({ module = 'vmlinux', allow = [], structSizes = {}, ftrace }: DiffRequest): object {
  return { module, allow: [...new Set(allow)].sort(), structSizes, ...(ftrace === undefined ? {} : { ftrace: fileIdentity(ftrace) }) };
}

/** @throws KlpflowError `input-changed` */
function checkUnchanged(...inputs: readonly Identified[]): void {
  for (const { path, identity } of inputs) {
    if (!sameIdentity(fileIdentity(path), identity)) throw new KlpflowError('input-changed', `${path} changed during the run`, { object: path });
  }
}
