/**
 * Files as distributions and builds leave them: each may be compressed wherever one is read, and is called what was given. Wanted besides: the same result, byte for byte, for a livepatch
 * that depended on how its inputs were packed would be another one on the next machine.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { kernelFiles, livepatchModule } from '../support/livepatch-module';
import { errorOf, resultOf, running } from '../support/run-klpflow';
import { smallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const run = (...words: string[]) => running(words, { cwd: folder, env: { KLPFLOW_CACHE_DIR: at('cached') } });

beforeAll(async () => {
  await smallPair(folder);
  mkdirSync(at('kernel'));
  const { symvers, btf } = kernelFiles(at('kernel'));
  const more = '0x00000001\t__ref_stack_chk_guard\tvmlinux\tEXPORT_SYMBOL\t\n';
  writeFileSync(at('Module.symvers'), readFileSync(symvers, 'utf8') + more);
  copyFileSync(btf, at('vmlinux.btf'));
  writeFileSync(at('livepatch.ko'), livepatchModule().module.bytes());
  for (const name of ['orig.o', 'patched.o', 'Module.symvers', 'vmlinux.btf', 'livepatch.ko'])
    writeFileSync(at(`${name}.gz`), gzipSync(readFileSync(at(name))));
});

test('a pair, symvers and types in .gz give the livepatch that plain ones give, and keep their names', async () => {
  const plain = await run(
    'diff',
    'orig.o',
    'patched.o',
    '-o',
    'a.o',
    '--symvers',
    'Module.symvers',
    '--btf',
    'vmlinux.btf',
    '--json',
  );
  const given = ['orig.o.gz', 'patched.o.gz', '-o', 'b.o', '--symvers', 'Module.symvers.gz', '--btf', 'vmlinux.btf.gz'];
  const packedRun = await run('diff', ...given, '--json');
  expect([plain.status, packedRun.status], packedRun.stderr).toEqual([0, 0]);
  expect(readFileSync(at('b.o')).equals(readFileSync(at('a.o')))).toBe(true);
  const { run: stages, ...result } = resultOf(packedRun);
  expect(JSON.stringify(result)).not.toContain(at('cached'));
  // What was unpacked is the same input in the next run.
  const again = resultOf(await run('diff', ...given, '--json'));
  expect(stages.stages.some(({ reused }) => reused > 0) || again.run.stages.some(({ reused }) => reused > 0)).toBe(
    true,
  );
  expect(readdirSync(at('cached/runs'), { recursive: true }).some((name) => String(name).endsWith('.tmp'))).toBe(false);
});

test.each([
  ['xz', 'xz', '-k'],
  ['zst', 'zstd', '-q'],
])('an object in .%s', async (ending, program, flag) => {
  if (spawnSync(program, ['--version']).error !== undefined) return;
  execFileSync(program, [flag, at('orig.o')]);
  const { status, stdout } = await run('scan', `orig.o.${ending}`, '--json');
  expect(status).toBe(0);
  const { object } = JSON.parse(stdout) as { object: { path: string; bytes: number } };
  expect(object).toMatchObject({ path: `orig.o.${ending}`, bytes: readFileSync(at('orig.o')).length });
});

test('verify, scan, status, explain and doctor take them, too', async () => {
  const files = ['--symvers', 'Module.symvers.gz', '--btf', 'vmlinux.btf.gz'];
  const [plain, packedModule] = await Promise.all([
    run('verify', 'livepatch.ko', '--symvers', 'Module.symvers', '--btf', 'vmlinux.btf', '--json'),
    run('verify', 'livepatch.ko.gz', ...files, '--json'),
  ]);
  const findings = (text: string): string[] =>
    (JSON.parse(text) as { diagnostics: Array<{ code: string }> }).diagnostics.map(({ code }) => code);
  expect(findings(packedModule.stdout)).toEqual(findings(plain.stdout));
  expect(packedModule.status).toBe(plain.status);
  expect((await run('scan', 'orig.o.gz')).status).toBe(0);
  expect((await run('doctor', 'orig.o.gz')).stdout).toContain('orig.o.gz');
  expect((await run('status', 'orig.o.gz', 'patched.o.gz')).stdout).toContain('orig.o.gz');
  const changed = resultOf(await run('diff', 'orig.o', 'patched.o', '--json')).objects[0]!.functions.changed[0]!;
  expect((await run('explain', 'orig.o.gz', 'patched.o.gz', changed.name)).status).toBe(0);
});

test('a damaged one is told by the name that was given', async () => {
  writeFileSync(at('cut.o.gz'), gzipSync(readFileSync(at('orig.o'))).subarray(0, 5000));
  const { code, message } = errorOf(await run('diff', 'cut.o.gz', 'patched.o.gz', '--json'));
  expect(code).toBe('malformed-image');
  expect(message).toMatch(/^cut\.o\.gz: .*gzip stream/);
  writeFileSync(at('text.o.gz'), gzipSync('not an object'));
  const other = errorOf(await run('diff', 'text.o.gz', 'patched.o.gz', '--json'));
  expect(other).toMatchObject({ code: 'not-elf', where: { object: 'text.o.gz' } });
});
