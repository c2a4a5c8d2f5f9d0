/** klpflow as a library: everything the commands use, and nothing else of the inside. */
export { build, type BuildOptions } from './library/build';
export { correlate, diff, explain, explainIr, report, type DiffOptions, type PairOptions } from './library/diff';
export { describe } from './library/describe';
export { link, type LinkOptions } from './library/link';
export { checkMachine, type MachineCheck } from './library/machine';
export { MatrixFolder, type MatrixPages } from './library/matrix-folder';
export { checkMatrix, matrix, matrixStatus, worker, type MatrixOptions, type WorkerOptions } from './library/matrix';
export type { ModuleOptions, OutputOptions } from './library/output';
export type { Observer, Progress } from './library/progress';
export type { Run, RunSettings } from './library/run';
export { runs, scan, status, type StatusResult } from './library/scan';
export { shape } from './library/shape';
export { createDiffObject, createKlpModule, objtoolDiff } from './library/stand-ins';
export { verify, type VerifyOptions } from './library/verify';
export { wrappers, type WrappersOptions, type WrappersResult } from './library/wrappers';
export type {
  Alike,
  CellEvent,
  CellReport,
  CellResult,
  CellVerdict,
  MatrixResult,
  MatrixRun,
  MatrixStatus,
  Outcome,
} from './fleet';
export type { CheckedCell, MatrixCheck } from './fleet/check';
export type { WorkerResult } from './fleet/serve';
export type { BuildResult } from './kbuild';
export type { CorrelateResult } from './pipeline/correlate-objects';
export type { DiffResult } from './pipeline/diff';
export { describeImage, type ImageDescription } from './pipeline/describe-image';
export type { Evidence, Proof } from './pipeline/evidence';
export type { Explained } from './pipeline/explain';
export type { IrExplanation } from './pipeline/explain-ir';
export type { HunkTie, PatchTies, TiedSymbol } from './patch/ties';
export type { Report } from './pipeline/report';
export type { DeclaredTwin } from './stages/declared-twins';
export { describeObject, isRelocatable, type ObjectDescription } from './pipeline/describe-object';
export type { ScanResult } from './pipeline/scan-object';
export type { LinkResult } from './pipeline/link';
export type { RunListing } from './pipeline/status';
export { STAGES, type Explanation, type ProgressEvent, type RunReport, type StageReport } from './pipeline/types';
export type { TaskRecord } from './pipeline/pool';
export type { OutputReport } from './pipeline/output';
export {
  CATALOGUE,
  KlpflowError,
  diagnosticOf,
  isAllowable,
  type Diagnostic,
  type DiagnosticCode,
} from './diagnostics';
export { addChecksums, type ChecksumRequest } from './tools/objtool/klp-checksum';
export { postLinkModule } from './tools/objtool/klp-post-link';
export type { CreateDiffObjectRequest, CreateDiffObjectResult } from './tools/kpatch/create-diff-object';
export type { CreateKlpModuleRequest } from './tools/kpatch/create-klp-module';
export { writeAtomically } from './files/output-file';
export { checkOutput } from './pipeline/files';
export { FORMAT_NAMES, type OutputFormat } from './livepatch/formats';
export { SHAPES, isShape, writePair, type Manifest, type Shape } from './synth';
export { structSizesFrom as kpatchStructSizes } from './tools/kpatch/struct-sizes';
export type { PatchedFunction, PatchedObject, VerifyResult } from './verify';
