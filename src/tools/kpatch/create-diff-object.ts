/**
 * The flow of kpatch's create-diff-object: the same stages as `diff`, called one after the other on this thread. It runs a
 * thousand times in a build, mostly on small units, for which threads and records would take longer than the work.
 */
import { readFileSync, statSync } from 'node:fs';
import { fileError, isRefused, type Diagnostic, type DiagnosticCode } from '../../diagnostics';
import { ElfObject } from '../../elf';
import { readWhole } from '../../files/whole-file';
import { writeAtomically } from '../../files/output-file';
import { Messages, ParentExports, ParentSymbols, writeKpatchObject, type Remarks } from '../../livepatch/kpatch';
import { profileEvidence, reportProfiles } from '../../stages/assess';
import { compareObjects } from '../../stages/inline';
import { assessKpatch, extractKpatch, reportUnlikeMake, type ReportedFunction } from '../../stages/kpatch';
import { checkOutput } from '../../pipeline/files';
import { ownStructSizes } from './own-struct-sizes';
import { append } from '../../lists';

export interface CreateDiffObjectRequest {
  orig: string;
  patched: string;
  /** What messages call ORIG, where that is compressed. */
  called?: string;
  /** `vmlinux`, or a module's run-time name. */
  parentName: string;
  /** What `readelf -s --wide` prints of the parent. */
  parentSymtab: string;
  /** Module.symvers of the build. */
  symvers: string;
  output: string;
  /** --klp-arch: the kernel applies `.klp.arch` sections, and no klp relocations of jump labels. */
  klpArch: boolean;
  /** Sizes by kernel struct, which win over the object's own types. */
  structSizes: Record<string, number>;
  /** Gets each line of standard output. */
  print: (line: string) => void;
}

/** How it ended: exit codes of the tool. */
export interface CreateDiffObjectResult {
  /** 0 written, 1 an error, 2 not to be expressed as a livepatch, 3 nothing changed. */
  exit: 0 | 1 | 2 | 3;
  diagnostics: Diagnostic[];
}

/** Reasons that the tool calls errors (1), not unreconcilable differences (2). */
const ERRORS: ReadonlySet<DiagnosticCode> = new Set([
  'late-key',
  'not-in-kernel',
  'position-unknown',
  'sibling-call',
  'special-entry-size',
  'special-klp-reference',
  'unresolved-reference',
  'unsupported-relocation',
]);

/** @throws KlpflowError for files that cannot be read, are malformed, or cannot be written */
export async function createDiffObject(request: CreateDiffObjectRequest): Promise<CreateDiffObjectResult> {
  const { parentName, print, klpArch } = request;
  checkOutput(request.output, [request.orig, request.patched, request.parentSymtab, request.symvers]);
  const [orig, patched] = [ElfObject.open(request.orig), ElfObject.open(request.patched)];
  const unlike = reportUnlikeMake(orig, patched);
  if (unlike.length > 0) return { exit: 2, diagnostics: unlike };
  const parent = ParentSymbols.parse(read(request.parentSymtab));
  const exports = new ParentExports(read(request.symvers), request.symvers);

  // What is in each object, which symbol is which, and what changed?
  const structSizes = { ...ownStructSizes(patched, request.structSizes), ...request.structSizes };
  const { compared } = compareObjects(orig, patched, { structSizes });

  // Can it go into a livepatch?
  const { assessment, plan, empty, remarks, problems } = assessKpatch({ ...compared, objectName: parentName });
  const diagnostics = [...assessment.diagnostics, ...reportProfiles([profileEvidence(compared)], parentName)];
  tell(new Messages(request.called ?? request.orig, print), remarks, problems.length > 0 ? null : plan.reported);
  if (isRefused(diagnostics)) return { exit: exitOf(diagnostics), diagnostics };
  if (empty) return { exit: 3, diagnostics };

  // What must go in?
  const { included, undecided, copied } = assessment;
  const { pairing, orig: a, patched: b } = compared;
  const made = extractKpatch({
    ...plan,
    pairing,
    orig: a,
    patched: b,
    objectName: parentName,
    included,
    undecided: new Set(undecided),
    copied: new Set(copied),
    parent,
    exports,
    klpArch,
  });
  append(diagnostics, made.diagnostics);
  if (isRefused(diagnostics)) return { exit: exitOf(diagnostics), diagnostics };
  await writeAtomically(request.output, writeKpatchObject(made.kpatch).chunks());
  return { exit: 0, diagnostics };
}

/** Prints the tool's lines; without functions where it ends before it names one. */
function tell(messages: Messages, remarks: Remarks, functions: readonly ReportedFunction[] | null): void {
  messages.beforehand(remarks);
  if (functions === null) return;
  messages.hooks(remarks);
  for (const { name, origin, carried } of functions) {
    if (carried !== undefined) messages.carriedFunction(name, carried);
    else if (origin === 0) messages.newFunction(name);
    else messages.changedFunction(name);
  }
}

function exitOf(diagnostics: readonly Diagnostic[]): 1 | 2 {
  return diagnostics.filter(({ severity }) => severity === 'refusal').every(({ code }) => ERRORS.has(code)) ? 1 : 2;
}

/** Also what a shell makes of `<(readelf ...)`: this thread may wait, for no thread does but this one, and Ctrl-C ends it. */
function read(path: string): Buffer {
  if (statSync(path, { throwIfNoEntry: false })?.isFIFO() !== true) return readWhole(path);
  try {
    return readFileSync(path);
  } catch (cause) {
    throw fileError(path, cause, 'read');
  }
}
