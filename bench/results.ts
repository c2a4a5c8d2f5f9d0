import { measure, type Measurement } from './measure';

/** One figure over all runs of a case. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

type Figure = 'seconds' | 'userSeconds' | 'systemSeconds' | 'peakAnonBytes';

/** A line of klpflow's own account, `run.stages` of its JSON. */
export interface Stage {
  name: string;
  seconds: number;
  cpuSeconds: number;
  items: number;
  bytes: number;
  /** How many of its results came from an earlier run. */
  reused: number;
}

export interface CaseResult {
  name: string;
  runs: number;
  seconds: Spread;
  userSeconds: Spread;
  systemSeconds: Spread;
  peakAnonBytes: Spread;
  /** Of the run with the median time; only where the command was klpflow's diff. */
  stages?: Stage[];
}

/** The samples of every case, in the order in which the cases were first run. */
export class Results {
  private readonly samples = new Map<string, Measurement[]>();
  private readonly failed = new Map<string, string>();

  /**
   * Runs a command as one sample of a case. A case that failed once is not run again, and says so by `false`:
   * a later case may need what it leaves behind.
   */
  async take(
    name: string,
    command: readonly string[],
    options: { cwd?: string; check?: (run: Measurement) => void } = {},
  ): Promise<boolean> {
    if (this.failed.has(name)) return false;
    try {
      const run = await measure(command, options.cwd);
      (options.check ?? exitedWithZero)(run);
      this.add(name, run);
      return true;
    } catch (cause) {
      this.failed.set(name, cause instanceof Error ? cause.message : String(cause));
      return false;
    }
  }

  add(name: string, run: Measurement): void {
    const runs = this.samples.get(name);
    if (runs === undefined) this.samples.set(name, [run]);
    else runs.push(run);
  }

  /** The last sample of a case. */
  last(name: string): Measurement {
    return this.samples.get(name)!.at(-1)!;
  }

  failures(): { name: string; reason: string }[] {
    return [...this.failed].map(([name, why]) => ({ name, reason: why }));
  }

  cases(): CaseResult[] {
    return [...this.samples]
      .filter(([name]) => !this.failed.has(name))
      .map(([name, runs]) => {
        const figure = (of: Figure): Spread => spread(runs.map((run) => run[of]));
        const stages = stagesOf(medianRun(runs));
        return {
          name,
          runs: runs.length,
          seconds: figure('seconds'),
          userSeconds: figure('userSeconds'),
          systemSeconds: figure('systemSeconds'),
          peakAnonBytes: figure('peakAnonBytes'),
          ...(stages === undefined ? {} : { stages }),
        };
      });
  }
}

export function exitedWithZero(run: Measurement): void {
  if (run.exitCode !== 0) throw new Error(`exit code ${run.exitCode ?? 'none (killed)'}: ${reason(run)}`);
}

function reason({ stdout, stderr }: Measurement): string {
  if (!stdout.startsWith('{')) return lastLines(stderr || stdout);
  const answer = JSON.parse(stdout) as { error?: { message?: string }; diagnostics?: { message: string }[] };
  return lastLines(answer.error?.message ?? answer.diagnostics?.map(({ message }) => message).join('\n') ?? stderr);
}

/** Commands one after the other as one: times add up, the larger peak counts. */
export function together(runs: readonly Measurement[]): Measurement {
  const sum = (of: Figure): number => runs.reduce((total, run) => total + run[of], 0);
  return {
    seconds: sum('seconds'),
    userSeconds: sum('userSeconds'),
    systemSeconds: sum('systemSeconds'),
    peakAnonBytes: Math.max(...runs.map((run) => run.peakAnonBytes)),
    exitCode: 0,
    stdout: '',
    stderr: '',
  };
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[upper]! : (sorted[upper - 1]! + sorted[upper]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

function medianRun(runs: readonly Measurement[]): Measurement {
  return [...runs].sort((a, b) => a.seconds - b.seconds)[(runs.length - 1) >> 1]!;
}

function stagesOf(run: Measurement): Stage[] | undefined {
  if (!run.stdout.startsWith('{')) return undefined;
  return (JSON.parse(run.stdout) as { run?: { stages?: Stage[] } }).run?.stages;
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' | ').slice(0, 300);
}
