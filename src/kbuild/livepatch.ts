/** The module of both builds: compared, written into the work folder, verified with every fact at hand, and only then given its name. */
import { mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isRefused, type Diagnostic } from '../diagnostics';
import { writeAtomically } from '../files/output-file';
import { diffPairs, type DiffResult } from '../pipeline/diff';
import type { OutputReport } from '../pipeline/output';
import { verify, type VerifyResult } from '../verify';
import { readShipped } from '../verify/shipped';
import { readShippedModules } from '../verify/shipped/modules';
import type { OwnerPair } from './both-builds';
import type { Kernel } from './kernel';
import { checkPositions, type ModuleProof } from './module-proof';
import type { BuildRequest } from './request';

export interface Livepatch {
  diff: DiffResult;
  verification: VerifyResult | null;
  /** What the verifier refuses. */
  diagnostics: Diagnostic[];
  output: OutputReport | null;
}

export async function makeLivepatch(
  request: BuildRequest,
  kernel: Kernel,
  pairs: readonly OwnerPair[],
  proofs: readonly ModuleProof[],
  folder: string,
): Promise<Livepatch> {
  const { name, description, replace, states, allow = [], output: path } = request;
  mkdirSync(folder, { recursive: true });
  const made = join(folder, basename(path));
  const moduleImages = proofs.flatMap(({ path: shipped }) => shipped ?? []);
  const files = { vmlinux: kernel.image, symvers: kernel.symvers, moduleImages };
  const diff = await diffPairs(
    {
      ...request,
      allow,
      startedAt: performance.now(),
      output: { path: made, format: 'ko', ...files, name, description, replace, states },
    },
    pairs.map(({ owner, orig, patched }) => ({ orig, patched, module: owner })),
  );
  const positions = proofs.flatMap((proof) => positionsOf(diff, proof));
  if (diff.output === null || positions.length > 0)
    return { diff, verification: null, diagnostics: positions, output: null };
  const verification = verify({
    module: made,
    vmlinux: kernel.image,
    shipped: await readShipped(kernel.image),
    modules: await readShippedModules(moduleImages),
    ...(kernel.symvers === undefined ? {} : { symvers: kernel.symvers }),
    objects: pairs.map(({ patched }) => patched),
  });
  const refused = verification.ok
    ? []
    : verification.diagnostics.filter((found) => isRefused([found]) || found.severity === 'error');
  if (!verification.ok) return { diff, verification, diagnostics: refused, output: null };
  await writeAtomically(path, [readFileSync(made)]);
  return { diff, verification, diagnostics: [], output: { ...diff.output, path } };
}

/** How often the module's file has each name that the livepatch looks up in it. */
function positionsOf({ objects }: DiffResult, { owner, orig, shipped }: ModuleProof): Diagnostic[] {
  if (shipped === null) return [];
  const names = objects
    .filter(({ name }) => name === owner)
    .flatMap(({ functions: { changed, carried }, klpSymbols }) => [
      ...[...changed, ...carried].map(({ name }) => name),
      ...klpSymbols.filter(({ object }) => object === owner).map(({ name }) => name),
    ]);
  return checkPositions(owner, orig, shipped, [...new Set(names)]);
}
