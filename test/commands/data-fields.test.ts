/**
 * `--btf`: what differs of a variable by the fields of its type. The silent failures: a field of a struct of the same size that the variable is not, a sign or an order of bits taken wrongly,
 * and a table's second element told as the first.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';
import type { DiffResult } from '../../src';

const folder = tempFolder();
const SOURCE = `typedef unsigned int u32;
typedef signed char s8;
enum state { IDLE, BUSY = 7 };
struct limits { u32 low; u32 high; };
struct tcp_metrics {
	u32 count;
	s8 level;
	_Bool on;
	unsigned first : 3;
	unsigned second : 5;
	enum state state;
	struct limits limits[2];
	union { u32 a; float b; } either;
	const char *name;
	int (*call)(int);
};
struct impostor { unsigned long words[8]; };
int one(int n) { return n; }
int two(int n) { return n + 1; }
struct tcp_metrics metrics = { 717, -2, 0, 1, 9, IDLE, { { 1, 2 }, { 3, 4 } }, { 5 }, "old", one };
struct limits table[3] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };
int plain = -70000;
struct impostor other;
int uses(void) { return metrics.count + table[1].low + plain + other.words[0]; }
`;
const PATCHED = SOURCE.replace(
  '{ 717, -2, 0, 1, 9, IDLE, { { 1, 2 }, { 3, 4 } }, { 5 }, "old", one }',
  '{ 718, -3, 1, 1, 10, BUSY, { { 1, 2 }, { 3, 44 } }, { 6 }, "new", two }',
)
  .replace('{ 3, 4 }, { 5, 6 } }', '{ 3, 4 }, { 5, 66 } }')
  .replace('-70000', '-70001');
const here = spawnSync('gcc', ['--version']).error === undefined;

function compiled(name: string, source: string, ...flags: string[]): string {
  writeFileSync(join(folder, 'unit.c'), source);
  const object = join(folder, `${name}.o`);
  execFileSync('gcc', [
    '-O2',
    '-fdata-sections',
    '-ffunction-sections',
    '-fno-pic',
    ...flags,
    '-c',
    join(folder, 'unit.c'),
    '-o',
    object,
  ]);
  return object;
}

async function changed(
  orig: string,
  patched: string,
  ...words: string[]
): Promise<DiffResult['objects'][0]['data']['changed']> {
  const { stdout } = await running(['diff', orig, patched, ...words, '--json', '--run-dir', join(folder, 'runs')]);
  return (JSON.parse(stdout) as DiffResult).objects[0]!.data.changed;
}

const FIELDS = [
  ['struct tcp_metrics.count', 'u32', '717', '718'],
  ['struct tcp_metrics.level', 's8', '-2', '-3'],
  ['struct tcp_metrics.on', '_Bool', 'false', 'true'],
  ['struct tcp_metrics.second', 'unsigned int:5', '9', '10'],
  ['struct tcp_metrics.state', 'enum state', 'IDLE (0)', 'BUSY (7)'],
  ['struct tcp_metrics.limits[1].high', 'u32', '4', '44'],
  ['struct tcp_metrics.either', 'union', '05 00 00 00', '06 00 00 00'],
  ['struct tcp_metrics.name', 'char *', '"old"', '"new"'],
  ['struct tcp_metrics.call', 'a function *', 'one', 'two'],
];

/** The variables' types are in the BTF itself (gcc -gbtf), or the object's debug information says which struct each is. */
test.each([
  ['variables that the types name', [], ['-gbtf']],
  ['variables that debug information names', ['-g'], ['-gbtf', '-Dmetrics=m', '-Dtable=t', '-Dplain=p', '-Dother=o']],
])('%s', async (_, flags, typed) => {
  if (!here) return;
  const [orig, patched] = [compiled('a', SOURCE, ...flags), compiled('b', PATCHED, ...flags)];
  const btf = compiled('types', SOURCE, ...typed);
  // The premise: without types there are bytes.
  const [bare] = (await changed(orig, patched)).filter(({ name }) => name === 'metrics');
  expect(bare?.change).toMatchObject({ kind: 'data', rows: [{ orig: 'cd 02 00 00 fe 00 49 00' }, {}, {}, {}, {}] });
  const found = Object.fromEntries(
    (await changed(orig, patched, '--btf', btf)).map(({ name, change }) => [name, change]),
  );
  expect(found['metrics']).toMatchObject({ kind: 'data', differing: FIELDS.length });
  const rows = found['metrics']!.kind === 'data' ? found['metrics']!.rows : [];
  expect(rows.map(({ field, orig: a, patched: b }) => [field?.path, field?.type, a, b])).toEqual(FIELDS);
  expect(found['table']).toMatchObject({
    rows: [
      {
        offset: 20,
        field: { path: expect.stringMatching(/^struct limits(\[3\])?\[2\]\.high$/) },
        orig: '6',
        patched: '66',
      },
    ],
  });
  if (typed.length === 1)
    expect(found['plain']).toMatchObject({ rows: [{ field: { type: 'int' }, orig: '-70000', patched: '-70001' }] });
  const text = (await running(['explain', orig, patched, 'metrics', '--btf', btf, '--run-dir', join(folder, 'runs')]))
    .stdout;
  expect(text).toMatch(/struct tcp_metrics\.count \(u32\):\n +0 {2}717 +\| 718/);
  const first = (await running(['diff', orig, patched, '--btf', btf, '--run-dir', join(folder, 'runs')])).stdout;
  expect(first).toContain('+0x0 struct tcp_metrics.count (u32): 717 -> 718');
});

test('a struct of another size than the variable, or of a name that two units give to two things, is not meant', async () => {
  if (!here) return;
  const [orig, patched] = [compiled('c', SOURCE, '-g'), compiled('d', PATCHED, '-g')];
  const larger = compiled(
    'larger',
    SOURCE.replace('u32 count;', 'u32 count; u32 more[9];').replace('metrics = { 717,', 'metrics = { 717, {},'),
    '-gbtf',
  );
  const [metrics] = (await changed(orig, patched, '--btf', larger)).filter(({ name }) => name === 'metrics');
  expect(JSON.stringify(metrics)).not.toContain('tcp_metrics');
  const twice = (name: string, source: string): string => {
    const second = compiled(
      `${name}-2`,
      'struct limits { int low, high; }; static struct limits metrics[8]; void *f(void) { return metrics; }',
      '-g',
    );
    execFileSync('ld', ['-r', '-o', join(folder, `${name}-r.o`), compiled(`${name}-1`, source, '-g'), second]);
    return join(folder, `${name}-r.o`);
  };
  const types = compiled('types-2', SOURCE, '-gbtf', '-Dmetrics=m');
  const both = await changed(twice('e', SOURCE), twice('f', PATCHED), '--btf', types);
  expect(both.map(({ name }) => name)).toContain('metrics');
  expect(JSON.stringify(both)).not.toContain('struct tcp_metrics');
});

test('damaged types end in a word on them, never in a crash or without an end', async () => {
  if (!here) return;
  const { BtfFields } = await import('../../src/kernel/btf-fields');
  const { readBtf } = await import('../../src/pipeline/btf-file');
  const { KlpflowError } = await import('../../src/diagnostics');
  const { bytes } = readBtf(compiled('types-3', SOURCE, '-gbtf'));
  let met = 0;
  for (let at = 24; at < bytes.length; at++)
    for (const value of [0, 1, 0x7f, 0xff]) {
      const spoiled = Buffer.from(bytes);
      spoiled[at] = value;
      try {
        const fields = new BtfFields(spoiled, 'x', true);
        const type = fields.typeOf('metrics', 48, 'tcp_metrics');
        if (type !== undefined)
          for (const field of fields.within(type, 48, 0, 48)) fields.value(field, Buffer.alloc(8));
        met++;
      } catch (error) {
        if (!(error instanceof KlpflowError)) throw error;
      }
    }
  expect(met).toBeGreaterThan(100);
  expect(readFileSync(join(folder, 'types-3.o')).length).toBeGreaterThan(0);
});
