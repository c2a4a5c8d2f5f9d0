/**
 * A unit of Debian's stock kernel compiled as that kernel was, and then by another compiler, with another configuration, and from another source: by the shipped image
 * the first is proven, and each other is refused. The silent failure: a livepatch of a kernel that does not run.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { EXIT_CODES, klpflow, resultOf } from '../support/run-klpflow';
import { skipWithout, stockKernel } from './building';
import { trixie } from './trixie';

const UNIT = 'fs/proc/array';
const [BEFORE, AFTER] = ['num_threads = get_nr_threads(task);', 'num_threads = get_nr_threads(task) + 1;'];

const { folder, kernel, reason, built, patch, unpackSources } = stockKernel();
const at = (name: string): string => join(folder, name);
/** The folder of the build: tree, logs. */
let build: string;

/** As kbuild compiles units, by the lines of `build`'s logs, which have one word behind the other. */
interface Settings {
  within?: readonly string[];
  compiler?: string;
  more?: readonly string[];
  edit?: (source: string) => string;
}

beforeAll(() => {
  if (reason !== undefined) return;
  unpackSources([`${UNIT}.c`]);
  const { result } = built('array', [patch('array', `${UNIT}.c`, BEFORE, AFTER)]);
  expect(result.verdict).toBe('patchable');
  build = result.pairs[0]!.orig.split('/pairs/')[0]!;
}, 1_200_000);

function commandOf(log: string, program: RegExp): string[] {
  const lines = readFileSync(join(build, 'logs', log), 'latin1').split('\n');
  return lines
    .find((line) => line.startsWith('$ ') && program.test(line))!
    .slice(2)
    .split(' ');
}

/** An object of the unit's source, with objtool's pass. */
function compiled(name: string, source: string, { within = [], compiler, more = [] }: Settings): string {
  const [own = '', ...words] = commandOf(`compile-${UNIT.replaceAll('/', '-')}.o.log`, /gcc/);
  expect(words.at(-1)).toBe(`${UNIT}.c`);
  const out = at(name);
  const command = [...within, compiler ?? own, ...words.slice(0, -1), `-I./${UNIT.slice(0, UNIT.lastIndexOf('/'))}`];
  const options = {
    cwd: join(build, 'tree'),
    stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'],
  };
  command[command.indexOf('-o') + 1] = out;
  execFileSync(command[0]!, [...command.slice(1), ...more, source], options);
  const objtool = commandOf('objtool.log', /objtool/);
  execFileSync(objtool[0]!, [...objtool.slice(1, -1), out], options);
  return out;
}

/** Compares two objects whose one difference is the fix, with the image. */
async function refused(name: string, settings: Settings): Promise<{ status: number | null; told: string[] }> {
  const source = readFileSync(join(build, 'tree', `${UNIT}.c`), 'latin1');
  const [before, after] = [at(`${name}.c`), at(`${name}-fixed.c`)];
  const text = settings.edit?.(source) ?? source;
  expect(text).toContain(BEFORE);
  writeFileSync(before, text, 'latin1');
  writeFileSync(after, text.replace(BEFORE, AFTER), 'latin1');
  const pair = [compiled(`${name}.o`, before, settings), compiled(`${name}-fixed.o`, after, settings)];
  const words = ['diff', ...pair, '--vmlinux', kernel.image, '-o', at(`livepatch-${name}.ko`), '--run-dir', at('runs')];
  const ran = await klpflow([...words, '--json']);
  const told = resultOf(ran).diagnostics.filter(({ severity }) => severity === 'refusal');
  return { status: ran.status, told: told.map(({ code, message }) => `${code}: ${message}`) };
}

describe('with a shipped image', () => {
  test('the unit compiled as the kernel was is proven', async (context) => {
    skipWithout(context, reason);
    expect(await refused('same', {})).toEqual({ status: EXIT_CODES.patchable, told: [] });
  });

  test('another configuration: a few functions differ, and it is said so', async (context) => {
    skipWithout(context, reason);
    writeFileSync(at('config.h'), '#undef CONFIG_SECCOMP\n#undef CONFIG_SECCOMP_FILTER\n');
    const { status, told } = await refused('config', { more: ['-include', at('config.h')] });
    expect(status).toBe(EXIT_CODES.refused);
    expect(told).toEqual([
      expect.stringMatching(/^orig-not-running-kernel: \d of 15 functions .*source or configuration/),
    ]);
  });

  test('another source: the function is named', async (context) => {
    skipWithout(context, reason);
    const edit = (source: string): string => source.replaceAll('int num_threads = 0;', 'int num_threads = 1;');
    const { status, told } = await refused('source', { edit });
    expect(status).toBe(EXIT_CODES.refused);
    expect(told[0]).toMatch(/^orig-not-running-kernel: .*source or configuration/);
  });

  test('another compiler, GCC 14: both are named', async (context) => {
    skipWithout(context, reason);
    const system = trixie();
    if (typeof system === 'string') return context.skip(system);
    const enter = [...system.within, 'sh', '-c', 'cd "$0" && exec "$@"', join(build, 'tree')];
    const { status, told } = await refused('compiler', { within: enter, compiler: 'gcc-14' });
    expect(status).toBe(EXIT_CODES.refused);
    expect(told).toEqual([
      expect.stringMatching(
        /^orig-not-running-kernel: .*compiler or flags do: ORIG is compiled by GCC: \(Debian 14\..*, the kernel by \S*gcc-12/,
      ),
    ]);
  });
});
