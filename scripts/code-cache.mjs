/** Writes dist/cli.cache and dist/stage.cache: V8's compiled code of what `diff` executes, from a run on a small pair. See src/launch.ts. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './bundle.mjs';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'klpflow-build-'));
try {
  const main = path.join(root, 'dist/main.js');
  const collect = path.join(root, 'scripts/collect-code.cjs');
  const pair = [path.join(folder, 'orig.o'), path.join(folder, 'patched.o')];
  const run = (...argv) => execFileSync(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
  run(main, 'synth', '--output', folder, '--functions', '2000');
  run(
    '--require',
    collect,
    main,
    'diff',
    ...pair,
    '--workers',
    '1',
    '--run-dir',
    path.join(folder, 'run'),
    '--progress',
    'none',
  );
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
