/**
 * `npm run demo`: writes two builds of a synthetic kernel, lets the built command find what differs between them, and
 * checks its answer against what was put in; then makes a livepatch module of one patched unit and verifies it. Exit code 0 only if both are right.
 */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { grade, writePair, type Answer } from '../src/synth';
import { writeDemoUnit } from './demo-unit';

/** The command line beside this file in dist/. */
const MAIN = join(__dirname, 'main.js');

const CHANGES = {
  immediates: 4,
  callTargets: 3,
  strings: 3,
  instructions: 4,
  staticLocals: 2,
  newFunctions: 2,
  removedFunctions: 1,
};

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'klpflow-demo-'));
  try {
    const [orig, patched] = [join(folder, 'orig.o'), join(folder, 'patched.o')];
    const started = performance.now();
    const manifest = await writePair({ functions: 20_000, seed: 1, changes: CHANGES }, orig, patched);
    const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
    console.log(
      `two builds of a synthetic kernel, 20,000 functions, ${megabytes(manifest.orig.bytes)} and ${megabytes(manifest.patched.bytes)} MB, written in ${((performance.now() - started) / 1000).toFixed(1)} s`,
    );
    console.log(`$ klpflow diff ${orig} ${patched}`);
    const shown = klpflow(['diff', orig, patched, '--run-dir', join(folder, 'run')], 'inherit');
    const asked = klpflow(
      ['diff', orig, patched, '--run-dir', join(folder, 'run'), '--json', '--progress', 'none'],
      'pipe',
    );
    const complaints =
      shown.status === 0 && asked.status === 0
        ? grade(manifest, JSON.parse(asked.stdout) as Answer)
        : [`diff ended with ${shown.status ?? shown.signal}, diff --json with ${asked.status ?? asked.signal}`];
    const { changed, new: added, removed } = manifest.functions;
    console.log(
      complaints.length === 0
        ? `agrees with what was put in: ${changed.length} functions changed, ${added.length} new, ${removed.length} removed`
        : `DISAGREES with what was put in: ${complaints.join('; ')}`,
    );
    return complaints.length === 0 && (await livepatch(folder)) ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    // What diff proposes to do next names them.
    console.log('all of it is removed again; klpflow synth writes other builds to look at');
  }
}

/** From a unit before and after its fix to a module that a kernel would load; whether the verifier has nothing against it. */
async function livepatch(folder: string): Promise<boolean> {
  console.log('\na livepatch: one function prints another text, and goes on counting in the variable of the kernel');
  const files = await writeDemoUnit(folder, 'Hello, world\n', 'Hello, livepatch\n');
  const module = 'livepatch-greeting.ko';
  const facts = [
    ['--vmlinux', files.listing],
    ['--symvers', files.symvers],
    ['--btf', files.btf],
    ['--template', files.template],
  ].flatMap(([flag, path]) => [flag!, basename(path!)]);
  const [orig, patched] = [basename(files.orig), basename(files.patched)];
  return [
    ['diff', orig, patched, '-o', module, ...facts, '--run-dir', 'run'],
    ['verify', module, ...facts, '--object', patched],
  ].every((args) => {
    console.log(`$ klpflow ${args.join(' ')}`);
    return klpflow(args, 'inherit', folder).status === 0;
  });
}

function klpflow(args: string[], stdout: 'inherit' | 'pipe', cwd = process.cwd()): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', stdout, 'inherit'],
    encoding: 'utf8',
    cwd,
    maxBuffer: 1 << 28,
  });
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
