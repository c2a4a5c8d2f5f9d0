/** `npm run build`: the records' code, scan's WebAssembly, the bundles and the launcher's code cache. Says so where oclif.manifest.json is stale. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { COMMANDS, DECODING, LATE_PACKAGES, bundle, replace, root } from './bundle.mjs';
import { writeLicenses } from './licenses.mjs';
import { generateRecords } from './records.mjs';
import { generateWasm } from './wasm.mjs';

/** What is bundled into which file of dist/. Sources that do not exist yet are passed over. */
const ENTRIES = {
  'main.js': 'src/main.ts',
  'cli.js': 'src/cli.ts',
  'index.js': 'src/index.ts',
  'worker.js': 'workers/launch.ts',
  'stage.js': 'workers/stage.ts',
  'cell.js': 'src/fleet/cell-process.ts',
  'pool-worker.js': 'node_modules/piscina/dist/worker.js',
  'demo.js': 'bench/demo.ts',
  'bench.js': 'bench/bench.ts',
  'bench-unit.js': 'bench/unit.ts',
  'bench-build.js': 'bench/build.ts',
  'bench-fleet.js': 'bench/fleet.ts',
  'scale.js': 'bench/scale.ts',
  // A file of a package is named without its ending.
  ...Object.fromEntries(
    LATE_PACKAGES.map((name) => [`${name}.js`, `./node_modules/${name}${name.startsWith('ajv/') ? '.js' : ''}`]),
  ),
};

/** Bundles with something of their own. */
const OWN = { 'cli.js': COMMANDS, 'stage.js': DECODING };

/** What packages read from beside their own file. */
const WASM = {
  'iced_x86_bg.wasm': 'iced-x86/iced_x86_bg.wasm',
  '@bokuweb/zstd.wasm': '@bokuweb/zstd-wasm/dist/common/zstd.wasm',
};

try {
  await generateRecords();
  await generateWasm();
  const there = Object.entries(ENTRIES).filter(([, source]) => fs.existsSync(path.join(root, source)));
  for (const [name, source] of Object.entries(WASM))
    replace(path.join(root, 'dist', name), fs.readFileSync(path.join(root, 'node_modules', source)));
  const inputs = await Promise.all(
    there.map(([name, source]) => bundle(source, path.join(root, 'dist', name), OWN[name])),
  );
  writeLicenses(inputs.flat());
  execFileSync(process.execPath, [path.join(root, 'scripts/code-cache.mjs')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  // Not before here: it loads the bundle.
  const { committedManifest, manifest } = await import('./manifest.mjs');
  const { writeShellFiles } = await import('./shell.mjs');
  writeShellFiles();
  if (committedManifest() !== (await manifest()))
    console.error('build: oclif.manifest.json is stale; npm run surface writes it');
} catch (error) {
  // esbuild has printed its own errors by now.
  console.error(`build: ${error.errors?.length > 0 ? 'the sources do not bundle' : (error.stack ?? error)}`);
  process.exitCode = 1;
}
