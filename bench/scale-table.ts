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
  stages: Array<{ name: string; seconds: number; cpuSeconds: number }>;
  /** What writing the pair took. */
  written: { seconds: number; cpuSeconds: number; peakAnonBytes: number };
}

export function runsTable(runs: readonly ScaleRun[]): string {
  const rows = runs.map((run) => [
    run.name, String(run.workers), (run.bytes / 1e6).toFixed(0), millions(run.symbols), millions(run.relas), run.seconds.toFixed(2), run.cpuSeconds.toFixed(2),
    (run.peakAnonBytes / 1e6).toFixed(0), run.written.seconds.toFixed(1), (run.written.peakAnonBytes / 1e6).toFixed(0), run.right ? 'right' : 'WRONG',
  ]);
  return table(['pair', 'workers', 'MB', 'M symbols', 'M relas', 'wall s', 'cpu s', 'peak anon MB', 'synth s', 'synth MB', 'answer'], rows);
}

/**
 * What each stage took by symbols and by relocations: equal numbers in a column mean linear growth. A stage tells how long its threads
 * were busy, which is CPU time only where they have a core to themselves; the last column is the process's CPU time.
 */
export function growthTable(runs: readonly ScaleRun[]): string {
  const stages = [...new Set(runs.flatMap((run) => run.stages.map(({ name }) => name)))];
  const rows = runs.flatMap((run) => {
    const of = (count: number): string[] => stages.map((name) => ((run.stages.find((stage) => stage.name === name)?.cpuSeconds ?? 0) / (count / 1e6)).toFixed(3));
    const label = `${run.name}, ${run.workers} worker${run.workers === 1 ? '' : 's'}`;
    const total = (count: number): string => (run.cpuSeconds / (count / 1e6)).toFixed(3);
    return [[label, 'symbols', ...of(run.symbols), total(run.symbols)], [label, 'relas', ...of(run.relas), total(run.relas)]];
  });
  return table(['pair', 'per million', ...stages, 'cpu of all'], rows);
}

function millions(count: number): string {
  return (count / 1e6).toFixed(2);
}
