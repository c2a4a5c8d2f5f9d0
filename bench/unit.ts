/**
 * `npm run bench:unit`: a unit and the shipped kernel's image, from two objects to a finished module, beside what nobody can do without: starting Node, and
 * taking the image out of its wrappers.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findCorpus } from './corpus';
import { inScratch, runProgram } from './program';
import { Results } from './results';
import { casesTable } from './table';

const USAGE = `Measures klpflow on a unit with the image of the kernel that it is of.

  npm run bench:unit -- [--runs N] [--unit NAME]

  --runs N      how often each case runs (default 9)
  --unit NAME   a unit of the corpus (default net__sched__sch_generic)
  --image FILE, --orig FILE, --patched FILE   others than the corpus has
`;

const ROOT = resolve(__dirname, '..');
const KERNEL = 'debian-6.12-gcc';

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      runs: { type: 'string', default: '9' },
      unit: { type: 'string', default: 'net__sched__sch_generic' },
      image: { type: 'string' },
      orig: { type: 'string' },
      patched: { type: 'string' },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  return inScratch(async (scratch) => {
    const input = inputOf(values, scratch);
    if (typeof input !== 'string') return measureUnit(input, Number(values.runs), scratch);
    console.error(input);
    return 1;
  });
}

interface UnitInput {
  image: string;
  orig: string;
  patched: string;
}

/** The files, or why there are none. */
function inputOf(
  { image, orig, patched, unit }: Partial<UnitInput> & { unit: string },
  scratch: string,
): UnitInput | string {
  if (image !== undefined && orig !== undefined && patched !== undefined) return { image, orig, patched };
  const corpus = findCorpus(ROOT);
  const packed = join(corpus ?? '', KERNEL, 'units.tar.zst');
  if (corpus === undefined || !existsSync(packed)) return 'the corpus has no units: pass --image, --orig and --patched';
  execFileSync('tar', ['--zstd', '-xf', packed, '-C', scratch, `./${unit}`]);
  const folder = join(scratch, unit);
  return {
    image: join(corpus, KERNEL, 'vmlinuz'),
    orig: join(folder, 'orig.o'),
    patched: join(folder, 'patched.o'),
  };
}

async function measureUnit({ image, orig, patched }: UnitInput, runs: number, scratch: string): Promise<number> {
  for (const file of [image, orig, patched]) readFileSync(file);
  const klpflow = join(ROOT, 'dist', 'main.js');
  const results = new Results();
  const diff = (runDir: string): string[] => {
    const files = [orig, patched, '--vmlinux', image, '-o', join(scratch, 'livepatch-x.ko')];
    return [
      process.execPath,
      klpflow,
      'diff',
      ...files,
      '--run-dir',
      join(scratch, runDir),
      '--json',
      '--progress',
      'none',
    ];
  };
  for (let i = 0; i < runs; i++) {
    const runDir = `runs-${i}`;
    await results.take('node -e 0', [process.execPath, '-e', '0']);
    await results.take('klpflow doctor vmlinuz', [process.execPath, klpflow, 'doctor', image]);
    await results.take('klpflow diff unit -o x.ko, first', diff(runDir));
    // The image's facts are there, the pair is compared again.
    rmSync(join(scratch, runDir, 'pairs'), { recursive: true, force: true });
    await results.take('klpflow diff unit -o x.ko, image known', diff(runDir));
    rmSync(join(scratch, runDir), { recursive: true, force: true });
  }
  console.log(`input    ${orig}, ${image}\nmachine  ${availableParallelism()} cores; Node ${process.versions.node}\n`);
  console.log(casesTable(results.cases()));
  for (const { name, reason } of results.failures()) console.log(`failed: ${name}: ${reason}`);
  return results.failures().length;
}

runProgram(main);
