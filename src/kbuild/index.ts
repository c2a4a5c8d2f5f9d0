import type { BuildRequest, BuildResult } from './request';

export type { BuildRequest, BuildResult } from './request';
export { treesOf, type TreeStatus } from './tree-status';

/** From a patch to a livepatch. Loaded when it is called: nothing else needs what reads patches. @throws KlpflowError what ends a run */
export async function build(request: BuildRequest): Promise<BuildResult> {
  return (await import('./build')).build(request);
}
