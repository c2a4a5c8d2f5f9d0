/** Real fixes of the stable series, as single units: what changed, what is new, and whether a livepatch can bring it. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { isRefused } from '../../../src/diagnostics';
import { CORPUS, skipWithout, unavailable } from '../../support/corpus';
import { diffObjects } from '../../support/diff-objects';
import { tempFolder } from '../../support/temp-folder';

const KERNEL = 'debian-6.12-gcc';
const folder = tempFolder();
const missing =
  unavailable(KERNEL, true) ??
  (existsSync(join(CORPUS, KERNEL, 'units.tar.zst')) ? undefined : `no corpus: ${KERNEL} has no units.tar.zst`);

/** How many units there are: none may be lost unseen. */
const UNITS = 42;

/** What is known to come out otherwise; either will do. */
const OTHERWISE: Readonly<Record<string, Partial<Expected>>> = {
  // The part that GCC split off is what changed; who lists its function instead is as right.
  arch__x86__kernel__nmi: { changed: ['nmi_handle.part.0'] },
  // USER_PTR_MAX is another unit's variable.
  mm__gup: { verdict: 'refused' },
};

interface Expected {
  verdict: 'patchable' | 'refused' | 'unchanged';
  changed: string[];
  new: string[];
  codes: string[];
}

describe('fixes of 6.12.118 for 6.12.117', () => {
  beforeAll(() => {
    if (missing !== undefined) return;
    mkdirSync(folder, { recursive: true });
    execFileSync('tar', ['--zstd', '-xf', join(CORPUS, KERNEL, 'units.tar.zst'), '-C', folder]);
  });

  test('every unit has the functions, the verdict and the reasons that are expected', (context) => {
    skipWithout(context, missing);
    const units = readdirSync(folder)
      .filter((name) => existsSync(join(folder, name, 'expected.json')))
      .sort();
    expect(units).toHaveLength(UNITS);
    for (const unit of units) {
      const read = (name: string): Buffer => readFileSync(join(folder, unit, name));
      const expected = JSON.parse(read('expected.json').toString()) as Expected;
      const {
        changed,
        added,
        assessment: { included },
        diagnostics,
      } = diffObjects(read('orig.o'), read('patched.o'));
      const codes = new Set<string>(
        diagnostics.filter(({ severity }) => severity === 'refusal').map(({ code }) => code),
      );
      const found: Expected = {
        verdict: isRefused(diagnostics) ? 'refused' : included.length > 0 ? 'patchable' : 'unchanged',
        changed: Object.keys(changed).sort(),
        new: [...added].sort(),
        codes: expected.codes.filter((code) => codes.has(code)),
      };
      const right = { ...expected, changed: [...expected.changed].sort(), new: [...expected.new].sort() };
      expect([right, { ...right, ...OTHERWISE[unit] }], unit).toContainEqual(found);
    }
  });
});
