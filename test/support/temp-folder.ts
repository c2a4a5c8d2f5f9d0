import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A folder of its own for the tests of one file, removed when they are done. Call it once, at the top. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'klpflow-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
