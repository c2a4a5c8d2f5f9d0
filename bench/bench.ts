import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isPeerCase, round, type Programs, type Suite } from './cases';
import { corpusInput, findCorpus } from './corpus';
import type { Input } from './input';
import { findPeer } from './peer';
import { inScratch, runProgram } from './program';
import { Results } from './results';
import { syntheticInput } from './synthetic';
import { byteTable, casesTable, comparisons, comparisonsTable, stagesTable, type Report } from './table';
import { walk } from './walk';

const USAGE = `Measures klpflow on a pair of kernel objects, beside its peer (objtool) and a bare walk over the same bytes.

  npm run bench -- [options]

  --runs N         how often each case runs (default 5)
  --kernel NAME    a kernel of the corpus (default linux-7.2-thinlto); given several times, they are measured in turn
  --pair NAME      a pair of that kernel (default special-sections or string-change)
  --synthetic      a made-up kernel instead; also what is used where the corpus is absent
  --functions N    how many functions it has (default 100000)
  --peer FILE      the objtool binary (default: KLPFLOW_OBJTOOL, then PATH)
  --json FILE      also write every figure as JSON

KLPFLOW_CORPUS_CACHE: where corpus pairs are unpacked (default: a folder in the temporary directory).
`;

/** Both as `bench/bench.ts` and as `dist/bench.js` this file is one level below. */
const ROOT = resolve(__dirname, '..');

async function main(args: string[]): Promise<number> {
  // The walk is measured in a process of its own: this program, started again.
  if (args[0] === 'walk') {
    console.log(JSON.stringify(walk(args[1]!, args[2]!)));
    return 0;
  }
  const options = parseOptions(args);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const programs = choosePrograms(options.peer);
  return inScratch(async (scratch) => {
    const inputs = await chooseInputs(options, scratch);
    const suites = inputs.map(
      (input) => [input, { scratch, results: new Results(), answers: new Map() }] as [Input, Suite],
    );
    for (const { orig, patched, otherPatched } of inputs) warm([orig, patched, otherPatched]);
    for (let i = 1; i <= options.runs; i++) {
      process.stderr.write(`round ${i} of ${options.runs}\n`);
      for (const [input, suite] of suites) await round(input, programs, suite);
    }
    const reports = suites.map(([input, { results }]) => publish(input, results));
    if (reports.length > 1) console.log(`\n${byteTable(reports)}`);
    if (options.json !== undefined)
      writeFileSync(options.json, `${JSON.stringify(reports.length === 1 ? reports[0] : reports, null, 2)}\n`);
    // That the peer cannot read an input is a result, not an error of this program.
    return reports.every(({ failures }) => failures.every(({ name }) => isPeerCase(name))) ? 0 : 1;
  });
}

interface Options {
  help: boolean;
  runs: number;
  kernel: string[];
  pair: string | undefined;
  synthetic: boolean;
  functions: number;
  peer: string | undefined;
  json: string | undefined;
}

function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      runs: { type: 'string', default: '5' },
      kernel: { type: 'string', multiple: true, default: ['linux-7.2-thinlto'] },
      pair: { type: 'string' },
      synthetic: { type: 'boolean', default: false },
      functions: { type: 'string', default: '100000' },
      peer: { type: 'string' },
      json: { type: 'string' },
    },
  });
  return {
    ...values,
    runs: count('--runs', values.runs),
    functions: count('--functions', values.functions),
    pair: values.pair,
    peer: values.peer,
    json: values.json,
  };
}

function count(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${option} takes a number from 1 on`);
  return number;
}

async function chooseInputs({ synthetic, functions, kernel, pair }: Options, scratch: string): Promise<Input[]> {
  const corpus = findCorpus(ROOT);
  if (corpus !== undefined && !synthetic) return kernel.map((name) => corpusInput(corpus, name, pair));
  if (!synthetic) console.error('the corpus of real kernels is absent: a synthetic kernel takes its place');
  return [await syntheticInput(functions, join(scratch, 'synthetic'))];
}

function choosePrograms(named: string | undefined): Programs {
  const wanted = named ?? process.env.KLPFLOW_OBJTOOL;
  const objtool = findPeer(wanted);
  if (objtool === undefined) console.error(`no peer: ${wanted ?? 'objtool on PATH'} is not an executable file`);
  const klpflow = join(ROOT, 'dist', 'main.js');
  const built = existsSync(klpflow);
  if (!built) console.error('no klpflow: dist/main.js is absent, build it first');
  return {
    node: process.execPath,
    bench: __filename,
    ...(built ? { klpflow } : {}),
    ...(objtool === undefined ? {} : { objtool }),
  };
}

/** Cold means without results of an earlier run. The inputs are in the page cache for every case, the first included. */
function warm(files: readonly string[]): void {
  for (const file of files) readFileSync(file);
}

function publish(input: Input, results: Results): Report {
  const machine = { cores: availableParallelism(), memoryBytes: totalmem() };
  const cases = results.cases();
  const ratios = comparisons(cases);
  const failures = results.failures();
  const sizes = { origBytes: statSync(input.orig).size, patchedBytes: statSync(input.patched).size };

  console.log(`input    ${input.name}: ${sizes.origBytes} and ${sizes.patchedBytes} bytes, in the page cache`);
  console.log(
    `machine  ${machine.cores} cores, ${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB; Node ${process.versions.node}`,
  );
  console.log(`\n${casesTable(cases)}`);
  if (ratios.length > 0) console.log(`\n${comparisonsTable(ratios)}`);
  for (const { name, stages } of cases) {
    if (stages !== undefined) console.log(`\n${name}, by stage (of the median run)\n${stagesTable(stages)}`);
  }
  for (const { name, reason } of failures) console.log(`\nfailed: ${name}: ${reason}`);

  console.log('');
  return {
    schema: 'klpflow/bench@1',
    input: { name: input.name, ...sizes },
    machine,
    node: process.versions.node,
    cases,
    ratios,
    failures,
  };
}

runProgram(main);
