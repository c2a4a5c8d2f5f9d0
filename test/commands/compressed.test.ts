/**
 * Files as distributions and builds leave them: each may be compressed wherever one is read, and is called what was given. Wanted besides: the same result, byte for byte, for a livepatch
 * that depended on how its inputs were packed would be another one on the next machine.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { kernelFiles, livepatchModule } from '../support/livepatch-module';
import { errorOf, resultOf, running } from '../support/run-klpflow';
import { body, call, movEax } from '../support/diff-objects';
import { object } from '../support/elf-builder';
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

/** A unit of two functions; `value` is what one of them returns. */
const unit = (name: string, value: number): Buffer =>
  Buffer.from(
    object()
      .file(`${name}.c`)
      .func(`${name}_get`, body(movEax(value)), { bind: 'global' })
      .func(`${name}_use`, body(call(`${name}_get`)), { bind: 'global' })
      .bytes(),
  );

const put = (name: string, bytes: Uint8Array): void => {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), bytes);
};

/** A folder's result without what tells of the run. */
const ofFolders = async (orig: string, patched: string, ...more: string[]) => {
  const { run: _, ...result } = resultOf(await run('diff', orig, patched, '--json', ...more));
  return result;
};

test('objects within folders, in any mixture, give the result that plain ones give', async () => {
  for (const [name, value] of [
    ['fs/one', 1],
    ['fs/two', 2],
    ['net/three', 3],
  ] as const) {
    const [ours, theirs] = [unit(name.slice(-3), value), unit(name.slice(-3), value === 3 ? 3 : value + 10)];
    put(`plain-a/${name}.o`, ours);
    put(`plain-b/${name}.o`, theirs);
    put(name === 'fs/one' ? `packed-a/${name}.o` : `packed-a/${name}.o.gz`, name === 'fs/one' ? ours : gzipSync(ours));
    put(`packed-b/${name}.o.gz`, gzipSync(theirs));
  }
  // `gzip -k` leaves both.
  put('packed-b/fs/one.o', readFileSync(at('plain-b/fs/one.o')));
  put('packed-b/fs/readme.gz', gzipSync('no object'));
  const plain = await ofFolders('plain-a', 'plain-b');
  expect(plain.objects.map(({ name }) => name)).toEqual(['fs/one.o', 'fs/two.o']);
  const packed = await ofFolders('packed-a', 'packed-b/');
  expect(packed).toEqual(JSON.parse(JSON.stringify(plain).replaceAll('plain-', 'packed-')));
  expect(JSON.stringify(packed)).not.toContain(at('cached'));
  const { status, stdout } = await run('explain', 'packed-a', 'packed-b', 'two_get');
  expect([status, stdout]).toEqual([0, expect.stringContaining('changed: code')]);

  // The next run sees what is there then.
  put('packed-b/net/three.o.gz', gzipSync(unit('ree', 4)));
  rmSync(at('packed-b/fs/two.o.gz'));
  const next = await ofFolders('packed-a', 'packed-b');
  expect(next.objects.map(({ name }) => name)).toEqual(['fs/one.o', 'net/three.o']);
  expect(next.diagnostics.map(({ code }) => code)).toContain('unit-mismatch');
});

test('a damaged object within a folder is told by its own name', async () => {
  put('cut-a/one.o.gz', gzipSync(unit('one', 1)).subarray(0, 60));
  put('cut-b/one.o', unit('one', 2));
  const { code, message } = errorOf(await run('diff', 'cut-a', 'cut-b', '--json'));
  expect([code, message]).toEqual(['malformed-image', expect.stringMatching(/^cut-a\/one\.o\.gz: /)]);
});

test('a folder of links is one of what they lead to', async () => {
  for (const build of ['a', 'b'] as const) {
    mkdirSync(at(`links-${build}`));
    symlinkSync(at(`plain-${build}/fs/one.o`), at(`links-${build}/one.o`));
    symlinkSync('nowhere.o', at(`links-${build}/broken.o`));
    symlinkSync('itself.o', at(`links-${build}/itself.o`));
  }
  expect((await ofFolders('links-a', 'links-b')).objects.map(({ name }) => name)).toEqual(['one.o']);
});

test('what is read may not be written over under the name that it had', async () => {
  const before = readFileSync(at('orig.o.gz'));
  const given = ['diff', 'orig.o.gz', 'patched.o', '-o', 'orig.o.gz', '--format', 'klp', '--json'];
  expect(errorOf(await run(...given))).toMatchObject({ code: 'usage', message: expect.stringContaining('orig.o.gz') });
  expect(readFileSync(at('orig.o.gz')).equals(before)).toBe(true);
});

test('stand-ins and shape take them', async () => {
  expect((await run('shape', 'orig.o.gz')).stdout).toBe((await run('shape', 'orig.o')).stdout);
  const files = ['vmlinux', 'symtab', 'Module.symvers', 'fix'];
  writeFileSync(at('symtab'), '');
  put('symtab.gz', gzipSync(''));
  const plain = await run('create-diff-object', 'orig.o', 'patched.o', ...files, 'plain-out.o');
  const packed = await run(
    ...['create-diff-object', 'orig.o.gz', 'patched.o.gz', 'vmlinux', 'symtab.gz', 'Module.symvers.gz', 'fix'],
    'packed-out.o',
  );
  expect(packed.status).toBe(plain.status);
  const named = (text: string): string => text.replaceAll(/\b(orig\.o|patched\.o|symtab|Module\.symvers)\.gz/g, '$1');
  expect([named(packed.stdout), named(packed.stderr)]).toEqual([plain.stdout, plain.stderr]);
  // What is changed in place stays what it is.
  const { status, stderr } = await run('objtool', 'klp', 'checksum', 'orig.o.gz');
  expect([status, stderr]).toEqual([1, expect.stringContaining('orig.o.gz is compressed: unpack it first')]);
});
