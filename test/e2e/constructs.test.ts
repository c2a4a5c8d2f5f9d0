/**
 * What a module owns and the loader sets up: a static key, a static call, a tracepoint, debug messages, bug records, exceptions; each in a function that a livepatch replaces.
 * What shows only here: that a kernel finds the tables of the livepatch, whenever the module comes. The tree is that of `whole.test.ts`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, type TestContext } from 'vitest';
import type { BuildResult } from '../../src/index';
import type { Trial } from '../boot/init';
import { complaints } from '../boot/report';
import { missingForBoots } from '../boot/root';
import { patchOf } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';
import { bootSmall, buildOf } from './small-trials';
import { wholeTree, type SmallTree } from './small-tree';

/** What the module shows, switched off and on. */
const SHOWN = {
  key: ['off', 'on'],
  call: ['21', '42'],
  trace: ['0', '3'],
  debug: ['said', 'said'],
  warn: ['1', '1'],
  fault: ['-14', '-14'],
} as const;
type Construct = keyof typeof SHOWN;
const CONSTRUCTS = Object.keys(SHOWN) as Construct[];

const folder = tempFolder();
const found = missingForBoots() ?? wholeTree();
const tree = found as SmallTree;
const trials: Array<Trial & { construct: Construct }> = [];

const skipWithout = (context: TestContext): void => void (typeof found === 'string' && context.skip(found));

/** `klpflow build` of a patch that writes a construct's name in capitals. */
function build(construct: Construct): { result: BuildResult; module: string } {
  const [patch, module] = [join(folder, `${construct}.patch`), join(folder, `livepatch-${construct}.ko`)];
  writeFileSync(patch, patchOf(tree.folder, 'fs/constructs.c', `"${construct}: `, `"${construct.toUpperCase()}: `));
  const { result } = buildOf([patch], { objects: tree.folder, runs: join(folder, 'runs'), module });
  return { result, module };
}

const told = ({ diff }: BuildResult): string[] =>
  diff!.diagnostics.filter(({ severity }) => severity !== 'note').map(({ code }) => code);

test("a branch on the module's key and a call by its static call are refused", (context) => {
  skipWithout(context);
  for (const construct of ['key', 'call'] as const) {
    const { result } = build(construct);
    expect({ construct, verdict: result.verdict, told: told(result) }).toEqual({
      construct,
      verdict: 'refused',
      told: ['late-key'],
    });
  }
});

test.for(['trace', 'debug', 'warn', 'fault'] as const)('%s: written', (construct, context) => {
  skipWithout(context);
  const { result, module } = build(construct);
  expect({ verdict: result.verdict, told: told(result) }, JSON.stringify(result.diff!.diagnostics)).toEqual({
    verdict: 'patchable',
    told: construct === 'trace' ? ['late-key-dropped'] : [],
  });
  const content = readFileSync(join(tree.folder, 'fs/constructs.ko'));
  for (const late of [false, true])
    trials.push({
      name: `${construct}-${late ? 'late' : 'early'}`,
      construct,
      moduleName: `livepatch_${construct}`,
      module: readFileSync(module),
      livepatch: true,
      sites: [],
      targets: { modules: [{ name: 'constructs', content }], late, reload: late },
      run: RUN,
    });
});

/** A debug message is switched by the name of the module whose record it is; a warning names the module whose code warned. */
const RUN = `[ -e /proc/constructs ] || exit 0
for state in off on; do echo $state >/proc/constructs; cat /proc/constructs; done
echo off >/proc/constructs
for module in constructs livepatch_debug; do
  echo "module $module func show_debug +p" >/proc/dynamic_debug/control
  dmesg -c >/dev/null
  cat /proc/constructs >/dev/null
  dmesg | grep -q "constructs shown to cat" && echo "said by $module"
  echo "func show_debug -p" >/proc/dynamic_debug/control
done
dmesg | grep "WARNING: " | sed "s/.*WARNING: \\([^ ]*\\).*\\[\\(.*\\)\\].*/warned at \\1 in \\2/"`;

/** What is shown where a construct's function is the livepatch's. */
function shown(patched?: Construct): string {
  const lines = [0, 1].flatMap((on) =>
    CONSTRUCTS.map((construct) => {
      if (construct !== patched) return `${construct}: ${SHOWN[construct][on]}`;
      // The livepatch's copy has no such tracepoint, as it says.
      return `${construct.toUpperCase()}: ${SHOWN[construct][construct === 'trace' ? 0 : on]}`;
    }),
  );
  const who = (construct: Construct): string => (construct === patched ? `livepatch_${construct}` : 'constructs');
  const source = readFileSync(join(tree.folder, 'fs/constructs.c'), 'utf8').split('\n');
  const line = source.findIndex((text) => text.includes('WARN_ON(')) + 1;
  return [...lines, `said by ${who('debug')}`, `warned at fs/constructs.c:${line} in ${who('warn')}`].join('\n');
}

test('each works where the module was there before, where it comes later, and comes again', {
  timeout: 1_200_000,
}, async (context) => {
  skipWithout(context);
  const { report, log } = await bootSmall(tree, trials, folder);
  expect(trials).toHaveLength(8);
  for (const { name, construct, targets } of trials) {
    const { steps, before, after, reloaded, restored } = report.trials.get(name)!;
    const late = targets!.late;
    const loaded = ['loaded', 'patched'];
    expect({ name, steps, before, after, reloaded, restored }, log.slice(-6000)).toEqual({
      name,
      steps: [
        ...(late ? [...loaded, 'come', 'left', 'come'] : ['come', ...loaded]),
        ...['unpatched', 'unloaded', 'left'],
      ],
      before: late ? '' : shown(),
      after: shown(construct),
      reloaded: late ? shown(construct) : undefined,
      restored: shown(),
    });
  }
  // The module warns of itself, and of nothing else is complained.
  const own = /WARNING: fs\/constructs\.c:\d+ at show_warn|Call Trace:/;
  expect(complaints(log).filter((line) => !own.test(line))).toEqual([]);
});
