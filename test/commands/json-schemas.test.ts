/**
 * The published JSON Schemas of all commands: each is what the result's type says now, describes all that is printed, and refuses what is not.
 * What this guards against: a program that reads `--json` by a schema that the command has left behind.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv from 'ajv';
import { beforeAll, describe, expect, test } from 'vitest';
import { committedManifest } from '../../scripts/manifest.mjs';
import { schemas } from '../../scripts/schemas.mjs';
import { exampleFolder } from '../support/examples';
import { smallImage } from '../support/kernel-image';
import { btf } from '../support/livepatch-module';
import { running } from '../support/run-klpflow';
import { STRUCTS } from '../support/target-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const root = join(__dirname, '../..');
type Json = Record<string, unknown>;

beforeAll(async () => {
  await exampleFolder(folder, 'docs/library.md');
  const structs = Object.entries(STRUCTS).flatMap(([name, struct]) =>
    typeof struct === 'number' ? [] : [[name, { size: struct.size, members: struct.offsets }] as const],
  );
  writeFileSync(join(folder, 'vmlinuz'), smallImage('6.12').bytes);
  const saved = 'kernels:\n  - { name: saved, orig: orig.o }\npatches:\n  - { name: fix, patched: patched.o }\n';
  writeFileSync(join(folder, 'matrix.yaml'), saved);
  writeFileSync(join(folder, 'structs.btf'), btf(Object.fromEntries(structs)));
});

const PAIR = ['orig.o', 'patched.o'];
const KERNEL = ['--symvers', 'Module.symvers', '--btf', 'vmlinux.btf'];
/** What is run of each command, in this order: link needs what extract writes. */
const RUNS: Record<string, readonly string[][]> = {
  scan: [['orig.o']],
  correlate: [PAIR],
  compare: [PAIR],
  extract: [[...PAIR, '-o', 'fix.o', '--symvers', 'Module.symvers']],
  link: [['fix.o', '-o', 'fix.ko', '--symvers', 'Module.symvers', '--btf', 'structs.btf']],
  explain: [[...PAIR, 'NAME'], ['changed-data']],
  report: [[...PAIR, '-o', 'report.html']],
  status: [PAIR, []],
  runs: [[]],
  doctor: [[], ['orig.o'], ['vmlinuz']],
  verify: [['livepatch.ko', ...KERNEL]],
  build: [['fix.patch', '--source', 'no-such-folder']],
  matrix: [['matrix.yaml'], ['matrix.yaml', '--check']],
  worker: [['--redis', 'no-address', '--store', 'made-store', '--kernels', 'matrix.yaml']],
  shape: [['orig.o']],
  wrappers: [['programs']],
  synth: [['--functions', '300', '-o', 'made']],
};

test('each is made from the types of today (npm run surface writes them)', () => {
  const published = readdirSync(join(root, 'schemas')).sort();
  const made = schemas();
  // Written by hand: what diff prints, and what others write for klpflow.
  const byHand = ['diff.schema.json', 'job.schema.json', 'matrix-file.schema.json'];
  expect(published).toEqual([...Object.keys(made), ...byHand].sort());
  for (const [name, text] of Object.entries(made))
    expect(readFileSync(join(root, 'schemas', name), 'utf8'), name).toBe(text);
});

test('every command with --json has one, and is run here', () => {
  const { commands } = JSON.parse(committedManifest()) as { commands: Record<string, { enableJsonFlag: boolean }> };
  const printing = Object.keys(commands).filter((id) => commands[id]!.enableJsonFlag);
  expect(Object.keys(RUNS).sort()).toEqual(printing.filter((id) => id !== 'diff').sort());
});

/** Every object closed: what the schema does not name is refused. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const members = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return 'properties' in members ? { additionalProperties: false, ...members } : members;
}

describe('what is printed', () => {
  test('fits, all of it; without its version it does not', async () => {
    let name = '';
    for (const [command, calls] of Object.entries(RUNS)) {
      const file = command === 'extract' ? 'diff' : command;
      const schema = JSON.parse(readFileSync(join(root, 'schemas', `${file}.schema.json`), 'utf8')) as Json;
      const { default: Ajv2020 } = await import('ajv/dist/2020');
      const own = { allErrors: true, strict: false };
      const made = file === 'diff' ? new Ajv2020(own) : new Ajv(own);
      const [validate, strict] = [
        made.compile({ ...schema, $id: undefined } as Json),
        made.compile({ ...(closed(schema) as Json), $id: undefined } as Json),
      ];
      for (const call of calls) {
        const words = call.map((word) => (word === 'NAME' ? name : word));
        const { stdout, stderr } = await running(
          [command, ...words, '--json', ...(RUNNING.has(command) && call.length > 1 ? ['--progress', 'none'] : [])],
          { cwd: folder, env: { KLPFLOW_CACHE_DIR: join(folder, 'cache') } },
        );
        expect(stdout, `${command}: ${stderr}`).toMatch(/^\{/);
        const printed = JSON.parse(stdout) as Json;
        if (command === 'compare') name = (printed['symbols'] as Array<{ name: string }>)[0]!.name;
        expect(validate(printed), `${command}: ${JSON.stringify(validate.errors)}`).toBe(true);
        expect(strict(printed), `${command}: ${JSON.stringify(strict.errors)}`).toBe(true);
        expect(printed['schema'] === 'klpflow/error@1', `${command} ${words.join(' ')}: ${stdout.slice(0, 300)}`).toBe(
          FAILING.has(command),
        );
        expect(validate({ ...printed, schema: 'klpflow/other@1' }), command).toBe(false);
        const [key] = Object.keys(printed).filter((one) => one !== 'schema');
        expect(validate({ ...printed, [key!]: undefined }), `${command} without ${key}`).toBe(false);
      }
    }
  });
});

/** Of these only what they print of a failure is looked at: a tree to build and a Redis are not here. */
const FAILING = new Set(['build', 'worker']);
const RUNNING = new Set(['correlate', 'compare', 'extract', 'explain', 'report', 'build']);
