/**
 * `npm run bench:build`: from a patch and a kernel's source to a verified module, the first time and with the next patch; where a tree is given in which klp-build
 * has built ORIG, its script beside it, from the same patch on.
 */
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { inScratch, runProgram } from './program';
import { Results } from './results';
import { casesTable } from './table';

const USAGE = `Measures klpflow build. The run directory is a new one each time: the first patch unpacks, prepares and compiles, the second finds all that.

  npm run bench:build -- --patch FIRST --patch SECOND --source TARBALL --root DIR [--runs N] [NAME=VALUE...]
  npm run bench:build -- --patch FIRST --patch SECOND --objects DIR [--klp-build DIR] [--runs N]

  --source, --root   as klpflow build has them: the kernel's source, and where its image is
  --objects DIR      scope whole: a tree that was built, whose objects are taken over
  --klp-build DIR    a tree in which klp-build -T was run: its script makes the second patch there (-S patched)
  --runs N           how often (default 3); each leaves 2 GB until the end
`;

const KLPFLOW = join(resolve(__dirname, '..'), 'dist', 'main.js');

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      patch: { type: 'string', multiple: true, default: [] },
      source: { type: 'string' },
      objects: { type: 'string' },
      root: { type: 'string' },
      'klp-build': { type: 'string' },
      runs: { type: 'string', default: '3' },
    },
  });
  const { source, objects, root } = values;
  const [first, second] = values.patch;
  if (
    values.help ||
    first === undefined ||
    second === undefined ||
    (source === undefined) === (objects === undefined)
  ) {
    process.stdout.write(USAGE);
    return values.help ? 0 : 1;
  }
  const from = Object.entries({ source, objects, root }).flatMap(([flag, path]) =>
    path === undefined ? [] : [`--${flag}`, resolve(path)],
  );
  return inScratch(async (scratch) => {
    const results = new Results();
    const module = join(scratch, 'livepatch-x.ko');
    const build = (patch: string, runs: string): string[] => {
      const words = [...from, ...positionals, '--run-dir', runs, '-o', module, '--json', '--progress', 'none'];
      return [process.execPath, KLPFLOW, 'build', resolve(patch), ...words];
    };
    for (let i = 0; i < Number(values.runs); i++) {
      // All are removed at the end: ext4 passes over the inodes of what was removed within five minutes one by one, which makes the next unpacking take two to three times as long.
      const runs = join(scratch, `runs-${i}`);
      await results.take('klpflow build, first patch', build(first, runs));
      await results.take('klpflow build, second patch', build(second, runs));
      const tree = values['klp-build'];
      if (tree !== undefined) {
        // It takes make's variables from its environment.
        const script = [
          'env',
          ...positionals,
          'scripts/livepatch/klp-build',
          '-T',
          '-S',
          'patched',
          '-o',
          module,
          resolve(second),
        ];
        await results.take('klp-build -S patched, second patch', script, { cwd: tree });
      }
    }
    console.log(
      `source   ${from.join(' ')}\nmachine  ${availableParallelism()} cores; Node ${process.versions.node}\n`,
    );
    console.log(casesTable(results.cases()));
    for (const { name, reason } of results.failures()) console.log(`failed: ${name}: ${reason}`);
    return results.failures().length;
  });
}

runProgram(main);
