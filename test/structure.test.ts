/**
 * Imports point one way. Rooms and their order: see the architecture notes; a file may import its own room and what
 * its room's line below allows.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { importsOf, sources, type Import } from './support/imports';

const root = join(__dirname, '..');

/** From left to right. */
const below = {
  index: [
    'tools',
    'kbuild',
    'pipeline',
    'patch',
    'stages',
    'livepatch',
    'kernel-image',
    'kernel',
    'arch',
    'elf',
    'files',
    'diagnostics',
  ],
  tools: ['pipeline', 'patch', 'stages', 'livepatch', 'kernel-image', 'kernel', 'arch', 'elf', 'files', 'diagnostics'],
  pipeline: ['patch', 'stages', 'livepatch', 'kernel-image', 'kernel', 'arch', 'elf', 'files', 'diagnostics'],
  stages: ['livepatch', 'kernel-image', 'kernel', 'arch', 'elf', 'files', 'diagnostics'],
  livepatch: ['kernel', 'arch', 'elf', 'files', 'diagnostics'],
  kernel: ['arch', 'elf', 'files', 'diagnostics'],
  arch: ['elf', 'files', 'diagnostics'],
  elf: ['files', 'diagnostics'],
};

const ALLOWED: Record<string, { values: readonly string[]; types?: readonly string[] }> = {
  cli: { values: ['commands', 'pipeline', 'diagnostics', 'launch', 'v8-flags', 'package.json'] },
  'v8-flags': { values: [] },
  lists: { values: [] },
  columns: { values: [], types: ['elf'] },
  launch: { values: [] },
  // The command line uses the library as anybody may. What has no words of its own shares those of diagnostics.
  commands: { values: ['index', 'report', 'diagnostics'] },
  index: { values: ['library', 'fleet', ...below.index, 'synth'], types: ['verify'] },
  library: { values: ['fleet', ...below.index, 'verify', 'synth'] },
  fleet: { values: ['v8-flags', 'schemas', 'kbuild', ...below.pipeline, 'pipeline', 'records', 'verify'] },
  tools: { values: below.tools },
  // Verifies what it writes before that gets its name.
  kbuild: { values: [...below.tools, 'verify'] },
  pipeline: { values: ['v8-flags', ...below.pipeline, 'records', 'package.json'] },
  stages: { values: below.stages },
  'kernel-image': { values: ['kernel', 'arch', 'elf', 'files', 'diagnostics'] },
  livepatch: { values: below.livepatch },
  kernel: { values: below.kernel },
  arch: { values: ['v8-flags', ...below.arch] },
  elf: { values: below.elf },
  patch: { values: ['files', 'diagnostics'] },
  files: { values: ['diagnostics'] },
  diagnostics: { values: [] },
  records: { values: ['elf', 'files', 'diagnostics'] },
  report: { values: ['diagnostics'], types: ['index', 'fleet', 'pipeline', 'stages'] },
  verify: { values: ['elf', 'files', 'diagnostics'] },
  synth: { values: ['elf', 'files', 'diagnostics'] },
  workers: {
    values: [
      'launch',
      'v8-flags',
      'stages',
      'records',
      'arch',
      'livepatch',
      'kernel-image',
      'kernel',
      'elf',
      'files',
      'diagnostics',
    ],
    types: ['pipeline'],
  },
};

/** Packages that belong to one room. */
const OWNERS: Record<string, string | readonly string[]> = {
  'mmap-io': 'files',
  piscina: 'pipeline',
  diff: ['patch', 'kbuild'],
  yaml: 'fleet',
  ajv: 'fleet',
  bullmq: 'fleet',
  ioredis: 'fleet',
  '@aws-sdk/client-s3': 'fleet',
  rxjs: 'pipeline',
  protobufjs: 'records',
  // The verifier unpacks by other packages than what it checks.
  zstddec: 'kernel-image',
  lz4js: 'kernel-image',
  'seek-bzip': 'kernel-image',
  '@napi-rs/lzma': 'files',
  'xz-decompress': 'verify',
  '@bokuweb/zstd-wasm': 'verify',
  fflate: 'verify',
};

/** Of the room of files the verifier takes the reading alone: what decodes (.xz) is among what it checks. */
const READING = /^src\/files\/(?:mapped-file|whole-file)$/;

/** Rooms of pure functions, and what they may not ask Node for. */
const PURE = ['stages', 'arch', 'diagnostics'];
const IMPURE = /^(node:)?(fs|child_process|worker_threads|net|http|https|dgram)(\/|$)/;

/** The room of a path relative to the root, written with or without its extension. */
function roomOf(path: string): string {
  const [top, name = 'index', ...rest] = path.split('/');
  if (top !== 'src') return top!;
  if (rest.length > 0) return name;
  const bare = name.replace(/\.ts$/, '');
  return bare === 'main' || bare === 'cli' ? 'cli' : bare;
}

/** What is wrong with one import; null where nothing is. */
function complaint({ file, line, target, typeOnly }: Import): string | null {
  const room = roomOf(file);
  const place = `${file}:${line} (${room})`;
  const rules = ALLOWED[room];
  if (rules === undefined) return `${place}: a room that the table of this test does not know`;
  if (target.startsWith('.')) {
    const path = normalize(join(dirname(file), target));
    const other = roomOf(path);
    if (room === 'verify' && other === 'files' && !READING.test(path))
      return `${place} imports ${target}: a decoder of the rest`;
    if (
      other === room ||
      other === 'lists' ||
      other === 'columns' ||
      rules.values.includes(other) ||
      (typeOnly && rules.types?.includes(other))
    )
      return null;
    return `${place} imports ${target} (${other})${rules.types?.includes(other) ? ' for more than its types' : ''}`;
  }
  const name = target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');
  const owner = OWNERS[name];
  if (owner !== undefined && ![owner].flat().includes(room)) return `${place} imports ${name}, which only ${owner} may`;
  if (room === 'verify' && name === 'node:zlib') return `${place} imports ${target}, which the rest unpacks with`;
  if (PURE.includes(room) && IMPURE.test(target)) return `${place} imports ${target}: this room does no I/O`;
  return null;
}

function check(base: string): { files: string[]; imports: Import[]; complaints: string[] } {
  const files = sources(
    base,
    ['src', 'workers'].filter((directory) => existsSync(join(base, directory))),
  );
  const imports = files.flatMap((file) => importsOf(base, file));
  return { files, imports, complaints: imports.map(complaint).filter((text) => text !== null) };
}

test('imports point one way', () => {
  const { files, imports, complaints } = check(root);
  expect(complaints).toEqual([]);
  // The premise: this looked at the sources, and understood what it saw.
  expect(files.length).toBeGreaterThan(15);
  expect(imports.filter(({ target }) => target.startsWith('.')).length).toBeGreaterThan(15);
  const rooms = new Set(files.map(roomOf));
  for (const room of ['cli', 'commands', 'elf', 'files', 'diagnostics']) expect(rooms).toContain(room);
  expect(new Set(imports.filter(({ target }) => target === 'mmap-io').map(({ file }) => roomOf(file)))).toEqual(
    new Set(['files']),
  );
});

test('an import the other way is caught, in every form', () => {
  const wrong: Record<string, string> = {
    'src/elf/static.ts': "import { scan } from '../stages/scan'",
    'src/elf/type.ts': "import type { Scan } from '../stages/scan'",
    'src/elf/export.ts': "export * from '../arch'",
    'src/kernel/format.ts': "import { klp } from '../livepatch/klp'",
    'src/elf/dynamic.ts': "export const load = () => import('../livepatch/klp')",
    'src/elf/require.ts': "export const arch = require('../arch')",
    'src/elf/typeof.ts': "export type Arch = typeof import('../arch')",
    'src/files/pool.ts': "import { Piscina } from 'piscina'",
    'src/stages/map.ts': "import mmap from 'mmap-io'",
    'src/stages/read.ts': "import { readFileSync } from 'node:fs'",
    'src/pipeline/up.ts': "import { diff } from '../index'",
    'src/pipeline/tool.ts': "import { objtoolDiff } from '../tools/objtool/klp-diff'",
    'src/index.ts': "import diff from './commands/diff'",
    'src/report/values.ts': "import { run } from '../pipeline'",
    'src/report/inline.ts': "import { type Run } from '../pipeline'",
    'src/records/wide.ts': "import { scan } from '../stages'",
    'src/verify/wide.ts': "import { x86 } from '../arch'",
    'src/verify/shipped/decoder.ts': "import { rawXz } from '../../files/xz'",
    'src/verify/shipped/gzip.ts': "import { gunzipSync } from 'node:zlib'",
    'src/verify/shipped/package.ts': "export const load = () => import('zstddec')",
    'src/synth/wide.ts': "import { scan } from '../stages/scan'",
    'src/commands/schema.ts': "import protobuf from 'protobufjs/minimal'",
    'src/commands/inside.ts': "import { checkOutput } from '../pipeline/files'",
    'src/commands/inside-type.ts': "import type { KlpState } from '../livepatch/ko'",
    'src/commands/library.ts': "import { diff } from '../library/diff'",
    'src/unknown/file.ts': "import { join } from 'node:path'",
    'workers/flow.ts': "import { run } from '../src/pipeline'",
    'workers/test.ts': "import { build } from '../test/support/elf-builder'",
  };
  const right: Record<string, string> = {
    'src/commands/diff.ts':
      "import { diff } from '../index'; import { html } from '../report'; import { x } from './base'",
    'src/pipeline/pool.ts':
      "import { Piscina } from 'piscina'; import { map } from 'rxjs/operators'; import { write } from '../records'",
    'src/report/types.ts': "import type { Run } from '../pipeline'; import type { Diff } from '..'",
    'src/verify/shipped/read.ts': "import { MappedFile } from '../../files/mapped-file'",
    'workers/types.ts': "import type { Task } from '../src/pipeline'; import { scan } from '../src/stages/scan'",
  };
  const base = mkdtempSync(join(tmpdir(), 'klpflow-structure-'));
  try {
    for (const [file, text] of Object.entries({ ...wrong, ...right })) {
      mkdirSync(join(base, dirname(file)), { recursive: true });
      writeFileSync(join(base, file), `${text};\n`);
    }
    const caught = check(base).complaints.map((text) => text.slice(0, text.indexOf(':')));
    expect(caught.sort()).toEqual(Object.keys(wrong).sort());
  } finally {
    rmSync(base, { recursive: true });
  }
});

test('every command file is in the table of commands', () => {
  const commands = sources(root, ['src/commands']).filter((file) =>
    /^export default class/m.test(readFileSync(join(root, file), 'utf8')),
  );
  const table = importsOf(root, 'src/cli.ts').filter(
    ({ target, typeOnly }) => target.startsWith('./commands/') && !typeOnly,
  );
  expect(table.map(({ target }) => `${normalize(join('src', target))}.ts`).sort()).toEqual(commands.sort());
  expect(commands.length).toBeGreaterThan(0);
});
