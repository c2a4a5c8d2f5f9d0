/**
 * The package as who installs it has it: packed, installed into an empty folder, used from there. 146 packages and 48 MB were installed although nearly all
 * was bundled, and without its addon every command ended in a stack trace.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { examplesOf } from './support/examples';
import { smallPair } from './support/small-pair';
import { tempFolder } from './support/temp-folder';

const root = join(__dirname, '..');
const folder = tempFolder();
const at = (...path: string[]): string => join(folder, ...path);
let packed: string[] = [];
/** Why it could not be installed: the one package that is not bundled has to come from a registry or npm's cache. */
let absent: string | undefined;

beforeAll(async () => {
  // A copy: others build and test in this tree meanwhile.
  const copy = at('tree');
  for (const name of readdirSync(root))
    if (!['.git', 'node_modules', 'test'].includes(name))
      cpSync(join(root, name), join(copy, name), { recursive: true });
  cpSync(join(root, 'node_modules'), join(copy, 'node_modules'), { recursive: true, verbatimSymlinks: true });
  const [{ filename, files }] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--pack-destination', folder, '--loglevel=error'], {
      cwd: copy,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }).replace(/^[^[]*/, ''),
  ) as [{ filename: string; files: Array<{ path: string }> }];
  packed = files.map(({ path }) => path);
  mkdirSync(at('empty'));
  writeFileSync(at('empty/package.json'), '{"private":true}');
  const { status, stderr } = spawnSync(
    'npm',
    ['install', at(filename), '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: at('empty'),
      encoding: 'utf8',
    },
  );
  if (status !== 0 && /ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENOTCACHED/.test(stderr))
    absent = 'no registry, and npm has not kept @napi-rs/lzma';
  else expect(status, stderr).toBe(0);
  await smallPair(at('empty'));
}, 600_000);

function skipUninstalled(context: TestContext): void {
  if (absent !== undefined) context.skip(absent);
}

const run = (...words: string[]) =>
  spawnSync(process.execPath, [at('empty/node_modules/klpflow/dist/main.js'), ...words], {
    cwd: at('empty'),
    encoding: 'utf8',
    env: { ...process.env, KLPFLOW_CACHE_DIR: at('cache') },
  });

test('it holds what runs, its types, schemas, documents and licences, and nothing else', () => {
  for (const name of [
    'LICENSE',
    'LICENSES/GPL-3.0-or-later.txt',
    'README.md',
    'CHANGELOG.md',
    'dist/THIRD-PARTY-LICENSES.txt',
    'dist/addon/mmap-io.cc',
    'dist/cli.cache',
    'dist/index.d.ts',
    'docs/library.md',
    'include/klpflow_set_data.h',
    'include/linux/livepatch_helpers.h',
    'oclif.manifest.json',
    'schemas/build.schema.json',
    'scripts/install.cjs',
  ])
    expect(packed).toContain(name);
  const places = new Set(packed.map((path) => path.split('/')[0]!));
  expect([...places].sort()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'LICENSES',
    'README.md',
    'dist',
    'docs',
    'include',
    'oclif.manifest.json',
    'package.json',
    'proto',
    'schemas',
    'scripts',
  ]);
  expect(packed.filter((path) => /(^|\/)\.|\.tmp$|bench\.js|demo\.js/.test(path))).toEqual([]);
});

test('npm finds the manual page', () => {
  // npm 11 links those of a list alone: a single name was passed over, and `man klpflow` found nothing.
  const { man } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { man: string[] };
  expect(man).toEqual(['dist/man/klpflow.1']);
  for (const name of man) expect(packed).toContain(name);
});

test('the licences of all that is bundled are in one file', () => {
  const text = readFileSync(join(root, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
  for (const name of [
    '@oclif/core',
    'piscina',
    'protobufjs',
    'rxjs',
    'iced-x86',
    '@riaskov/mmap-io',
    'nan',
    'assemblyscript',
    'zstddec',
  ])
    expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+: `, 'm'));
  expect(text).toContain('Apache License');
  expect(text).toContain('GPL-3.0-or-later');
});

describe('installed', () => {
  test('three packages at most are there: klpflow, and a decoder with its binary', (context) => {
    skipUninstalled(context);
    const modules = at('empty/node_modules');
    const names = readdirSync(modules)
      .filter((name) => !name.startsWith('.'))
      .flatMap((name) =>
        name.startsWith('@') ? readdirSync(join(modules, name)).map((own) => `${name}/${own}`) : [name],
      );
    expect(names.filter((name) => !/^@napi-rs\/lzma/.test(name))).toEqual(['klpflow']);
    expect(names.length).toBeLessThanOrEqual(4);
  });

  test('it runs', (context) => {
    skipUninstalled(context);
    expect(execFileSync(at('empty/node_modules/.bin/klpflow'), ['--version'], { encoding: 'utf8' })).toMatch(
      /^klpflow\//,
    );
    expect(run('doctor')).toMatchObject({ status: 0, stderr: '' });
    expect(run('diff', 'orig.o', 'patched.o', '--progress', 'none').stdout).toMatch(/^PATCHABLE/);
    expect(run('explain', 'orig.o', 'patched.o', 'blk_remove_task_safe', '--progress', 'none').stdout).toContain(' | ');
    expect(run('verify', 'orig.o').stderr).not.toContain('internal');
  });

  test("the document's examples compile with the types that are in it, every library checked", (context) => {
    skipUninstalled(context);
    examplesOf('docs/library.md').forEach((code, i) => writeFileSync(at(`empty/example-${i}.mts`), code));
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      module: 'nodenext',
      target: 'ES2022',
      lib: ['ES2023'],
      noEmit: true,
      skipLibCheck: false,
      typeRoots: [join(root, 'node_modules/@types')],
      types: ['node'],
    };
    writeFileSync(at('empty/tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts'] }));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '-p', at('empty')], { encoding: 'utf8' });
    expect(stdout).toBe('');
  });

  test('without its addon every command that needs it says so in a line, and what to do', (context) => {
    skipUninstalled(context);
    const addon = at('empty/node_modules/klpflow/dist/addon/build/Release/mmap_io.node');
    expect(existsSync(addon)).toBe(true);
    renameSync(addon, `${addon}.gone`);
    for (const words of [
      ['diff', 'orig.o', 'patched.o'],
      ['compare', 'orig.o', 'patched.o'],
      ['correlate', 'orig.o', 'patched.o'],
      ['explain', 'orig.o', 'patched.o', 'f'],
      ['extract', 'orig.o', 'patched.o', '-o', 'fix.o', '--symvers', 'orig.o'],
      ['report', 'orig.o', 'patched.o', '-o', 'r.html'],
      ['scan', 'orig.o'],
      ['verify', 'orig.o'],
      ['shape', 'orig.o'],
      ['link', 'orig.o', '-o', 'x.ko', '--symvers', 'orig.o', '--btf', 'orig.o'],
      ['doctor', 'orig.o'],
      ['objtool', 'klp', 'checksum', 'orig.o'],
      ['objtool', 'klp', 'diff', 'orig.o', 'patched.o', 'out.o'],
    ]) {
      const { status, stdout, stderr } = run(...words);
      expect(status, words[0]).not.toBe(0);
      expect(stdout + stderr, words.join(' ')).toMatch(
        /the mmap addon does not load in Node\.js v\d+[^\n]*: Cannot find module[^\n]*\n[^\n]*npm rebuild klpflow/,
      );
      expect(stdout + stderr, words.join(' ')).not.toMatch(/^ {4}at /m);
    }
    for (const words of [['--help'], ['diff', '--help'], ['runs'], ['status', 'orig.o'], ['--version']])
      expect(run(...words).status, words.join(' ')).toBe(0);
    renameSync(`${addon}.gone`, addon);
  });
});
