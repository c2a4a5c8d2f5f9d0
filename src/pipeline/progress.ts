import { Subject } from 'rxjs';
import { threadCpuMs } from '../records';
import type { TaskRecord } from './pool';
import { STAGES, type Cost, type ProgressEvent, type StageName, type StageReport, type TaskName } from './types';
import { largest, smallest } from '../lists';

/** Which stage a task belongs to. */
const STAGE_OF: Record<TaskName, StageName | undefined> = {
  identify: 'identify',
  kernelImage: 'identify',
  unpackFile: 'identify',
  moduleExports: 'identify',
  readTable: 'scan',
  keepTable: 'scan',
  digest: 'digest',
  special: 'digest',
  users: 'compare',
  align: 'correlate',
  twins: 'correlate',
  compare: 'compare',
  losses: 'compare',
  uncovered: 'compare',
  assess: 'assess',
  profile: 'assess',
  explain: 'assess',
  explainListed: 'assess',
  extract: 'extract',
  census: 'extract',
  rehearse: 'extract',
  unitNames: 'correlate',
  unit: 'compare',
  warm: undefined,
  checksum: undefined,
};

type Span = Pick<Cost, 'start' | 'end' | 'cpu'>;

/** Counts what is done, by stage, and tells it. */
export class Progress {
  readonly events = new Subject<ProgressEvent>();
  private readonly totals = new Map<string, { done: number; total: number }>();
  /** What ran on the main thread, by stage; milliseconds. */
  private readonly main = new Map<StageName, Span[]>();
  /** Processor time of this thread when the first task was given out. */
  private startupCpu: number | undefined;
  private readonly items = new Map<StageName, { items: number; bytes: number }>();

  /** @param startedAt when the run began, by `performance.now()` */
  constructor(private readonly startedAt: number) {}

  /** Announces work, so that a bar knows its length. */
  expect(stage: StageName, object: string | null, total: number): void {
    this.totals.set(`${stage}:${object}`, { done: 0, total });
  }

  /** Told before every task. */
  begin(): void {
    this.startupCpu ??= threadCpuMs();
  }

  /** Reports that one piece of work is done and recorded. */
  step(
    stage: StageName,
    object: string | null,
    reused: boolean,
    miss: string | null,
    counted: { items: number; bytes: number },
  ): void {
    const key = `${stage}:${object}`;
    const count = this.totals.get(key) ?? { done: 0, total: 1 };
    count.done++;
    this.totals.set(key, count);
    const sum = this.items.get(stage) ?? { items: 0, bytes: 0 };
    sum.items += counted.items;
    sum.bytes += counted.bytes;
    this.items.set(stage, sum);
    this.events.next({
      stage,
      object,
      done: count.done,
      total: Math.max(count.total, count.done),
      reused,
      miss,
      at: (performance.now() - this.startedAt) / 1000,
    });
  }

  /** Runs a stage on this thread, timed. */
  onMain<T>(stage: StageName, work: () => T): T {
    const start = performance.timeOrigin + performance.now();
    const cpuBefore = threadCpuMs();
    const result = work();
    this.main.set(stage, [
      ...(this.main.get(stage) ?? []),
      { start, end: performance.timeOrigin + performance.now(), cpu: threadCpuMs() - cpuBefore },
    ]);
    return result;
  }

  /** Where the time went, in the order of the stages. Wall-clock spans overlap; processor time adds up. */
  report(tasks: readonly TaskRecord[]): StageReport[] {
    const first = tasks.reduce((least, { cost }) => Math.min(least, cost.start), Infinity);
    const startup = Number.isFinite(first) ? Math.max(0, (first - performance.timeOrigin - this.startedAt) / 1000) : 0;
    const reports: StageReport[] = [
      { name: 'startup', seconds: startup, cpuSeconds: (this.startupCpu ?? 0) / 1000, items: 1, bytes: 0, reused: 0 },
    ];
    for (const stage of STAGES) {
      const costs = tasks.filter(({ name }) => STAGE_OF[name] === stage).map(({ cost }) => cost);
      const main = this.main.get(stage) ?? [];
      if (costs.length === 0 && main.length === 0) continue;
      const cpuSeconds = [...costs, ...main].reduce((sum, { cpu }) => sum + cpu, 0) / 1000;
      // A stage on this thread runs in pieces, with other stages in between.
      const seconds =
        costs.length === 0
          ? main.reduce((sum, { start, end }) => sum + end - start, 0) / 1000
          : (largest(costs.map(({ end }) => end)) - smallest(costs.map(({ start }) => start))) / 1000;
      const { items = 0, bytes = 0 } = this.items.get(stage) ?? {};
      reports.push({
        name: stage,
        seconds,
        cpuSeconds,
        items,
        bytes,
        reused: costs.filter(({ reused }) => reused).length,
      });
    }
    return reports.map((report) => ({
      ...report,
      seconds: round(report.seconds),
      cpuSeconds: round(report.cpuSeconds),
    }));
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 1e4) / 1e4;
}
