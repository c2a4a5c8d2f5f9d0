import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Input } from './input';
import type { Measurement } from './measure';
import { peerSteps, preparePeer, settle } from './peer';
import { exitedWithZero, together, type Results } from './results';

/** The programs that are measured; those that are absent are left out. */
export interface Programs {
  node: string;
  /** `dist/main.js` */
  klpflow?: string;
  /** The bundle of this benchmark, which carries the walk. */
  bench: string;
  objtool?: string;
}

export const NAMES = {
  node: 'node -e 0',
  version: 'klpflow --version',
  walk: 'walk (yardstick)',
  cold: 'klpflow cold',
  output: 'klpflow cold, writes output',
  kpatch: 'klpflow cold, --format kpatch',
  createDiffObject: 'klpflow create-diff-object',
  module: 'klpflow cold, writes module',
  otherFirst: 'klpflow cold, other patch',
  second: 'klpflow second patch',
  repeat: 'klpflow repeat',
  workers: (count: number): string => `klpflow cold, ${count} worker${count === 1 ? '' : 's'}`,
  checksumOrig: 'objtool checksum orig',
  checksumPatched: 'objtool checksum patched',
  peerDiff: 'objtool diff',
  checksumOrigHere: 'klpflow objtool checksum orig',
  checksumPatchedHere: 'klpflow objtool checksum patched',
  diffHere: 'klpflow objtool diff',
  standIn: 'klpflow objtool checksum+checksum+diff',
  checksums: 'objtool checksum+checksum',
  checksumsHere: 'klpflow objtool checksum+checksum',
  peerCold: 'objtool checksum+checksum+diff',
  peerSecond: 'objtool checksum+diff',
} as const;

export function isPeerCase(name: string): boolean {
  return name.startsWith('objtool ');
}

/** Start-up is short and noisy, so a round has more runs of it than one. */
const START_UPS = 5;

/** What the rounds of one suite share. */
export interface Suite {
  /** Every case's files go into a folder of their own in here. */
  scratch: string;
  results: Results;
  /** klpflow's answers so far, by question. */
  answers: Map<string, string>;
}

/**
 * One run of every case. The suite repeats whole rounds rather than cases, so that a machine that slows down for a
 * minute slows all cases alike.
 */
export async function round(input: Input, programs: Programs, suite: Suite): Promise<void> {
  const { results, scratch } = suite;
  for (let i = 0; i < START_UPS; i++) {
    await results.take(NAMES.node, [programs.node, '-e', '0']);
    if (programs.klpflow !== undefined)
      await results.take(NAMES.version, [programs.node, programs.klpflow, '--version']);
  }
  await results.take(NAMES.walk, [programs.node, programs.bench, 'walk', input.orig, input.patched]);
  if (programs.klpflow !== undefined) await klpflowRound(input, [programs.node, programs.klpflow], suite);
  if (!input.peer) return;
  if (programs.klpflow !== undefined)
    await inFolder(scratch, (folder) =>
      stepsRound(input, standInOf([programs.node, programs.klpflow!], folder), folder, results),
    );
  if (programs.objtool !== undefined)
    await inFolder(scratch, (folder) => stepsRound(input, peerOf(programs.objtool!), folder, results));
}

async function klpflowRound(input: Input, klpflow: string[], { scratch, results, answers }: Suite): Promise<void> {
  const cold = (name: string, ...flags: string[]): Promise<boolean> =>
    inFolder(scratch, (folder) => diff(name, input.patched, folder, ...flags));
  const diff = (name: string, patched: string, folder: string, ...flags: string[]): Promise<boolean> => {
    const runDir = join(folder, 'run');
    mkdirSync(runDir, { recursive: true });
    const command = [
      ...klpflow,
      'diff',
      input.orig,
      patched,
      '--run-dir',
      runDir,
      '--progress',
      'none',
      '--json',
      ...flags,
    ];
    const question = [
      patched,
      flags.includes('--output'),
      flags.includes('kpatch'),
      flags.includes('livepatch.ko'),
    ].join();
    return results.take(name, command, { check: (run) => answered(run, question, answers), cwd: folder });
  };

  await cold(NAMES.cold);
  await cold(NAMES.workers(1), '--workers', '1');
  await cold(NAMES.workers(2), '--workers', '2');
  // What the peer does too: it writes the livepatch object and looks symbols up in the kernel. Nothing is written without the kernel's exports.
  if (input.symvers !== undefined)
    await cold(
      NAMES.output,
      ...['--output', 'livepatch.o', '--symvers', input.symvers],
      ...(input.listing === undefined ? [] : ['--vmlinux', input.listing]),
    );
  if (input.listing !== undefined && input.symvers !== undefined) {
    const template = input.template === undefined ? [] : ['--template', input.template];
    await cold(
      NAMES.module,
      '--output',
      'livepatch.ko',
      '--vmlinux',
      input.listing,
      '--symvers',
      input.symvers,
      ...template,
    );
  }
  await kpatchDialect(input, klpflow, scratch, results, cold);
  await inFolder(scratch, async (folder) => {
    if (!(await diff(NAMES.otherFirst, input.otherPatched, folder))) return;
    if (!(await diff(NAMES.second, input.patched, folder))) return;
    await diff(NAMES.repeat, input.patched, folder);
  });
}

/** The other dialect, through the same flow and as kpatch-build calls it. Both need the parent's symbols and exports. */
async function kpatchDialect(
  { orig, patched, vmlinux, listing, symvers }: Input,
  klpflow: string[],
  scratch: string,
  results: Results,
  cold: (name: string, ...flags: string[]) => Promise<boolean>,
): Promise<void> {
  if (listing === undefined || symvers === undefined) return;
  await cold(NAMES.kpatch, '--format', 'kpatch', '--output', 'kpatch.o', '--vmlinux', listing, '--symvers', symvers);
  // Without a linked kernel ORIG's own symbols stand for it.
  const symtab = parentSymtab(vmlinux ?? orig, scratch);
  if (symtab === undefined) return;
  await inFolder(scratch, (folder) =>
    results.take(
      NAMES.createDiffObject,
      [...klpflow, 'create-diff-object', orig, patched, 'vmlinux', symtab, symvers, 'kpatch', 'kpatch.o'],
      { cwd: folder },
    ),
  );
}

/** What kpatch-build makes once a build: the text of `readelf`. Undefined where there is no readelf. */
function parentSymtab(vmlinux: string, scratch: string): string | undefined {
  const symtab = join(scratch, 'vmlinux.symtab');
  if (existsSync(symtab)) return symtab;
  const { status, stdout } = spawnSync('readelf', ['-s', '--wide', vmlinux], { maxBuffer: 2 ** 30 });
  if (status !== 0) return undefined;
  writeFileSync(symtab, stdout);
  return symtab;
}

/**
 * Accepts done, refused and unchanged, and the same answer every time: whatever a run reused and however many workers
 * it had, only `run` may differ (and `output`, which names a file of the run's own folder).
 */
function answered(run: Measurement, question: string, answers: Map<string, string>): void {
  if (![0, 2, 3].includes(run.exitCode ?? -1)) return exitedWithZero(run);
  if (!run.stdout.startsWith('{')) throw new Error('diff printed no JSON');
  const answer = JSON.stringify({ ...JSON.parse(run.stdout), run: null, output: null });
  const before = answers.get(question) ?? answer;
  if (answer !== before) throw new Error('diff gave another answer than before on the same pair');
  answers.set(question, answer);
}

/** Who does the steps that klp-build has objtool do, and under which names. */
interface StepDoer {
  steps: ReturnType<typeof peerSteps>;
  names: { orig: string; patched: string; diff: string; checksums: string; all: string; second?: string };
  /** Whether its diff can be asked: objtool's reads the linked kernel's symbols, klpflow's takes any listing of them. */
  diffs: (input: Input) => boolean;
}

function peerOf(objtool: string): StepDoer {
  const {
    checksumOrig: orig,
    checksumPatched: patched,
    peerDiff: diff,
    checksums,
    peerCold: all,
    peerSecond: second,
  } = NAMES;
  return {
    steps: peerSteps([objtool]),
    names: { orig, patched, diff, checksums, all, second },
    diffs: ({ vmlinux }) => vmlinux !== undefined,
  };
}

/** klpflow in objtool's place, as klp-build calls it. Each round's run directory is new. */
function standInOf(klpflow: readonly string[], folder: string): StepDoer {
  const {
    checksumOrigHere: orig,
    checksumPatchedHere: patched,
    diffHere: diff,
    checksumsHere: checksums,
    standIn: all,
  } = NAMES;
  return {
    steps: peerSteps(['env', `XDG_CACHE_HOME=${folder}`, ...klpflow, 'objtool']),
    names: { orig, patched, diff, checksums, all },
    diffs: ({ listing, symvers }) => listing !== undefined && symvers !== undefined,
  };
}

async function stepsRound(input: Input, doer: StepDoer, folder: string, results: Results): Promise<void> {
  const { steps, names } = doer;
  preparePeer(input, folder);
  if (!(await results.take(names.orig, steps.checksumOrig, { cwd: folder }))) return;
  settle(folder);
  if (!(await results.take(names.patched, steps.checksumPatched, { cwd: folder }))) return;
  const [orig, patched] = [names.orig, names.patched].map((name) => results.last(name)!);
  results.add(names.checksums, together([orig!, patched!]));
  if (!doer.diffs(input)) return;
  settle(folder);
  if (!(await results.take(names.diff, steps.diff, { cwd: folder }))) return;
  const diff = results.last(names.diff)!;
  results.add(names.all, together([orig!, patched!, diff]));
  if (names.second !== undefined) results.add(names.second, together([patched!, diff]));
}

async function inFolder<T>(scratch: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(scratch, 'case-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
