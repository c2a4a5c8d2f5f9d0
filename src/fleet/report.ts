/** What a run of a matrix came to, as a value: each cell, and what differs between kernels for one patch. */
import { largest } from '../lists';
import type { Diagnostic } from '../diagnostics';
import { promotedName } from '../stages/compare/promoted';
import type { FleetKernel, Matrix } from './matrix';
import type { CellResult } from './perform';
import type { Outcome } from './run';

export type CellVerdict = CellResult['verdict'] | 'failed';

export interface CellReport {
  kernel: string;
  patch: string;
  verdict: CellVerdict;
  /** The digest of all that the result depends on; null where something of that is missing. */
  job: string | null;
  /** Functions that are replaced, by name. */
  functions: string[];
  /** Why not: refusals, and what failed. */
  reasons: Array<{ code: string; message: string }>;
  /** What nothing proved, of a livepatch that was made; null where none was. */
  unproven: string[] | null;
  /** As it was made and verified, without a signature. */
  livepatch: CellResult['livepatch'];
  /** The subject of the certificate that it is handed out with; null without. */
  signedBy: string | null;
}

/** Kernels for which one patch came to the same. */
export interface Alike {
  verdict: CellVerdict;
  /** Codes of its reasons, or the functions that it replaces: by their own names, of which Clang makes others in each kernel (`f.llvm.123`). */
  why: string[];
  /** One reason of each code, in full, as it is told of the first of the kernels. */
  reasons: CellReport['reasons'];
  kernels: string[];
}

export interface MatrixResult {
  schema: 'klpflow/matrix@1';
  /** The worst of any cell. */
  verdict: CellVerdict;
  kernels: string[];
  patches: string[];
  cells: CellReport[];
  /** Patches that did not come to the same everywhere. */
  differences: Array<{ patch: string; groups: Alike[] }>;
  run: {
    seconds: number;
    runDir: string;
    store: string;
    /** In the order of `cells`: how long it took, null where the result was there; and who did it. */
    cells: Array<{ seconds: number | null; by: string | null }>;
  };
}

/** From the best to the worst. */
const ORDER: readonly CellVerdict[] = ['patchable', 'unchanged', 'refused', 'failed'];

export function reportOf(
  { kernels, patches }: Matrix,
  outcomes: readonly Outcome[],
  run: Omit<MatrixResult['run'], 'cells'>,
  signedBy: (kernel: FleetKernel) => string | null,
): MatrixResult {
  const cells = outcomes.map((outcome) => cellReport(outcome, signedBy));
  return {
    schema: 'klpflow/matrix@1',
    verdict: ORDER[largest([0, ...cells.map(({ verdict }) => ORDER.indexOf(verdict))])]!,
    kernels: kernels.map(({ name }) => name),
    patches: patches.map(({ name }) => name),
    cells,
    differences: patches.flatMap(({ name: patch }) => {
      const groups = alike(cells.filter((cell) => cell.patch === patch));
      return groups.length > 1 ? [{ patch, groups }] : [];
    }),
    run: { ...run, cells: outcomes.map(({ seconds, by }) => ({ seconds, by })) },
  };
}

/** All diagnostics of a cell. */
export function diagnosticsOf({ result, failed }: Outcome): Diagnostic[] {
  return failed ?? [...(result?.diff?.diagnostics ?? []), ...(result?.diagnostics ?? [])];
}

function cellReport(outcome: Outcome, signedBy: (kernel: FleetKernel) => string | null): CellReport {
  const { cell, id, result } = outcome;
  const reasons = diagnosticsOf(outcome)
    .filter(({ severity }) => severity === 'refusal' || severity === 'error')
    .map(({ code, message }) => ({ code, message }));
  const changed = (result?.diff?.objects ?? []).flatMap(({ functions }) => [
    ...functions.changed.map(({ name }) => name),
    ...functions.carried.map(({ name }) => name),
  ]);
  return {
    kernel: cell.kernel.name,
    patch: cell.patch.name,
    verdict: result?.verdict ?? 'failed',
    job: id,
    functions: changed,
    reasons,
    unproven: result === null || result.livepatch === null ? null : unproven(result),
    livepatch: result?.livepatch ?? null,
    signedBy: result?.livepatch == null ? null : signedBy(cell.kernel),
  };
}

function unproven({ diff, build }: CellResult): string[] {
  const { code, positions, versions, layouts } = diff?.evidence ?? {};
  const proofs = Object.entries({ code, positions, versions, layouts });
  return [
    ...proofs.flatMap(([name, proof]) => (proof != null && !proof.proven ? [name] : [])),
    ...(build?.evidence ?? []).flatMap(({ what, proven }) => (proven ? [] : [what])),
  ];
}

function alike(cells: readonly CellReport[]): Alike[] {
  const groups = new Map<string, Alike>();
  for (const { verdict, reasons, functions, kernel } of cells) {
    const codes = [...new Set(reasons.map(({ code }) => code))].sort();
    const why =
      codes.length > 0 ? codes : [...new Set(functions.map((name) => promotedName(name)?.base ?? name))].sort();
    const key = JSON.stringify([verdict, why]);
    const group = groups.get(key) ?? { verdict, why, reasons: firstOfEach(reasons), kernels: [] };
    group.kernels.push(kernel);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function firstOfEach(reasons: CellReport['reasons']): CellReport['reasons'] {
  return reasons.filter(({ code }, i) => reasons.findIndex((other) => other.code === code) === i);
}
