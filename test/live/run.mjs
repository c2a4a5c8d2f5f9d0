/** `npm run test:live`: bundles the trial with klpflow within, its tasks on the calling thread, and runs it. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { DECODING, bundle, options, root } from '../../scripts/bundle.mjs';

export const RUNTIME = path.join(root, 'test/live/runtime');

/** Bundles to `file`, which lies in dist/ so that packages are found. */
export async function bundleTrial(file, entry = 'test/live/main.ts') {
  const inline = {
    name: 'inline',
    setup: (build) =>
      build.onResolve({ filter: /^\.\/pool$/ }, ({ importer }) =>
        importer.includes('/src/pipeline/') ? { path: path.join(root, 'test/support/inline-pool.ts') } : undefined,
      ),
  };
  await bundle(entry, file, { ...DECODING, plugins: [inline, ...options.plugins] });
}

if (process.argv[1] === path.join(root, 'test/live/run.mjs')) {
  const file = path.join(root, 'dist/.live.js');
  await bundleTrial(file);
  process.exitCode =
    spawnSync(process.execPath, [file, '--runtime', RUNTIME, ...process.argv.slice(2)], { stdio: 'inherit' }).status ??
    1;
}
