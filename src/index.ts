/** klpflow as a library: everything the commands use, and nothing else of the inside. */
export { correlateObjects, type CorrelateResult } from './pipeline/correlate-objects';
export { build, type BuildRequest, type BuildResult } from './kbuild';
export { diff, type DiffResult } from './pipeline/diff';
export type { DiffRequest } from './pipeline/diff-options';
export { describeImage, type ImageDescription } from './pipeline/describe-image';
export type { Evidence, Proof } from './pipeline/evidence';
export { explain } from './pipeline/explain';
export { report, type Report } from './pipeline/report';
export { parseTwin, type DeclaredTwin } from './stages/declared-twins';
export { describeObject, isRelocatable, type ObjectDescription } from './pipeline/describe-object';
export type { PairRequest } from './pipeline/pair';
export { scanObject, type ScanResult } from './pipeline/scan-object';
export { link, type LinkRequest, type LinkResult, type ModuleRequest } from './pipeline/link';
export { listRuns, statusOf, type RunListing, type StatusResult } from './pipeline/status';
export { STAGES, type Explanation, type ProgressEvent, type RunReport, type StageReport } from './pipeline/types';
export type { RunOptions } from './pipeline/flow';
export type { TaskRecord } from './pipeline/pool';
export type { OutputReport, OutputRequest } from './pipeline/output';
export {
  CATALOGUE,
  KlpflowError,
  diagnosticOf,
  isAllowable,
  type Diagnostic,
  type DiagnosticCode,
} from './diagnostics';
export { readStructSizes } from './pipeline/btf-file';
export { addChecksums, type ChecksumRequest } from './tools/objtool/klp-checksum';
export { objtoolDiff, type ObjtoolDiffRequest } from './tools/objtool/klp-diff';
export { postLinkModule } from './tools/objtool/klp-post-link';
export {
  createDiffObject,
  type CreateDiffObjectRequest,
  type CreateDiffObjectResult,
} from './tools/kpatch/create-diff-object';
export { createKlpModule, type CreateKlpModuleRequest } from './tools/kpatch/create-klp-module';
export { FORMATS, FORMAT_NAMES, formatOfPath, type Format, type OutputFormat } from './livepatch/formats';
export { structSizesFrom as kpatchStructSizes } from './tools/kpatch/struct-sizes';
export { readShipped, type ShippedKernel } from './verify/shipped';
export { readShippedModules, type ShippedModule } from './verify/shipped/modules';
export { verify, type PatchedFunction, type PatchedObject, type VerifyRequest, type VerifyResult } from './verify';
