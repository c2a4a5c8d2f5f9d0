/** The flow of one pair of objects: what changed, whether it can go into a livepatch, and where one is to be written its object. */
import { forkJoin, lastValueFrom } from 'rxjs';
import { diagnostic, isAllowable, isRefused, type Diagnostic } from '../diagnostics';
import { append } from '../lists';
import { reportProfiles, type ObjectResult } from '../stages/assess';
import type { Correlation } from '../stages/correlate';
import { reportNeedless, reportTwins, type DeclaredTwin } from '../stages/declared-twins';
import type { KlpSymbolReport } from '../stages/extract';
import { Counting, type Census } from './census';
import { optionsOf, type Resolved } from './diff-options';
import { Extract, type Extracted, type UnitFiles } from './extract';
import { checkUnchanged } from './files';
import type { Flow } from './flow';
import { otherKernel, type GivenModule } from './given-modules';
import type { GivenKernel, KernelSources } from './kernel';
import { objectName, type ObjectName } from './object-name';
import { recordOutcome, reuseOutcome } from './outcome';
import { compareAll, correlateBoth, identifyBoth, scanBoth, type BothScanned, type Compared } from './pair';
import { rehearsePair } from './rehearsal';
import type { Identified } from './scan';
import type { InputFile, Judgement, PairRef } from './types';

/** What is recorded of a pair. */
export interface Findings {
  objects: Array<ObjectResult & { klpSymbols: KlpSymbolReport[] }>;
  diagnostics: Diagnostic[];
  /** Pairs that were declared by hand; left out where there are none. */
  twins?: DeclaredTwin[];
  /** Whether a livepatch would hold anything. */
  changes: boolean;
}

/** A pair and what became of it. */
export interface PairOutcome {
  findings: Findings;
  /** The two files are one content. */
  equal: boolean;
  /** Undefined where no livepatch is asked for, or nothing would go in. */
  made: Extracted | undefined;
  /** How much of ORIG is the code that runs; null where no livepatch is asked for, or no file says what runs. */
  census: Census | null;
  inputs: InputFile[];
}

/** Compares the pair that `asked` names. `files` are those that it depends on besides. @throws KlpflowError what ends a run */
export async function diffPair(
  flow: Flow,
  asked: Resolved,
  kernel: GivenKernel,
  files: readonly InputFile[],
): Promise<PairOutcome> {
  // Both inputs first: most errors of a command line show here, before any work.
  const [orig, patched] = await identifyBoth(flow, asked);
  const object = objectName(asked.module, orig, patched.path, await soleModule(kernel, asked));
  const module = await kernel.modules.named(object.name);
  const needed = await kernel.modules.neededBy(object.name);
  const unit = unitFiles(asked, module);
  const inputs = [orig, patched, ...(module === null ? [] : [module, ...needed].map(({ input }) => input))];
  if (orig.digest === patched.digest)
    return { findings: unchanged(object.name), equal: true, made: undefined, census: null, inputs };

  // A pair that was compared before, whatever its files are called now, is read back, and so is a livepatch that was made of it.
  const options = {
    ...optionsOf(asked, object.name),
    ...(module === null
      ? {}
      : { moduleFile: module.input.identity, needed: needed.map(({ input }) => input.identity) }),
  };
  const extract = asked.output === undefined ? undefined : new Extract(flow, orig, patched, asked.output, options);
  const known = await reuseOutcome<Findings>(flow, orig, patched, options);
  if (known !== undefined) {
    const made = await extract?.reuse();
    const counting = made === undefined ? null : await countingOf(flow, orig, object.name, kernel, module);
    const census = (await counting?.reuse()) ?? made?.findings.census ?? null;
    // A run that was killed may have left out the count.
    const whole = made !== undefined && (counting === null || census !== null);
    if (extract === undefined || whole || !known.changes)
      return { findings: known, equal: false, made, census, inputs };
  }

  // The kernel's image, where it was given, is decoded meanwhile.
  kernel.begin();

  // What is in each object? ORIG's scan is kept for every later patch.
  const scans = await scanBoth(flow, orig, patched);
  checkUnchanged(inputs);

  // Which symbol is which? Needs both tables whole, and little time: it runs here while the threads load the decoder.
  const { correlation, pair, needless } = await correlateBoth(flow, scans, asked.twins);

  // What changed? Only pairs that digests do not prove equal are looked at.
  const compared = await compareAll(flow, correlation, pair, scans, object.name);

  // Can it go into a livepatch? Looks at all changes together, so it comes last.
  const { judgement, findings } = await assessAll(flow, asked, object, {
    scans,
    correlation,
    pair,
    needless,
    compared,
  });
  // A report tells what writing would find, too.
  if (extract === undefined && judgement.changes && !isRefused(findings.diagnostics))
    append(findings.diagnostics, await rehearsed(flow, asked, pair, judgement, kernel, module));
  checkUnchanged([...inputs, ...files]);
  await recordOutcome(flow, orig, patched, options, findings);

  // What must go in? Only where a livepatch is asked for; it collects its own refusals. Other threads look for ORIG in what runs.
  const writes = extract !== undefined && judgement.changes;
  const [made, counted] = writes
    ? await Promise.all([
        extract.make(pair, judgement, await kernel.sourcesFor([object.name]), unit),
        (await countingOf(flow, orig, object.name, kernel, module))?.make(pair.orig),
      ])
    : [undefined];
  if (made !== undefined) append(findings.diagnostics, otherModule(await kernel.sources(), module, asked.allow));
  checkUnchanged(inputs);
  return { findings, equal: false, made, census: counted ?? made?.findings.census ?? null, inputs };
}

/** What counts ORIG's functions in the kernel's image, of a module in its finished file. */
async function countingOf(
  flow: Flow,
  orig: Identified,
  name: string,
  kernel: GivenKernel,
  module: GivenModule | null,
): Promise<Counting | null> {
  const { listing, image } = await kernel.sources();
  return Counting.of(flow, orig, { objectName: name, kernel: listing, image, moduleFile: module?.plain ?? null });
}

/** The name of the one finished module that is given, for an object that does not say whose it is. */
async function soleModule(kernel: GivenKernel, { several }: Resolved): Promise<string | undefined> {
  const names = [...(await kernel.modules.given()).keys()];
  return several || names.length !== 1 ? undefined : names[0];
}

/** What the finished module and the kernel's image say against each other. */
function otherModule({ image }: KernelSources, module: GivenModule | null, allow: readonly string[]): Diagnostic[] {
  return image === null || module === null ? [] : otherKernel(module, image).map((entry) => allowed(entry, allow));
}

/** Judges all changes together. */
async function assessAll(
  flow: Flow,
  { files: { ftrace }, dialect, twins, allow, setData, wanted }: Resolved,
  { name, diagnostics: said }: ObjectName,
  {
    scans,
    pair,
    correlation,
    needless,
    compared,
  }: {
    scans: BothScanned;
    pair: PairRef;
    correlation: Correlation;
    needless: readonly DeclaredTwin[];
    compared: Compared;
  },
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
          setData: [...setData],
          wanted,
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
  const all = [
    ...said,
    ...diagnostics,
    ...reportProfiles([profile], object.name),
    ...reportTwins(twins, object.name),
    ...reportNeedless(needless, object.name),
  ];
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

function unitFiles({ files: { plain } }: Resolved, module: GivenModule | null): UnitFiles {
  return { moduleFile: module?.plain ?? null, plain };
}

/** What extract would refuse, as far as it is not allowed. */
async function rehearsed(
  flow: Flow,
  asked: Resolved,
  pair: PairRef,
  judgement: Judgement,
  kernel: GivenKernel,
  module: GivenModule | null,
): Promise<Diagnostic[]> {
  const sources = await kernel.sourcesFor([judgement.assessment.object.name]);
  const rehearsal = await rehearsePair(flow, pair, judgement, sources, unitFiles(asked, module));
  const found = [...rehearsal, ...sources.diagnostics, ...otherModule(sources, module, [])];
  return found.map((entry) => allowed(entry, asked.allow));
}

/** Turns a refusal that the user allowed by name into a warning. */
export function allowed(entry: Diagnostic, allow: readonly string[]): Diagnostic {
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
