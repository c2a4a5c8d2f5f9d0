/** Is a module's ORIG what is shipped? Its file shows it: every function stands there with the same code and references, and names mean the same symbols. */
import { diagnostic, type Diagnostic } from '../diagnostics';
import { join } from 'node:path';
import type { OwnerPair } from './both-builds';
import type { Kernel } from './kernel';
import { moduleBelow } from '../pipeline/module-beside';
import { unpackModule } from './module-file';
import type { WorkTree } from './work-tree';
import { ModuleCode } from './module-code';

export interface ModuleProof {
  owner: string;
  orig: string;
  /** The module's file, and that without its compression; null where it was not found. */
  path: string | null;
  shipped: string | null;
  functions: number;
  /** `module-not-found`; `orig-not-running-kernel` where ORIG is another build. */
  diagnostics: Diagnostic[];
}

/**
 * Each module among the pairs against its file: ORIG itself where that shows it, else what `plain` makes of the same sources.
 * @throws KlpflowError for files that are no objects, and what `plain` throws
 */
export async function proveModules(
  work: WorkTree,
  { modules, release }: Kernel,
  pairs: readonly OwnerPair[],
  plain: (pair: OwnerPair) => Promise<string>,
): Promise<ModuleProof[]> {
  const proofs: ModuleProof[] = [];
  for (const pair of pairs) {
    const { owner, orig } = pair;
    if (owner === 'vmlinux') continue;
    const path = modules === undefined ? undefined : moduleBelow(modules, owner);
    if (path === undefined) {
      const where = modules === undefined ? '' : ` in ${modules}`;
      const absent = diagnostic('module-not-found', `module ${owner} of ${release} is not there${where}`, {
        object: owner,
      });
      proofs.push({ owner, orig, path: null, shipped: null, functions: 0, diagnostics: [absent] });
      continue;
    }
    const shipped = join(work.folder, 'modules', `${owner}.ko`);
    await unpackModule(path, shipped);
    const direct = proveModule(owner, orig, shipped, path);
    const found = direct.diagnostics.length === 0 ? direct : proveModule(owner, await plain(pair), shipped, path);
    proofs.push({ owner, orig, path, shipped, ...found });
  }
  return proofs;
}

/** `shipped` is the module's file without compression, which messages call `called`. @throws KlpflowError for files that are no objects */
export function proveModule(
  name: string,
  orig: string,
  shipped: string,
  called: string,
): Pick<ModuleProof, 'functions' | 'diagnostics'> {
  const [own, theirs] = [ModuleCode.open(orig), ModuleCode.open(shipped)];
  const others = theirs.functions();
  let functions = 0;
  const differing: string[] = [];
  for (const [symbol, ours] of own.functions())
    ours.forEach((each, i) => {
      functions++;
      const twin = others.get(symbol)?.[i];
      const at = twin === undefined ? undefined : own.differs(each, theirs, twin);
      if (twin === undefined) differing.push(`${symbol} (not there)`);
      else if (at !== undefined) differing.push(`${symbol} (at +0x${at.toString(16)})`);
    });
  if (differing.length === 0) return { functions, diagnostics: [] };
  const more = differing.length > 1 ? ` and ${differing.length - 1} more` : '';
  const message = `${differing.length} of ${functions} functions of module ${name} are others in ${called}: ${differing[0]}${more}`;
  return { functions, diagnostics: [diagnostic('orig-not-running-kernel', message, { object: called })] };
}

/** Names by which the livepatch looks symbols of the module up, and that the file has more or fewer of than ORIG: their positions mean nothing. */
export function checkPositions(name: string, orig: string, shipped: string, names: readonly string[]): Diagnostic[] {
  const [own, theirs] = [ModuleCode.open(orig).listed(), ModuleCode.open(shipped).listed()];
  return names
    .filter((symbol) => own.get(symbol)?.length !== theirs.get(symbol)?.length)
    .map((symbol) =>
      diagnostic(
        'position-unknown',
        `${symbol} exists ${theirs.get(symbol)?.length ?? 0} times in module ${name} as shipped, and ${own.get(symbol)?.length ?? 0} times as built here`,
        { object: name, symbol },
      ),
    );
}
