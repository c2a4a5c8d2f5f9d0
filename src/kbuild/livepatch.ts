/** The module of both builds: compared, written into the work folder, verified with every fact at hand, and only then given its name. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isRefused, type Diagnostic } from '../diagnostics';
import { writeAtomically } from '../files/output-file';
import type { ModuleSigner } from '../livepatch/signature';
import { diffPairs, type DiffResult } from '../pipeline/diff';
import type { OutputReport } from '../pipeline/output';
import type { SetData } from '../stages/assess';
import { verify, type VerifyResult } from '../verify';
import { readShipped } from '../verify/shipped';
import { readShippedModules } from '../verify/shipped/modules';
import type { OwnerPair } from './both-builds';
import { parseConfig } from './config';
import type { Kernel } from './kernel';
import type { BuildRequest } from './request';
import { danglingData } from './set-data/table';
import { compareSince, tellSince, type SinceReport } from './since';

export interface Livepatch {
  diff: DiffResult;
  verification: VerifyResult | null;
  /** What the verifier refuses. */
  diagnostics: Diagnostic[];
  output: OutputReport | null;
  /** Who signed it. */
  signedBy: string | null;
  /** What becomes of an older livepatch. */
  since: SinceReport | null;
}

/** What the object with a section a function leaves open, and the same unit compiled plainly may prove. */
const OPEN: readonly string[] = ['orig-not-running-kernel', 'position-unknown'];

export interface LivepatchInput {
  kernel: Kernel;
  signer: ModuleSigner | undefined;
  pairs: readonly OwnerPair[];
  /** Files of the modules among them. */
  moduleImages: string[];
  /** Where it is written before it is verified. */
  folder: string;
  /** A module of a kernel that has no types of its own. */
  template?: string | undefined;
  /** Variables that the livepatch sets. */
  setData: SetData[];
  /** Compiles ORIG's units of a pair plainly, where units have machine code. */
  plain?: (pair: OwnerPair) => Promise<string>;
}

export async function makeLivepatch(request: BuildRequest, input: LivepatchInput): Promise<Livepatch> {
  const { output: path } = request;
  const { kernel, pairs, folder, moduleImages } = input;
  mkdirSync(folder, { recursive: true });
  const made = join(folder, basename(path));
  let diff = await compared(request, input, made, new Map());
  const plainly = input.plain;
  if (plainly !== undefined && diff.output === null && diff.diagnostics.some(({ code }) => OPEN.includes(code))) {
    const plain = new Map<string, string>();
    for (const pair of pairs) plain.set(pair.owner, await plainly(pair));
    const again = await compared(request, input, made, plain);
    if (!again.diagnostics.some(({ code }) => OPEN.includes(code))) diff = again;
  }
  if (diff.output === null)
    return { diff, verification: null, diagnostics: [], output: null, signedBy: null, since: null };
  const dangling = input.setData.length === 0 ? [] : danglingData(made);
  if (dangling.length > 0)
    return { diff, verification: null, diagnostics: dangling, output: null, signedBy: null, since: null };
  const image = kernel.image?.path;
  const shipped = image === undefined ? undefined : await readShipped(image);
  const verification = verify({
    module: made,
    ...(image === undefined ? {} : { vmlinux: image }),
    shipped,
    modules: await readShippedModules(moduleImages),
    ...(kernel.symvers === undefined ? {} : { symvers: kernel.symvers }),
    ...(input.template === undefined ? {} : { template: input.template }),
    objects: pairs.map(({ patched }) => patched),
  });
  const refused = verification.ok
    ? []
    : verification.diagnostics.filter((found) => isRefused([found]) || found.severity === 'error');
  if (!verification.ok) return { diff, verification, diagnostics: refused, output: null, signedBy: null, since: null };
  const since = request.since === undefined ? null : compareSince(request.since, { made: verification, shipped });
  const bytes = finished(readFileSync(made), input);
  await writeAtomically(path, [bytes]);
  const output = { ...diff.output, path, bytes: bytes.length, sha256: sha256(bytes) };
  const said = since === null ? [] : tellSince(since);
  return { diff, verification, diagnostics: said, output, signedBy: input.signer?.subject ?? null, since };
}

/** What is verified is what is signed. */
function finished(module: Buffer, { signer, kernel }: LivepatchInput): Buffer {
  const hash = parseConfig(kernel.config.text).get('MODULE_SIG_HASH')?.replaceAll('"', '');
  return signer === undefined ? module : signer.signed(module, hash);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function compared(
  request: BuildRequest,
  { kernel, pairs, moduleImages, template, setData }: LivepatchInput,
  made: string,
  plain: ReadonlyMap<string, string>,
): Promise<DiffResult> {
  const { name, description, replace, states, allow = [] } = request;
  const files = { vmlinux: kernel.image?.path, symvers: kernel.symvers, template, moduleImages };
  return diffPairs(
    {
      ...request,
      allow,
      setData,
      startedAt: performance.now(),
      output: { path: made, format: 'ko', ...files, name, description, replace, states },
    },
    pairs.map(({ owner, orig, patched }) => ({ orig, patched, module: owner, plain: plain.get(owner) })),
  );
}
