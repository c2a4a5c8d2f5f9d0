/** `npm run demo:kernel`: bundles the demo, which boots a kernel as the tests do, and runs it. The package has neither. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { bundle, root } from './bundle.mjs';

const file = path.join(root, 'dist/.demo-kernel.js');
await bundle('bench/demo-kernel.ts', file);
process.exitCode = spawnSync(process.execPath, [file, ...process.argv.slice(2)], { stdio: 'inherit' }).status ?? 1;
