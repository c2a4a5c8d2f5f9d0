import type { Diagnostic } from '../diagnostics';
import type { KlpState } from '../livepatch/ko';
import type { SigningFiles } from '../livepatch/signature';
import type { DiffResult } from '../pipeline/diff';
import type { Proof } from '../pipeline/evidence';
import type { RunOptions } from '../pipeline/flow';
import type { OutputReport } from '../pipeline/output';
import type { RunReport } from '../pipeline/types';
import type { VerifyResult } from '../verify';
import type { Scope, ScopeName } from './scope';
import type { SinceReport } from './since';

export interface BuildRequest extends RunOptions {
  patches: readonly string[];
  /** The kernel's source: a folder, or a tarball; of a built tree the tree itself. */
  source: string;
  /** That tree: its objects are taken over. */
  objects?: string | undefined;
  /** How much is compiled; chosen by what the kernel is where it is not given. */
  scope?: ScopeName | undefined;
  /** A release, or the image; default the running kernel. */
  kernel?: string | undefined;
  /** Where the kernel's files are looked for. */
  root: string;
  vmlinux?: string | undefined;
  config?: string | undefined;
  symvers?: string | undefined;
  modules?: string | undefined;
  /** Folders to take off the names in patches. */
  strip: number;
  /** The module to write; without it there is only the report. */
  output: string;
  name?: string | undefined;
  description?: string | undefined;
  replace?: boolean | undefined;
  states?: readonly KlpState[] | undefined;
  /** Variables whose new initial value the livepatch writes at patch, and takes back. */
  setData?: readonly string[];
  /** An older livepatch, which may be loaded when this one comes. */
  since?: string | undefined;
  /** Key and certificate that the module is signed with. */
  signing?: SigningFiles | undefined;
  /** Programs at a time. */
  jobs: number;
  /** `NAME=VALUE` for make: `CC=gcc-12`, `LLVM=1`. */
  variables: readonly string[];
  allow?: readonly string[];
  /** Told what is done now. */
  step?: (what: string) => void;
}

export interface BuiltUnit {
  /** Paths in the tree, and what it is linked into. */
  source: string;
  owner: string;
  /** The patch changed its compiled code. */
  changed: boolean;
}

/** What the build adds to the evidence: compiler and configuration are the kernel's, the module is verified, and signed where that was asked for. */
export interface BuildEvidence extends Proof {
  what: 'compiler' | 'configuration' | 'profile' | 'module' | 'signature';
}

export interface BuildResult {
  schema: 'klpflow/build@1';
  verdict: 'patchable' | 'refused' | 'unchanged';
  /** Null where preflight refused; its image, where that is not at hand. */
  kernel: { release: string; image: string | null; config: string; symvers: string | null; compiler: string } | null;
  /** How much was compiled, and why; null where preflight ended before that was known. */
  scope: Scope | null;
  units: BuiltUnit[];
  /** The objects that were compared. */
  pairs: Array<{ owner: string; orig: string; patched: string }>;
  /** Null where nothing was compiled. */
  diff: DiffResult | null;
  verification: VerifyResult | null;
  evidence: BuildEvidence[];
  /** A module of the kernel, unpacked, that told the layout of its structs; null where the image has types, or none was needed. */
  template: string | null;
  /** What becomes of an older livepatch; null where none was named. */
  since: SinceReport | null;
  diagnostics: Diagnostic[];
  output: OutputReport | null;
  run: { seconds: number; runDir: string; folder: string; compare: RunReport | null };
}
