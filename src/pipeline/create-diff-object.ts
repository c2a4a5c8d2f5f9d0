/**
 * The flow of kpatch's create-diff-object: the same stages as `diff`, called one after the other on this thread. It runs a
 * thousand times in a build, mostly on small units, for which threads and records would take longer than the work.
 */
import { readFileSync } from 'node:fs';
import { diagnostic, fileError, type Diagnostic, type DiagnosticCode } from '../diagnostics';
import { ElfObject } from '../elf';
import { writeAtomically } from '../elf/output-file';
import { Messages, ParentExports, ParentSymbols, writeKpatchObject } from '../livepatch/kpatch';
import { assess, tellProfiles } from '../stages/assess';
import type { Side } from '../stages/compare';
import { correlate } from '../stages/correlate';
import { compareInline, scanInline } from '../stages/inline';
import {
  FtraceSites, changedConstants, extractKpatch, newGlobalsOf, raiseParents, readMarkers, reportedFunctions, tellMarkers, tellNewStatic, untraceable, verdictsThatCount,
} from '../stages/kpatch';
import { checkOutput } from './files';
import { ownStructSizes } from './own-struct-sizes';

export interface CreateDiffObjectRequest {
  orig: string;
  patched: string;
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
const ERRORS: ReadonlySet<DiagnosticCode> = new Set(['late-key', 'not-in-kernel', 'position-unknown', 'sibling-call', 'special-entry-size', 'special-klp-reference', 'unresolved-reference', 'unsupported-relocation']);

/** @throws KlpflowError for files that cannot be read, are malformed, or cannot be written */
export async function createDiffObject(request: CreateDiffObjectRequest): Promise<CreateDiffObjectResult> {
  const { parentName, print, klpArch } = request;
  checkOutput(request.output, [request.orig, request.patched, request.parentSymtab, request.symvers]);
  const messages = new Messages(request.orig, print);
  const { orig, patched, differs } = openBoth(request.orig, request.patched);
  if (differs !== undefined) return { exit: 2, diagnostics: [differs] };
  const parent = ParentSymbols.parse(read(request.parentSymtab));
  const exports = new ParentExports(read(request.symvers), request.symvers);

  // What is in each object?
  const sizes = { ...ownStructSizes(patched, request.structSizes), ...request.structSizes };
  const [a, b] = [scanInline(orig, sizes), scanInline(patched, sizes)];

  // Which symbol is which, and what changed?
  const correlation = correlate(a, b);
  const { pairing, unpaired } = correlation;
  tellNewStatic(b.side, unpaired.patched, messages);
  const { verdicts, lineOnly } = compareInline(correlation, a.side, b.side);

  // What did the patch's author say about it?
  const markers = readMarkers(b.side, parentName);
  tellMarkers(markers, b.side, verdicts, messages);
  if (markers.problems.length > 0) return { exit: 2, diagnostics: [...markers.problems] };

  // Can it go into a livepatch? Only of a whole kernel all callers of a function are known.
  const whole = isWholeKernel(a.side);
  const sites = whole && a.traceKnown ? undefined : new FtraceSites(a.side);
  const own = verdictsThatCount(b.side, verdicts, markers);
  const { verdicts: counting, parts } = sites === undefined ? { verdicts: own, parts: new Set<number>() } : raiseParents(pairing, b.side, sites, own);
  const constants = changedConstants(b.side, counting);
  const assessment = assess({
    ...correlation, orig: a.side, patched: b.side, objectName: parentName, verdicts: counting.filter(({ patched: symbol }) => !constants.includes(symbol)), lineOnly,
    traceKnown: whole && a.traceKnown, unknownSizes: b.unknown,
  });
  const reported = reportedFunctions(pairing, a.side, b.side, assessment);
  const lost = sites === undefined ? [] : untraceable(a.side, sites, reported, parentName);
  if (lost.length > 0) return { exit: 2, diagnostics: lost };
  for (const { symbol } of markers.callbacks) messages.callback(b.side.name(symbol));
  for (const symbol of markers.forced) messages.forced(b.side.name(symbol));
  for (const { name, origin, carried } of reported) {
    if (carried !== undefined) messages.carriedFunction(name, carried);
    else if (origin === 0) messages.newFunction(name);
    else messages.changedFunction(name);
  }
  const newGlobals = newGlobalsOf(b.side, unpaired.patched);
  const refused = [...assessment.diagnostics, ...tellProfiles([assessment.profile], parentName)];
  if (refused.some(({ severity }) => severity === 'refusal')) return { exit: exitOf(refused), diagnostics: refused };
  if (reported.length + newGlobals.length + markers.callbacks.length + constants.length === 0) return { exit: 3, diagnostics: refused };

  // What must go in?
  const { kpatch, diagnostics } = extractKpatch({
    pairing, orig: a.side, patched: b.side, objectName: parentName, included: assessment.included.map((entry) => (parts.has(entry.symbol) ? { ...entry, origin: 0 } : entry)), undecided: new Set(assessment.undecided),
    parent, exports, markers, reported, newGlobals, constants, klpArch, debug: !whole,
  });
  const all = [...refused, ...diagnostics];
  if (diagnostics.some(({ severity }) => severity === 'refusal')) return { exit: exitOf(diagnostics), diagnostics: all };
  await writeAtomically(request.output, writeKpatchObject(kpatch).chunks());
  return { exit: 0, diagnostics: all };
}

/** Opens both. Objects of different make cannot be compared. */
function openBoth(orig: string, patched: string): { orig: ElfObject; patched: ElfObject; differs?: Diagnostic } {
  const [a, b] = [ElfObject.open(orig), ElfObject.open(patched)];
  const [x, y] = [a, b].map((object) => Buffer.concat([object.bytes.subarray(0, 40), object.bytes.subarray(48, 56), object.bytes.subarray(58, 60)]));
  const differs = x!.equals(y!) ? undefined : diagnostic('header-mismatch', `the ELF headers of ${orig} and ${patched} differ: they are not of one make`, { object: patched });
  const segments = [a, b].find((object) => object.bytes[56] !== 0 || object.bytes[57] !== 0);
  if (segments !== undefined) return { orig: a, patched: b, differs: diagnostic('header-mismatch', `${segments.path} has program headers, which no compiler writes into an object`, { object: segments.path }) };
  return { orig: a, patched: b, ...(differs === undefined ? {} : { differs }) };
}

/** vmlinux.o: no unit defines both the first task and the version's banner. */
function isWholeKernel({ object, table }: Side): boolean {
  let found = 0;
  for (let i = 0; i < table.listedCount && found < 2; i++) {
    const symbol = table.listed[i]!;
    // Nine and twelve letters: nearly all other names need no string.
    if (table.nameLength[symbol] !== 9 && table.nameLength[symbol] !== 12) continue;
    const name = object.symbolName(symbol);
    if (name === 'init_task' || name === 'linux_banner') found++;
  }
  return found === 2;
}

function exitOf(diagnostics: readonly Diagnostic[]): 1 | 2 {
  return diagnostics.filter(({ severity }) => severity === 'refusal').every(({ code }) => ERRORS.has(code)) ? 1 : 2;
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw fileError(path, cause, 'read');
  }
}
