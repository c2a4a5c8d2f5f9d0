/** For a bundle that runs tasks where it stands, without threads: one process is ended, measured and seeded more easily than several. */
import { join } from 'node:path';
import { root } from '../../scripts/bundle.mjs';

interface Build {
  onResolve(filter: { filter: RegExp }, resolve: (found: { importer: string }) => { path: string } | undefined): void;
}

/** An esbuild plugin that puts `inline-pool.ts` in the place of the pipeline's pool. */
export const inlinePool = {
  name: 'inline',
  setup: (build: Build): void =>
    build.onResolve({ filter: /^\.\/pool$/ }, ({ importer }) =>
      importer.includes('/src/pipeline/') ? { path: join(root, 'test/support/inline-pool.ts') } : undefined,
    ),
};
