import type { DiffResult } from '../pipeline/diff';
import type { ModuleProof } from './module-proof';

/** The comparison's evidence with what the modules' files prove, which it has not seen. */
export function withModules(diff: DiffResult, proofs: readonly ModuleProof[]): DiffResult {
  const { evidence } = diff;
  if (evidence === null || proofs.length === 0) return diff;
  const bare = (by: string): string => by.replace(/^[^;]*which was not seen$|; [^;]*which was not seen$/, '');
  const also = (by: string, what: string): string => [bare(by), what].filter((text) => text !== '').join('; ');
  const code = proofs.map(
    ({ owner, functions, path }) => `all ${functions} functions of ${owner} stand in ${path} with the same references`,
  );
  const names = proofs.map(({ owner, path }) => `${owner}'s names are as many in ${path}`);
  const looked = diff.objects.flatMap(({ klpSymbols }) => klpSymbols).length;
  return {
    ...diff,
    evidence: {
      ...evidence,
      code: { proven: true, by: also(evidence.code.by, code.join('; ')) },
      positions: evidence.positions.proven
        ? evidence.positions
        : { proven: true, by: `${looked} symbols: those of vmlinux each found in its image; ${names.join('; ')}` },
    },
  };
}
