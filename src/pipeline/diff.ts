/**
 * The flow of a comparison, from paths to a verdict: of two objects, of several pairs that go into one livepatch, or of two folders of units.
 */
import { KlpflowError, isRefused, type Diagnostic } from '../diagnostics';
import { FORMATS } from '../livepatch/formats';
import type { ObjectResult } from '../stages/assess';
import type { DeclaredTwin } from '../stages/declared-twins';
import type { KlpSymbolReport } from '../stages/extract';
import type { PatchTies } from '../patch/ties';
import { optionsOf, resolved, type DiffRequest, type Resolved } from './diff-options';
import { evidenceOf, type Evidence } from './evidence';
import type { KernelFiles } from './extract';
import { checkOutput, checkUnchanged, inputFile, inputFiles, watched } from './files';
import type { Flow } from './flow';
import { GivenKernel, checkGiven } from './kernel';
import { givenName } from './object-name';
import { objectPairs, type ObjectPair } from './object-pairs';
import { allowed, diffPair, type Findings, type PairOutcome } from './one-pair';
import { isOfFolders, writeLivepatch, type OutputReport } from './output';
import { report, withFlow } from './run';
import { addSharedVariables } from './shared-variables';
import { diffTrees, type TreeLivepatch } from './tree';
import { isFolder } from './tree-files';
import { checkOutputFolder, writeUnits } from './tree-output';
import type { InputFile, RunReport } from './types';

export interface DiffResult {
  schema: 'klpflow/diff@1';
  verdict: 'patchable' | 'refused' | 'unchanged';
  objects: Array<ObjectResult & { klpSymbols: KlpSymbolReport[] }>;
  diagnostics: Diagnostic[];
  /** Pairs that were declared by hand; left out where there are none. */
  twins?: DeclaredTwin[];
  /** What changed by the hunks of the patches that were given; left out where none was. */
  patch?: PatchTies;
  output: OutputReport | null;
  /** Of a livepatch that was written: what proves that it fits the kernel; null where none was, and for folders of units. */
  evidence: Evidence | null;
  run: RunReport;
}

/** Compares two objects, or all of two folders. @throws KlpflowError what ends a run: unreadable or malformed input, no space, an interruption */
export async function diff(request: DiffRequest): Promise<DiffResult> {
  const { orig, patched, also = [], output: wanted } = request;
  if (!isFolder(orig) || !isFolder(patched)) return diffObjects(request, [{ orig, patched }, ...also], []);
  const ofUnits = wanted !== undefined && isOfFolders(wanted);
  const found = ofUnits ? undefined : objectPairs(orig, patched, wanted?.format === 'ko');
  if (found === undefined) return diffFolders(request);
  const diagnostics = found.diagnostics.map((entry) => allowed(entry, request.allow ?? []));
  return diffObjects(request, [...found.pairs, ...also], diagnostics);
}

/** Compares pairs that are named each, of vmlinux and modules, for one livepatch. @throws as `diff` */
export async function diffPairs(
  request: Omit<DiffRequest, keyof ObjectPair | 'also'>,
  pairs: readonly ObjectPair[],
): Promise<DiffResult> {
  const { orig, patched } = pairs[0]!;
  return diffObjects({ ...request, orig, patched }, pairs, []);
}

/** Compares pairs of linked objects, vmlinux and modules, for one livepatch of all that changed. */
async function diffObjects(
  request: DiffRequest,
  pairs: readonly ObjectPair[],
  said: Diagnostic[],
): Promise<DiffResult> {
  checkSeveral(request, pairs);
  const asked = resolved(request, pairs.length > 1);
  const files = [...filesOf(request, pairs), ...watched(Object.values(asked.files))];
  return withFlow(request, async (flow) => {
    const kernel = givenKernel(flow, request);
    const outcomes: PairOutcome[] = [];
    // Large ones last: what is remembered of a module is little.
    const one = (pair: ObjectPair, wanted: readonly string[] = []): Promise<PairOutcome> =>
      diffPair(flow, { ...ofPair(asked, pair), wanted }, kernel, files);
    for (const pair of [...pairs].reverse()) outcomes.unshift(await one(pair));
    await addSharedVariables(outcomes, (i, wanted) => one(pairs[i]!, wanted));
    await checkModulesMet(kernel, outcomes);
    const changed = outcomes.length === 1 ? outcomes : outcomes.filter(({ equal }) => !equal);
    const twice = changed.map(nameOf).find((name, i, names) => names.indexOf(name) < i);
    if (twice !== undefined)
      throw new KlpflowError(
        'usage',
        `two pairs are of ${twice}: a livepatch has each object once, under the name that the kernel knows`,
      );
    return output(flow, asked, kernel, changed, said, [...files, ...outcomes.flatMap(({ inputs }) => inputs)]);
  });
}

function ofPair(asked: Resolved, pair: ObjectPair): Resolved {
  const { orig, patched, module = asked.module, plain } = pair;
  const files = plain === undefined ? asked.files : { ...asked.files, plain: inputFile(plain) };
  return { ...asked, orig, patched, module, files };
}

/** A file that is of nothing that is compared proves nothing. @throws KlpflowError `usage` */
async function checkModulesMet(kernel: GivenKernel, outcomes: readonly PairOutcome[]): Promise<void> {
  const names = outcomes.map(nameOf);
  for (const [name, { input }] of await kernel.modules.given())
    if (!names.includes(name))
      throw new KlpflowError(
        'usage',
        `--module-image ${input.path} is of module ${name}, and what is compared is ${names.join(', ')}`,
      );
}

function nameOf({ findings }: PairOutcome): string {
  return findings.objects[0]!.name;
}

/** What is said of one pair cannot be said of several. @throws KlpflowError `usage` */
function checkSeveral({ module, twins = [], output: wanted, plain }: DiffRequest, pairs: readonly ObjectPair[]): void {
  if (pairs.length === 1) return;
  const refuse = (why: string): never => {
    throw new KlpflowError('usage', why);
  };
  if (module !== undefined) refuse(`--module ${module}: several objects are compared, each has its own name`);
  if (plain !== undefined) refuse(`--plain ${plain}: several objects are compared, it is one unit's`);
  if (twins.length > 0)
    refuse(
      `--twin ${twins[0]!.orig}=${twins[0]!.patched}: symbols are declared of two objects; compare the pair of objects that they are of`,
    );
  if (wanted !== undefined && wanted.format !== 'ko')
    refuse(`-o ${wanted.path}: format ${wanted.format} is an object of one pair; -o FILE.ko makes a module of several`);
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
      `-o ${wanted.path}: an object of format ${wanted.format} is made of two objects, not of folders; -o FILE.ko makes a module of all, --format kpatch an object of each unit`,
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

/** What is given of the running kernel. @throws KlpflowError `usage` where that is too little for what is to be written */
function givenKernel(flow: Flow, { output: wanted, ftrace, symvers, vmlinux, moduleImages }: DiffRequest): GivenKernel {
  if (wanted === undefined) return new GivenKernel(flow, { symvers, vmlinux, ftrace, moduleImages }, false);
  const { btf, template } = wanted.format === 'ko' ? wanted : {};
  const given = {
    vmlinux: wanted.vmlinux,
    symvers: wanted.symvers,
    btf,
    template,
    ftrace,
    moduleImages: wanted.moduleImages,
  };
  checkGiven(wanted.path, wanted.format, given);
  return new GivenKernel(flow, given, FORMATS[wanted.format].linked);
}

/** What each unit's object is made from. */
async function treeLivepatch(kernel: GivenKernel, { klpArch = false }: KernelFiles): Promise<TreeLivepatch> {
  const { symvers, listing } = await kernel.sources();
  return { symvers: symvers!, kernel: listing!, klpArch };
}

/** What an output is made from besides the pair, as it is now. @throws KlpflowError `unreadable`, and `usage` or `write-failed` for an output that cannot be written */
function filesOf({ ftrace, output: wanted }: DiffRequest, pairs: readonly ObjectPair[]): InputFile[] {
  if (wanted === undefined) return [];
  const { symvers, vmlinux, moduleImages = [] } = wanted;
  const { btf, template } = wanted.format === 'ko' ? wanted : {};
  checkOutput(wanted.path, [
    ...pairs.flatMap(({ orig, patched }) => [orig, patched]),
    symvers,
    vmlinux,
    btf,
    template,
    ftrace,
    ...moduleImages,
  ]);
  return inputFiles([symvers, vmlinux, btf, template, ...moduleImages]);
}

/** Adds what extract found to the report, and writes the livepatch if nothing is refused. */
async function output(
  flow: Flow,
  { output: wanted, allow }: Resolved,
  kernel: GivenKernel,
  outcomes: readonly PairOutcome[],
  said: readonly Diagnostic[],
  inputs: readonly InputFile[],
): Promise<DiffResult> {
  const objects = outcomes.flatMap(({ made }) => (made === undefined ? [] : [made.object]));
  if (wanted === undefined || objects.length === 0) return finish(flow, together(outcomes, said, [], allow));
  const sources = await kernel.sourcesFor(outcomes.filter(({ made }) => made !== undefined).map(nameOf));
  const findings = together(outcomes, said, sources.diagnostics, allow);
  if (isRefused(findings.diagnostics)) return finish(flow, findings);
  flow.checkStopped();
  const written = await writeLivepatch(flow, wanted, sources, objects, () => checkUnchanged(inputs));
  const all = { ...findings, diagnostics: [...findings.diagnostics, ...written.diagnostics] };
  // Nothing was written and nothing refused: then a file that says how the kernel is made was missing or wrong.
  const error = written.diagnostics.find(({ severity }) => severity === 'error');
  if (error !== undefined && written.output === null && !isRefused(all.diagnostics))
    throw new KlpflowError(error.code, error.message, error.where);
  if (written.output === null) return finish(flow, all);
  const modules = new Map<string, string>();
  for (const { name } of all.objects) {
    const module = await kernel.modules.named(name);
    if (module !== null) modules.set(name, module.input.path);
  }
  const census = new Map(outcomes.flatMap((one) => (one.census === null ? [] : [[nameOf(one), one.census] as const])));
  return finish(flow, all, written.output, evidenceOf(wanted, sources, { objects: all.objects, modules, census }));
}

/** The findings of all pairs as one, with what writing them found. */
function together(
  outcomes: readonly PairOutcome[],
  said: readonly Diagnostic[],
  ofKernel: readonly Diagnostic[],
  allow: readonly string[],
): Findings {
  const twins = outcomes.flatMap(({ findings }) => findings.twins ?? []);
  return {
    objects: outcomes.flatMap(({ findings, made }) =>
      findings.objects.map((object) =>
        made === undefined ? object : { ...object, klpSymbols: made.findings.klpSymbols },
      ),
    ),
    diagnostics: [
      ...said,
      ...outcomes.flatMap(({ findings, made }) => [
        ...findings.diagnostics,
        ...(made?.findings.diagnostics ?? []).map((entry) => allowed(entry, allow)),
      ]),
      ...ofKernel.map((entry) => allowed(entry, allow)),
    ],
    changes: outcomes.some(({ findings }) => findings.changes),
    ...(twins.length === 0 ? {} : { twins }),
  };
}

function finish(
  flow: Flow,
  findings: Findings,
  written: OutputReport | null = null,
  evidence: Evidence | null = null,
): DiffResult {
  const { objects, diagnostics, twins, changes } = findings;
  const verdict = isRefused(findings.diagnostics) ? 'refused' : changes ? 'patchable' : 'unchanged';
  return {
    schema: 'klpflow/diff@1',
    verdict,
    objects,
    diagnostics,
    ...(twins === undefined ? {} : { twins }),
    output: written,
    evidence,
    run: report(flow),
  };
}
