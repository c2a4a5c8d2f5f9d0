/** A program that calls klpflow as a library keeps its V8 as it is: flags are the process's, and on a V8 whose usual settings are not known they could not be put back. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { smallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const root = join(__dirname, '../..');

/** The flags that a script sets through Node's v8 module, on the main thread and in all others. Its exit code may be a verdict's. */
function flagsSet(script: string): string[] {
  const [list, hook] = [join(folder, 'flags'), join(folder, 'hook.cjs')];
  writeFileSync(list, '');
  writeFileSync(
    hook,
    `const v8 = require('node:v8'); const set = v8.setFlagsFromString; v8.setFlagsFromString = (flag) => { require('node:fs').appendFileSync(${JSON.stringify(list)}, flag + '\\n'); set(flag); };`,
  );
  spawnSync(process.execPath, ['-e', script], {
    env: { ...process.env, NODE_OPTIONS: `--require ${hook}` },
    stdio: 'ignore',
  });
  return readFileSync(list, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}

test('the library sets no flag; the command line does (the premise)', async () => {
  const pair = await smallPair(join(folder, 'pair'), 20, {});
  const library = `require(${JSON.stringify(join(root, 'dist/index.js'))}).diff({ orig: ${JSON.stringify(pair.orig)}, patched: ${JSON.stringify(pair.patched)}, runDir: ${JSON.stringify(join(folder, 'run'))}, workers: 2 })`;
  expect(flagsSet(library)).toEqual([]);
  const command = `process.argv.splice(1, 0, 'klpflow'); require(${JSON.stringify(join(root, 'dist/main.js'))}).load().cli.start(['diff', ${JSON.stringify(pair.orig)}, ${JSON.stringify(pair.patched)}, '--run-dir', ${JSON.stringify(join(folder, 'other'))}, '--progress', 'none'])`;
  expect(flagsSet(command).length).toBeGreaterThan(0);
});
