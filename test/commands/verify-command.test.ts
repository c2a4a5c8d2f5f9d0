/** `klpflow verify` as it is typed: what scripts rely on is its exit code and its JSON. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { VerifyResult } from '../../src';
import { renderVerification } from '../../src/report/verify';
import { verify } from '../../src/verify';
import { kernelFiles, livepatchModule } from '../support/livepatch-module';
import { errorOf, running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const path = (name: string): string => join(folder, name);

test('0 for a fine module, 2 for one with findings, 1 for a file that is none', async () => {
  const { vmlinux, symvers, btf, template, objects } = kernelFiles(folder);
  const flags = [
    '--vmlinux',
    vmlinux,
    '--symvers',
    symvers,
    '--btf',
    btf,
    '--template',
    template,
    '--object',
    objects[0]!,
  ];
  const { module, at } = livepatchModule();
  module.write(path('good.ko'));
  module.rela('.text', at['callHelper']! + 1).addend += 4;
  module.write(path('wrong.ko'));
  writeFileSync(path('text.ko'), 'text');

  const good = await running(['verify', path('good.ko'), ...flags]);
  expect(good.status, good.stderr).toBe(0);
  // A linked vmlinux says nothing of the module loop.
  expect(good.stdout).toMatch(/^INCOMPLETE {2}livepatch_alpha: 2 functions patched in 2 objects, 8 klp symbols/);
  expect(good.stdout).toContain('  vmlinux: alpha -> alpha\n  loop: loader,1 -> loader');

  const wrong = await running(['verify', path('wrong.ko'), ...flags]);
  expect(wrong.status).toBe(2);
  expect(wrong.stdout).toMatch(
    /^REFUSED {2}[^]*verify-target: \.text\+0x[0-9a-f]+: a call to helper\+0x4 of vmlinux[^]*\[alpha\+0x/,
  );

  const json = await running(['verify', path('wrong.ko'), ...flags, '--json']);
  expect(json.status).toBe(2);
  const result = JSON.parse(json.stdout) as VerifyResult;
  expect(result).toMatchObject({
    schema: 'klpflow/verify@1',
    ok: false,
    module: { path: path('wrong.ko'), name: 'livepatch_alpha' },
  });
  expect(result.diagnostics.filter(({ code }) => code === 'verify-target')).toEqual([
    expect.objectContaining({
      severity: 'refusal',
      where: {
        object: path('wrong.ko'),
        section: '.text',
        symbol: 'alpha',
        offset: at['callHelper']! + 1 - at['alpha']!,
      },
    }),
  ]);

  const text = await running(['verify', path('text.ko'), '--json']);
  expect(text.status).toBe(1);
  expect(errorOf(text)).toMatchObject({ code: 'not-elf', severity: 'error' });
});

test('FINE is said only where everything was checked', () => {
  const { module } = livepatchModule();
  module.write(path('alone.ko'));
  const result = verify({ module: path('alone.ko') });
  expect(result.ok).toBe(true);
  expect(renderVerification(result)).toMatch(/^INCOMPLETE /);
  expect(renderVerification({ ...result, diagnostics: [] })).toMatch(/^FINE /);
  expect(renderVerification({ ...result, ok: false })).toMatch(/^REFUSED /);
});

test('--progress tells how far it is, to the end; without a terminal it is one line, and none where nobody wants it', async () => {
  const { vmlinux } = kernelFiles(folder);
  livepatchModule().module.write(path('told.ko'));
  const { events, status } = await running(['verify', path('told.ko'), '--vmlinux', vmlinux, '--progress', 'json']);
  expect(status).toBe(0);
  expect(events.map(({ done }) => done)).toEqual(events.map((_, i) => i));
  expect(events.length).toBeGreaterThan(5);
  for (const { stage, object, total } of events)
    expect([stage, object, total]).toEqual(['verify', path('told.ko'), events.length - 1]);
  expect((await running(['verify', path('told.ko')])).stderr).toMatch(
    /^\[ *\d+\.\d\d s\] verify \S+told\.ko (\d+)\/\1\n$/,
  );
  expect((await running(['verify', path('told.ko'), '--progress', 'none'])).stderr).toBe('');
});
