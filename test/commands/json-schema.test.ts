/**
 * The published JSON Schema of `diff --json`. What this guards against: a field that is renamed or gone while the schema, and
 * every program that was written by it, still expects it; and a schema that accepts anything.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv, { type ValidateFunction } from 'ajv/dist/2020';
import { beforeAll, describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../src/diagnostics';
import { RULES } from '../../src/stages/correlate';
import { STAGES } from '../../src';
import { running } from '../support/run-klpflow';
import { smallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const root = join(__dirname, '../..');
const published = JSON.parse(readFileSync(join(root, 'schemas/diff.schema.json'), 'utf8')) as object;

/** The schema as published: others may add fields within its version. */
let validate: ValidateFunction;
/** The same without that allowance: what klpflow prints now is described, all of it. */
let strict: ValidateFunction;

type Json = Record<string, unknown>;
const printed: Record<string, Json> = {};

beforeAll(async () => {
  validate = new Ajv({ allErrors: true }).compile(published);
  strict = new Ajv({ allErrors: true }).compile(closed(published) as object);
  const pairs = {
    patchable: await smallPair(join(folder, 'patchable')),
    refused: await smallPair(join(folder, 'refused'), 300, {
      immediates: 2,
      data: 1,
      initFunctions: 1,
      newFunctions: 1,
      staticLocals: 2,
      removedFunctions: 2,
    }),
  };
  const json = async (name: string, argv: readonly string[]): Promise<void> => {
    printed[name] = JSON.parse(
      (await running(['diff', ...argv, '--run-dir', join(folder, 'run'), '--json', '--progress', 'none'])).stdout,
    ) as Json;
  };
  for (const [name, { orig, patched }] of Object.entries(pairs)) await json(name, [orig, patched]);
  await json('reused', [pairs.patchable.orig, pairs.patchable.patched]);
  await json('unchanged', [pairs.patchable.orig, pairs.patchable.orig, '--module', 'nf_tables']);
  await json('error', [pairs.patchable.orig, join(folder, 'missing.o')]);
  await json('usage', [pairs.patchable.orig]);
});

/** Every object of a schema closed: what it does not name is refused. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const members = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return 'properties' in members ? { ...members, additionalProperties: false } : members;
}

describe('what diff prints', () => {
  test.each(['patchable', 'refused', 'unchanged', 'reused', 'error', 'usage'])('%s', (name) => {
    expect(validate(printed[name]), JSON.stringify(validate.errors)).toBe(true);
    expect(strict(printed[name]), JSON.stringify(strict.errors)).toBe(true);
  });

  test('they are what they are called, and hold something of nearly every kind', () => {
    expect(
      Object.fromEntries(Object.entries(printed).map(([name, { schema, verdict }]) => [name, verdict ?? schema])),
    ).toEqual({
      patchable: 'patchable',
      refused: 'refused',
      unchanged: 'unchanged',
      reused: 'patchable',
      error: 'klpflow/error@1',
      usage: 'klpflow/error@1',
    });
    const [object] = printed['refused']!['objects'] as Array<{
      functions: Record<string, unknown[]>;
      data: Record<string, unknown[]>;
    }>;
    for (const list of [
      object!.functions['changed'],
      object!.functions['new'],
      object!.functions['removed'],
      object!.functions['ignored'],
      object!.data['changed'],
      object!.data['new'],
      printed['refused']!['diagnostics'],
    ]) {
      expect((list as unknown[]).length).toBeGreaterThan(0);
    }
  });
});

describe('the schema refuses', () => {
  /** All places of a value, as lists of keys. */
  const places = (value: unknown, path: readonly (string | number)[] = []): Array<readonly (string | number)[]> =>
    typeof value !== 'object' || value === null
      ? []
      : Object.keys(value).flatMap((key) => [
          [...path, Array.isArray(value) ? Number(key) : key],
          ...places((value as Json)[key], [...path, Array.isArray(value) ? Number(key) : key]),
        ]);
  const within = (value: unknown, path: readonly (string | number)[]): Json =>
    path.reduce<unknown>((inner, key) => (inner as Json)[key], value) as Json;
  const OPTIONAL = /(^|\.)(patchedName|aliases|output\.module|where\.(object|section|symbol|offset))$/;

  test.each(['patchable', 'refused', 'error'])(
    '%s without any one of its keys, or with a key of another type',
    (name) => {
      let tried = 0;
      for (const path of places(printed[name])) {
        const key = path.at(-1)!;
        if (typeof key === 'number') continue;
        const spoil = (change: (owner: Json, key: string) => void): Json => {
          const copy = structuredClone(printed[name]!);
          change(within(copy, path.slice(0, -1)), key);
          return copy;
        };
        const place = path.join('.');
        if (!OPTIONAL.test(place))
          expect(validate(spoil((owner) => delete owner[key])), `without ${place}`).toBe(false);
        expect(
          validate(
            spoil(
              (owner) => (owner[key] = Symbol.iterator in Object(owner[key]) && Array.isArray(owner[key]) ? {} : ['?']),
            ),
          ),
          `${place} of another type`,
        ).toBe(false);
        tried++;
      }
      expect(tried).toBeGreaterThan(name === 'error' ? 6 : 200);
    },
  );

  test('other verdicts, classes and versions, and a diagnostic without a severity that it knows', () => {
    const spoil = (path: readonly (string | number)[], value: unknown): boolean => {
      const copy = structuredClone(printed['refused']!);
      within(copy, path.slice(0, -1))[path.at(-1)!] = value;
      return validate(copy) as boolean;
    };
    expect(spoil(['verdict'], 'refused')).toBe(true);
    expect(spoil(['verdict'], 'maybe')).toBe(false);
    expect(spoil(['schema'], 'klpflow/diff@2')).toBe(false);
    expect(spoil(['objects', 0, 'functions', 'changed', 0, 'class'], 'mood')).toBe(false);
    expect(spoil(['objects', 0, 'functions', 'changed', 0, 'first', 'offset'], -1)).toBe(false);
    expect(spoil(['diagnostics', 0, 'severity'], 'fatal')).toBe(false);
    expect(spoil(['output'], { path: 'livepatch.ko', format: 'ko', bytes: 1, sha256: '0'.repeat(64) })).toBe(true);
    expect(spoil(['output'], { path: 'livepatch.ko', format: 'zip', bytes: 1, sha256: '0'.repeat(64) })).toBe(false);
  });
});

test('what the code can say fits: codes, stages, pairing rules', () => {
  const run = {
    stages: ['startup', ...STAGES].map((name) => ({ name, seconds: 0, cpuSeconds: 0, items: 0, bytes: 0, reused: 0 })),
    seconds: 0,
    cpuSeconds: 0,
    mainCpuSeconds: 0,
    peakAnonBytes: 0,
    neededBytes: 0,
    workers: 1,
    runDir: '/',
  };
  const diagnostics = Object.entries(CATALOGUE).map(([code, { severity, hint }]) => ({
    code,
    severity,
    message: '',
    where: {},
    hint,
  }));
  const changed = RULES.map((rule) => ({
    name: 'f',
    file: null,
    section: '.text',
    size: { orig: 1, patched: 1 },
    class: 'code',
    first: null,
    change: null,
    pairedBy: { rule, evidence: '' },
  }));
  const objects = [
    {
      name: 'vmlinux',
      functions: { changed, new: [], removed: [], carried: [], ignored: [] },
      data: { changed: [], new: [], removed: [], ignored: [] },
      ambiguous: [],
      klpSymbols: [],
    },
  ];
  expect(
    validate({ schema: 'klpflow/diff@1', verdict: 'refused', objects, diagnostics, output: null, evidence: null, run }),
    JSON.stringify(validate.errors),
  ).toBe(true);
});

test('it is in the package', () => {
  const [{ files }] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ) as [{ files: Array<{ path: string }> }];
  expect(files.map(({ path }) => path)).toContain('schemas/diff.schema.json');
});
