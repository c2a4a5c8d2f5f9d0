/** Where evidence stops, a person may know: `--twin` says it, every report repeats it, and `explain` says what the rules lack. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DiffResult } from '../../../src';
import { body, inc, movEax } from '../../support/diff-objects';
import { object, type Body, type ObjectBuilder } from '../../support/elf-builder';
import { klpflow } from '../../support/run-klpflow';
import { tempFolder } from '../../support/temp-folder';

const LOCAL = { bind: 'local' } as const;

function unit(statics: Record<string, number>, parts: Body[]): ObjectBuilder {
  const builder = object().file('u.c');
  for (const [name, size] of Object.entries(statics)) builder.bss(name, size, LOCAL);
  return builder
    .rodata('text', [0x61], LOCAL)
    .func('f', body(...parts))
    .special('__mcount_loc');
}

let folder: string;
const run = async (
  command: string,
  ...more: string[]
): Promise<{ status: number | null; result: DiffResult & Record<string, unknown>; text: string }> => {
  const { status, stdout, stderr } = await klpflow([
    command,
    join(folder, 'orig.o'),
    join(folder, 'patched.o'),
    ...more,
    '--run-dir',
    join(folder, 'run'),
    '--progress',
    'none',
  ]);
  return {
    status,
    result: (stdout.startsWith('{') ? JSON.parse(stdout) : {}) as DiffResult & Record<string, unknown>,
    text: stdout + stderr,
  };
};

beforeAll(() => {
  // Of two equal blocks one went, and nothing tells which.
  folder = tempFolder();
  writeFileSync(
    join(folder, 'orig.o'),
    unit({ 't.1': 4, 't.2': 4, 'wide.3': 8 }, [inc('t.1'), inc('t.2'), inc('wide.3')]).bytes(),
  );
  writeFileSync(
    join(folder, 'patched.o'),
    unit({ 't.1': 4, 'wide.3': 8 }, [inc('t.1'), inc('wide.3'), movEax(3)]).bytes(),
  );
});

describe('--twin', () => {
  test('the refusal says what to declare, and with it the pair is made', async () => {
    const before = await run('diff', '--json');
    const refusal = before.result.diagnostics.find(({ code }) => code === 'ambiguous-data')!;
    expect(refusal.hint).toContain('--twin t.1=t.1 or --twin t.2=t.1');
    // As pasted; the outcome of before must not be reused for it.
    const after = await run('diff', '--json', '--twin', 't.2=u.c:t.1');
    expect(after.result.diagnostics.map(({ code }) => code)).not.toContain('ambiguous-data');
    expect(after.result['twins']).toEqual([{ orig: 't.2', patched: 'u.c:t.1' }]);
    expect(after.result.diagnostics).toContainEqual(
      expect.objectContaining({ code: 'declared-twin', severity: 'note' }),
    );
    expect(after.result.objects[0]!.data.removed).toMatchObject([{ name: 't.1' }]);
    expect((await run('diff', '--json')).result.diagnostics.map(({ code }) => code)).toContain('ambiguous-data');
  });

  for (const command of ['diff', 'compare', 'correlate']) {
    test(`${command} lists it`, async () => {
      expect((await run(command, '--twin', 't.2=t.1')).text).toMatch(/t\.2 .*is t\.1/);
    });
  }

  test('what cannot be one is an error', async () => {
    // The declaration is believed in which is which, and in nothing else.
    for (const [twin, code] of [
      ['t.2=wide.3', 'twin-mismatch'],
      ['t.2=f', 'twin-mismatch'],
      ['t.2=text', 'twin-mismatch'],
      ['t.9=t.1', 'twin-not-found'],
      ['v.c:t.2=t.1', 'twin-not-found'],
      ['t.2', 'usage'],
    ] as const) {
      const { status, text } = await run('diff', '--twin', twin);
      expect([status, text]).toEqual([1, expect.stringContaining(`error ${code}:`)]);
    }
    expect((await run('diff', '--twin', 't.1=t.1', '--twin', 't.2=t.1')).text).toContain('error twin-mismatch:');
  });
});

describe('explain', () => {
  test('of a symbol without a twin shows who could have been it, and why not', async () => {
    const { status, text } = await run('explain', 't.2');
    expect(status).toBe(0);
    expect(text).toMatch(/^ +t\.1 .*is not its twin:$/m);
    expect(text).toMatch(/name: 2 of the name in ORIG, 1 in PATCHED/);
    expect(text).toMatch(/aligned: f can be read so that they are one, and in another way/);
  });

  test('of several of one name shows the one that changed, or lists them', async () => {
    // Another driver's probe, read as this one's, shows no change where there is one.
    const cores = (second: number): ObjectBuilder =>
      [1, second].reduce(
        (builder, value, i) =>
          builder
            .file(`${'ab'[i]}.c`)
            .func('probe', body(movEax(value)), { ...LOCAL, section: `.text.${i}` })
            .func(`own${i}`, body(movEax(7)), { ...LOCAL, section: `.text.own${i}` }),
        object(),
      );
    const pair = ['orig', 'patched'].map((name) => join(folder, `cores-${name}.o`));
    writeFileSync(pair[0]!, cores(2).bytes());
    writeFileSync(pair[1]!, cores(9).bytes());
    const explain = async (symbol: string): Promise<string> => {
      const { stdout, stderr } = await klpflow([
        'explain',
        ...pair,
        symbol,
        '--run-dir',
        join(folder, 'run'),
        '--progress',
        'none',
      ]);
      return stdout + stderr;
    };
    expect(await explain('probe')).toMatch(/^probe {2}\(function; b\.c[^]*others of the name: a\.c:probe \(same\)/);
    expect(await explain('a.c:probe')).toMatch(/^probe {2}\(function; a\.c[^]*same in both builds/);
    writeFileSync(pair[1]!, cores(2).bytes());
    writeFileSync(
      pair[0]!,
      cores(2)
        .func('more', body(movEax(1)))
        .bytes(),
    );
    expect(await explain('probe')).toMatch(/error several-symbols: probe is a\.c:probe \(same\); b\.c:probe \(same\)/);
  });
});
