import { diff as compareAndWrite, type DiffResult } from '../pipeline/diff';
import type { DiffRequest } from '../pipeline/diff-options';
import { correlateObjects, type CorrelateResult } from '../pipeline/correlate-objects';
import { explanationWithFields, reportWithFields, withFields } from '../pipeline/data-fields';
import { explain as explainSymbol, type Explained } from '../pipeline/explain';
import { explainIr as irOf, type IrExplanation } from '../pipeline/explain-ir';
import type { RunOptions } from '../pipeline/flow';
import type { ObjectPair } from '../pipeline/object-pairs';
import { diffByPatch, report as gather, type Report } from '../pipeline/report';
import { parseTwin, type DeclaredTwin } from '../stages/declared-twins';
import { checkAllowed, reportUnused } from './allow';
import { outputOf, type OutputOptions } from './output';
import { checkPresent } from './present';
import { begin, type Run, type RunSettings } from './run';

/** The two builds: objects, or folders of them. */
export interface PairOptions extends RunSettings {
  /** As shipped. */
  orig: string;
  /** The same with the fix. */
  patched: string;
  /** Pairs that are declared by hand, `ORIGNAME=PATCHEDNAME` or in two. */
  twins?: ReadonlyArray<string | DeclaredTwin> | undefined;
}

/** What is said to have changed ORIG into PATCHED. */
interface Patches {
  /** Patches: each change is tied to the hunks that caused it, and those that no hunk explains are named. */
  patches?: readonly string[] | undefined;
}

/** What is compared, with what, and what becomes of it. */
export interface DiffOptions extends PairOptions, Patches, Omit<OutputOptions, 'btf'> {
  /** Further pairs, of modules, that go into the same livepatch. */
  also?: readonly ObjectPair[] | undefined;
  /** Name of the patched object, if it is a module; default: what its `.modinfo` says, else `vmlinux`. */
  module?: string | undefined;
  /** `CODE` or `CODE:SYMBOL` of refusals to turn into warnings. */
  allow?: readonly string[] | undefined;
  /** `available_filter_functions` of the running kernel; default: what ORIG says. */
  ftrace?: string | undefined;
  /** ORIG compiled as the kernel's build does it, without -ffunction-sections. */
  plain?: string | undefined;
}

/** Compares two objects, or all of two folders, and writes the livepatch where `output` asks for one and nothing is refused. */
export function diff(options: DiffOptions): Run<DiffResult> {
  return begin(options, async (run, given) => {
    const request = requestOf(given, run);
    const { patches = [] } = request;
    const result = await (patches.length === 0 ? compareAndWrite(request) : diffByPatch(request, patches));
    return told(withFields(result, given.btf, given.orig), given);
  });
}

/** What `diff` finds, and the code of what it lists: all that a report shows. */
export function report(
  options: Omit<DiffOptions, keyof OutputOptions> & Kernel & Pick<RunSettings, 'btf'>,
): Run<Report> {
  return begin(options, async (run, given) => {
    const found = reportWithFields(await gather(requestOf(given, run)), given.btf, given.orig);
    return { ...found, result: told(found.result, given) };
  });
}

type Kernel = Pick<OutputOptions, 'symvers' | 'vmlinux' | 'moduleImages'>;

/** Explains one symbol of the two builds: what differs of it, and why it was paired. */
export function explain(
  options: PairOptions &
    Patches & {
      /** A name, its beginning, or `unit:name`. */
      symbol: string;
      /** Instructions to show around each difference; default 6. */
      context?: number | undefined;
    },
): Run<Explained> {
  const { symbol, context = 6 } = options;
  return begin(options, async (run, given) => {
    const { patches } = given;
    checkPresent([options.orig, options.patched, ...(patches ?? [])]);
    const explained = await explainSymbol({ ...pairOf(given, run), symbol, context, patches });
    return explanationWithFields(explained, given.btf, given.orig);
  });
}

/** Shows what differs of one function in two files of LLVM bitcode, by the text that the newest LLVM on the PATH makes of them. */
export async function explainIr(options: {
  orig: string;
  patched: string;
  symbol: string;
  /** Lines to show around each difference; default 6. */
  context?: number | undefined;
}): Promise<IrExplanation> {
  checkPresent([options.orig, options.patched]);
  return irOf({ ...options, context: options.context ?? 6 });
}

/** Pairs the symbols of two objects and counts the rules that paired them. */
export function correlate(options: PairOptions): Run<CorrelateResult> {
  return begin(options, async (run, given) => correlateObjects(pairOf(given, run)));
}

function told(result: DiffResult, { allow = [] }: DiffOptions): DiffResult {
  const unused = reportUnused(allow, result.diagnostics);
  return unused.length === 0 ? result : { ...result, diagnostics: [...result.diagnostics, ...unused] };
}

function pairOf({ orig, patched, twins }: PairOptions, run: RunOptions) {
  return {
    ...run,
    orig,
    patched,
    ...(twins === undefined ? {} : { twins: twins.map((twin) => (typeof twin === 'string' ? parseTwin(twin) : twin)) }),
  };
}

/** @throws KlpflowError `usage` */
function requestOf(options: DiffOptions, run: RunOptions): DiffRequest {
  const { also = [], module, allow = [], ftrace, symvers, vmlinux, moduleImages, plain, patches } = options;
  checkAllowed(allow);
  const written = outputOf(options);
  checkPresent([
    options.orig,
    options.patched,
    ...also.flatMap(({ orig, patched }) => [orig, patched]),
    ...[ftrace, symvers, vmlinux, plain, options.template],
    ...(moduleImages ?? []),
    ...(patches ?? []),
  ]);
  return {
    ...pairOf(options, run),
    also,
    module,
    allow,
    ftrace,
    symvers,
    vmlinux,
    moduleImages,
    plain,
    patches,
    ...written,
  };
}
