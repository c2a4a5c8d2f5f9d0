/**
 * The flow of one pair of objects, from two paths to a verdict. Each stage is one call; a stage that needs both objects
 * waits for both, everything before it runs side by side.
 */
import { setImmediate } from 'node:timers/promises';
import { forkJoin, lastValueFrom } from 'rxjs';
import { KlpflowError, diagnostic, isAllowable, isRefused, type Diagnostic } from '../diagnostics';
import { tellProfiles, type ObjectResult } from '../stages/assess';
import { FORMATS } from '../livepatch/formats';
import type { Correlation } from '../stages/correlate';
import { tellTwins, type DeclaredTwin } from '../stages/declared-twins';
import type { KlpSymbolReport } from '../stages/extract';
import { optionsOf, resolved, type DiffRequest, type Resolved } from './diff-options';
import { Extract, type Extracted, type KernelFiles } from './extract';
import { checkOutput, checkUnchanged, inputFiles, watched } from './files';
import type { Flow } from './flow';
import { GivenKernel, checkGiven, type KernelSources } from './kernel';
import { givenName, objectName, type ObjectName } from './object-name';
import { recordOutcome, reuseOutcome } from './outcome';
import { isOfFolders, writeLivepatch, type OutputReport } from './output';
import { compareAll, correlateBoth, gapsOfBoth, identifyBoth, scanBoth, type BothScanned, type Compared } from './pair';
import { rehearse } from './rehearsal';
import { report, withFlow } from './run';
import { diffTrees, type TreeLivepatch } from './tree';
import { isFolder } from './tree-files';
import { checkOutputFolder, writeUnits } from './tree-output';
import type { InputFile, Judgement, PairRef, RunReport } from './types';
import { append } from '../lists';

export interface DiffResult {
  schema: 'klpflow/diff@1';
  verdict: 'patchable' | 'refused' | 'unchanged';
  objects: Array<ObjectResult & { klpSymbols: KlpSymbolReport[] }>;
  diagnostics: Diagnostic[];
  /** Pairs that were declared by hand; left out where there are none. */
  twins?: DeclaredTwin[];
  output: OutputReport | null;
  run: RunReport;
}

/** What is recorded of a pair. */
type Findings = Pick<DiffResult, 'objects' | 'diagnostics' | 'twins'> & {
  /** Whether a livepatch would hold anything. */
  changes: boolean;
};

/** Compares two objects. @throws KlpflowError what ends a run: unreadable or malformed input, no space, an interruption */
export async function diff(request: DiffRequest): Promise<DiffResult> {
  if (isFolder(request.orig) && isFolder(request.patched)) return diffFolders(request);
  const asked = resolved(request);
  const files = [...filesOf(request), ...watched(Object.values(asked.files))];
  return withFlow(request, async (flow) => {
    const kernel = givenKernel(flow, request);
    // Both inputs first: most errors of a command line show here, before any work.
    const [orig, patched] = await identifyBoth(flow, request);
    const object = objectName(asked.module, orig);
    if (orig.digest === patched.digest) return finish(flow, unchanged(object.name));

    // A pair that was compared before, whatever its files are called now, is read back, and so is a livepatch that was made of it.
    const options = optionsOf(asked, object.name);
    const extract = asked.output === undefined ? undefined : new Extract(flow, orig, patched, asked.output, options);
    const known = await reuseOutcome<Findings>(flow, orig, patched, options);
    if (known !== undefined) {
      const made = await extract?.reuse();
      if (extract === undefined || made !== undefined || !known.changes)
        return output(flow, asked, kernel, known, made, [...files, orig, patched]);
    }

    // The kernel's image, where it was given, is decoded meanwhile.
    kernel.begin();

    // What is in each object? ORIG's scan is kept for every later patch.
    const scans = await scanBoth(flow, orig, patched);
    checkUnchanged([orig, patched]);

    // What does no symbol cover? The threads look while this one pairs.
    const gaps = gapsOfBoth(flow, scans);
    await setImmediate();

    // Which symbol is which? Needs both tables whole, and little time: it runs here while the threads load the decoder.
    const { correlation, pair } = await correlateBoth(flow, scans, asked.twins);

    // What changed? Only pairs that digests do not prove equal are looked at.
    const compared = await compareAll(flow, correlation, pair, gaps, object.name);

    // Can it go into a livepatch? Looks at all changes together, so it comes last.
    const { judgement, findings } = await assessAll(flow, asked, object, { scans, correlation, pair, compared });
    // A report tells what writing would find, too.
    if (extract === undefined && judgement.changes && !isRefused(findings.diagnostics))
      append(findings.diagnostics, await rehearsed(flow, asked, pair, judgement, await kernel.sources()));
    checkUnchanged([orig, patched, ...files]);
    await recordOutcome(flow, orig, patched, options, findings);

    // What must go in? Only where a livepatch is asked for; it collects its own refusals.
    const made = judgement.changes ? await extract?.make(pair, judgement, await kernel.sources()) : undefined;
    checkUnchanged([orig, patched]);

    // Nothing is refused: the object is written, or linked into a module.
    return output(flow, asked, kernel, findings, made, [...files, orig, patched]);
  });
}

/** Compares two folders of objects, each pair of files by itself; kpatch's dialect makes an object of each that changed. */
async function diffFolders(request: DiffRequest): Promise<DiffResult> {
  const { output: wanted, orig, patched, twins = [] } = request;
  if (twins.length > 0)
    throw new KlpflowError(
      'usage',
      `--twin ${twins[0]!.orig}=${twins[0]!.patched}: symbols are declared of two objects, not of folders; compare the pair of objects that they are of`,
    );
  if (wanted !== undefined && !isOfFolders(wanted))
    throw new KlpflowError(
      'usage',
      `-o ${wanted.path}: a livepatch of format ${wanted.format} is made of two objects, not of folders; --format kpatch makes an object of each unit`,
    );
  if (wanted !== undefined) checkOutputFolder(wanted.path, [orig, patched]);
  return withFlow(request, async (flow) => {
    const asked = resolved(request);
    const { allow, files: read } = asked;
    const livepatch = wanted === undefined ? null : await treeLivepatch(givenKernel(flow, request), wanted);
    const files = watched([read.ftrace, livepatch?.symvers ?? null, livepatch?.kernel ?? null]);
    const parentName = givenName(asked.module ?? 'vmlinux');
    const { inputs, livepatches, ...found } = await diffTrees(
      flow,
      { orig, patched, parentName, ftrace: read.ftrace, dialect: asked.dialect },
      optionsOf(asked, parentName),
      livepatch,
    );
    checkUnchanged([...files, ...inputs]);
    const findings = { ...found, diagnostics: found.diagnostics.map((entry) => allowed(entry, allow)) };
    if (wanted === undefined || livepatches.length === 0 || isRefused(findings.diagnostics))
      return finish(flow, findings);

    // Nothing is refused: all of them are written, or none.
    flow.checkStopped();
    const written = await flow.progress.onMain('link', () =>
      writeUnits(wanted.path, wanted.format, livepatches, () => checkUnchanged([...files, ...inputs])),
    );
    flow.progress.step('link', null, false, null, { items: livepatches.length, bytes: written.bytes });
    return finish(flow, findings, written);
  });
}

/** Judges all changes together. */
async function assessAll(
  flow: Flow,
  { files: { ftrace }, dialect, twins, allow }: Resolved,
  { name, diagnostics: said }: ObjectName,
  {
    scans,
    pair,
    correlation,
    compared,
  }: { scans: BothScanned; pair: PairRef; correlation: Correlation; compared: Compared },
): Promise<{ judgement: Judgement; findings: Findings }> {
  const { ambiguous, contradicted, unpaired, units } = correlation;
  const { verdicts, lineOnly, uncovered, losses } = compared;
  flow.progress.expect('assess', null, 2);
  const [judgement, profile] = await lastValueFrom(
    forkJoin([
      flow.task(
        'assess',
        null,
        'assess',
        {
          pair,
          verdicts,
          ambiguous,
          contradicted,
          unpaired,
          lineOnly,
          uncovered,
          losses,
          traceKnown: scans.orig.traceKnown,
          ftrace,
          objectName: name,
          unknownSizes: scans.patched.unknownSizes,
          dialect,
        },
        () => ({ items: verdicts.length, bytes: 0 }),
      ),
      // Looks at all functions, not only at those that changed, so another thread does it.
      flow.task(
        'assess',
        null,
        'profile',
        { pair, verdicts: verdicts.map(({ status, orig }) => ({ status, orig })) },
        () => ({ items: 0, bytes: 0 }),
      ),
    ]),
  );
  const { object, diagnostics } = judgement.assessment;
  const all = [...said, ...diagnostics, ...tellProfiles([profile], object.name), ...tellTwins(twins, object.name)];
  if (units.removed.length + units.added.length > 0) {
    all.push(
      diagnostic(
        'unit-mismatch',
        `${units.removed.length} compilation units of ORIG and ${units.added.length} of PATCHED have no counterpart`,
        { object: object.name },
      ),
    );
  }
  return {
    judgement,
    findings: {
      objects: [{ ...object, klpSymbols: [] }],
      diagnostics: all.map((entry) => allowed(entry, allow)),
      changes: judgement.changes,
      ...(twins.length === 0 ? {} : { twins: [...twins] }),
    },
  };
}

/** What extract would refuse, as far as it is not allowed. */
async function rehearsed(
  flow: Flow,
  { allow }: Resolved,
  pair: PairRef,
  judgement: Judgement,
  sources: KernelSources,
): Promise<Diagnostic[]> {
  const found = [...(await rehearse(flow, pair, judgement, sources)), ...sources.diagnostics];
  return found.map((entry) => allowed(entry, allow));
}

/** What is given of the running kernel. @throws KlpflowError `usage` where that is too little for what is to be written */
function givenKernel(flow: Flow, { output: wanted, ftrace, symvers, vmlinux }: DiffRequest): GivenKernel {
  if (wanted === undefined) return new GivenKernel(flow, { symvers, vmlinux, ftrace }, false);
  const { btf, template } = wanted.format === 'ko' ? wanted : {};
  const given = { vmlinux: wanted.vmlinux, symvers: wanted.symvers, btf, template, ftrace };
  checkGiven(wanted.path, wanted.format, given);
  return new GivenKernel(flow, given, FORMATS[wanted.format].linked);
}

/** What each unit's object is made from. */
async function treeLivepatch(kernel: GivenKernel, { klpArch = false }: KernelFiles): Promise<TreeLivepatch> {
  const { symvers, listing } = await kernel.sources();
  return { symvers: symvers!, kernel: listing!, klpArch };
}

/** What an output is made from besides the pair, as it is now. @throws KlpflowError `unreadable`, and `usage` or `write-failed` for an output that cannot be written */
function filesOf({ orig, patched, ftrace, output: wanted }: DiffRequest): InputFile[] {
  if (wanted === undefined) return [];
  const { symvers, vmlinux } = wanted;
  const { btf, template } = wanted.format === 'ko' ? wanted : {};
  checkOutput(wanted.path, [orig, patched, symvers, vmlinux, btf, template, ftrace]);
  return inputFiles([symvers, vmlinux, btf, template]);
}

/** Adds what extract found to the report, and writes the livepatch if nothing is refused. */
async function output(
  flow: Flow,
  { output: wanted, allow }: Resolved,
  kernel: GivenKernel,
  known: Findings,
  made: Extracted | undefined,
  inputs: readonly InputFile[],
): Promise<DiffResult> {
  if (wanted === undefined || made === undefined) return finish(flow, known);
  const sources = await kernel.sources();
  const findings = {
    ...known,
    objects: known.objects.map((object) => ({ ...object, klpSymbols: made.findings.klpSymbols })),
    diagnostics: [
      ...known.diagnostics,
      ...[...made.findings.diagnostics, ...sources.diagnostics].map((entry) => allowed(entry, allow)),
    ],
  };
  if (isRefused(findings.diagnostics)) return finish(flow, findings);
  flow.checkStopped();
  const written = await writeLivepatch(flow, wanted, sources, made.object, () => checkUnchanged(inputs));
  const all = { ...findings, diagnostics: [...findings.diagnostics, ...written.diagnostics] };
  // Nothing was written and nothing refused: then a file that says how the kernel is made was missing or wrong.
  const error = written.diagnostics.find(({ severity }) => severity === 'error');
  if (error !== undefined && written.output === null && !isRefused(all.diagnostics))
    throw new KlpflowError(error.code, error.message, error.where);
  return finish(flow, all, written.output);
}

/** Turns a refusal that the user allowed by name into a warning. */
function allowed(entry: Diagnostic, allow: readonly string[]): Diagnostic {
  const named = allow.includes(entry.code) || allow.includes(`${entry.code}:${entry.where.symbol ?? ''}`);
  return named && entry.severity === 'refusal' && isAllowable(entry.code) ? { ...entry, severity: 'warning' } : entry;
}

function unchanged(name: string): Findings {
  const none = { changed: [], new: [], removed: [], ignored: [] };
  return {
    objects: [{ name, functions: { ...none, carried: [] }, data: { ...none }, ambiguous: [], klpSymbols: [] }],
    diagnostics: [diagnostic('shared-input', 'the two files have the same content', { object: name })],
    changes: false,
  };
}

function finish(flow: Flow, findings: Findings, written: OutputReport | null = null): DiffResult {
  const { objects, diagnostics, twins, changes } = findings;
  const verdict = isRefused(findings.diagnostics) ? 'refused' : changes ? 'patchable' : 'unchanged';
  return {
    schema: 'klpflow/diff@1',
    verdict,
    objects,
    diagnostics,
    ...(twins === undefined ? {} : { twins }),
    output: written,
    run: report(flow),
  };
}
