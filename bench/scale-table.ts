import { table } from './table';

/** One graded run. Counts are those of both objects. */
export interface ScaleRun {
  name: string;
  workers: number;
  bytes: number;
  symbols: number;
  relas: number;
  right: boolean;
  seconds: number;
  cpuSeconds: number;
  peakAnonBytes: number;
  /** What the formula said (src/pipeline/memory.ts). */
  neededBytes: number;
  mainCpuSeconds: number;
  stages: Array<{ name: string; seconds: number; cpuSeconds: number }>;
  /** Reading of tables and digests, all tasks that run side by side: their CPU time, and wall time from the first one's start to the last one's end. */
  parallel: { cpuSeconds: number; seconds: number };
  /** What writing the pair took. */
  written: { seconds: number; cpuSeconds: number; peakAnonBytes: number };
}

export function runsTable(runs: readonly ScaleRun[]): string {
  const rows = runs.map((run) => [
    run.name,
    String(run.workers),
    (run.bytes / 1e6).toFixed(0),
    millions(run.symbols),
    millions(run.relas),
    run.seconds.toFixed(2),
    run.cpuSeconds.toFixed(2),
    (run.peakAnonBytes / 1e6).toFixed(0),
    (run.neededBytes / 1e6).toFixed(0),
    run.written.seconds.toFixed(1),
    (run.written.peakAnonBytes / 1e6).toFixed(0),
    run.right ? 'right' : 'WRONG',
  ]);
  return table(
    [
      'pair',
      'workers',
      'MB',
      'M symbols',
      'M relas',
      'wall s',
      'cpu s',
      'peak anon MB',
      'formula MB',
      'synth s',
      'synth MB',
      'answer',
    ],
    rows,
  );
}

/**
 * CPU time of each stage's tasks by symbols and by relocations: equal numbers in a column mean linear growth. Correlation runs on the main
 * thread, whose column has all else that it does, too; the last one is the process with V8's own threads. Of several runs the median one.
 */
export function growthTable(runs: readonly ScaleRun[]): string {
  const stages = [...new Set(runs.flatMap((run) => run.stages.map(({ name }) => name)))];
  const rows = medianRuns(runs).flatMap((run) => {
    const cells = (count: number): string[] => {
      const cpu = [
        ...stages.map((name) => run.stages.find((stage) => stage.name === name)?.cpuSeconds ?? 0),
        run.mainCpuSeconds,
        run.cpuSeconds,
      ];
      return cpu.map((seconds) => (seconds / (count / 1e6)).toFixed(3));
    };
    const label = `${run.name}, ${run.workers} worker${run.workers === 1 ? '' : 's'}`;
    return [
      [label, 'symbols', ...cells(run.symbols)],
      [label, 'relas', ...cells(run.relas)],
    ];
  });
  return table(['pair', 'per million', ...stages, 'main thread', 'all'], rows);
}

/** What two workers gain of the stages that run in parallel: CPU seconds of a run with one / (2 x wall seconds of a run with two), medians. */
export function scalingTable(runs: readonly ScaleRun[]): string {
  const rows = [...new Set(runs.map(({ name }) => name))].flatMap((name) => {
    const figure = (workers: number, of: 'cpuSeconds' | 'seconds'): number =>
      median(runs.filter((run) => run.name === name && run.workers === workers).map(({ parallel }) => parallel[of]));
    const [cpu, wall] = [figure(1, 'cpuSeconds'), figure(2, 'seconds')];
    const main = median(
      runs.filter((run) => run.name === name && run.workers === 2).map((run) => run.mainCpuSeconds / run.cpuSeconds),
    );
    return Number.isNaN(cpu + wall)
      ? []
      : [
          [
            name,
            cpu.toFixed(2),
            wall.toFixed(2),
            `${((cpu / (2 * wall)) * 100).toFixed(0)} %`,
            `${(main * 100).toFixed(0)} %`,
          ],
        ];
  });
  return table(['pair', 'cpu s with 1', 'wall s with 2', 'scaling', 'main thread of all'], rows);
}

/** Of the runs of each pair with each number of workers the one with the median CPU time. */
function medianRuns(runs: readonly ScaleRun[]): ScaleRun[] {
  const groups = new Map<string, ScaleRun[]>();
  for (const run of runs)
    groups.set(`${run.name} ${run.workers}`, [...(groups.get(`${run.name} ${run.workers}`) ?? []), run]);
  return [...groups.values()].map(
    (group) => group.sort((a, b) => a.cpuSeconds - b.cpuSeconds)[(group.length - 1) >> 1]!,
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

function millions(count: number): string {
  return (count / 1e6).toFixed(2);
}
