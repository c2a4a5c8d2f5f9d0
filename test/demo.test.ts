/** `npm run demo`: what a newcomer sees first ends in a module and its verification, and says by its exit code whether all of it was right. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { MAIN } from './support/run-klpflow';
import { tempFolder } from './support/temp-folder';

test('compares a pair, and ends in a livepatch that the verifier has nothing against', { timeout: 120_000 }, () => {
  const temporary = tempFolder();
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(dirname(MAIN), 'demo.js')], {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: temporary },
  });
  expect(status, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/^agrees with what was put in: 18 functions changed, 2 new, 1 removed$/m);
  const last = stdout.slice(stdout.indexOf('a livepatch: '));
  expect(last).toMatch(/^livepatch-greeting\.ko: format ko, \d+ bytes, sha256 /m);
  // The variable that goes on counting is the kernel's own, not a copy.
  expect(last).toMatch(/1 function patched in 1 object, 1 klp symbol, \d+ relocations, 1 of them klp$/m);
  expect(last).not.toContain('found (');
  expect(last.match(/verify-\S+:/g)).toEqual(['verify-not-checked:']);
  expect(last).toContain('whether ftrace can redirect');
  expect(readdirSync(temporary)).toEqual([]);
});
