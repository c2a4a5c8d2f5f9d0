import { NAMES } from './cases';
import type { CaseResult, Spread, Stage } from './results';

/** Rows as aligned columns: the first to the left, figures to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ');
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

export function casesTable(cases: readonly CaseResult[]): string {
  const rows = cases.map((result) => [
    result.name,
    seconds(result.seconds.median),
    `${seconds(result.seconds.min)} to ${seconds(result.seconds.max)}`,
    seconds(result.userSeconds.median),
    seconds(result.systemSeconds.median),
    mebibytes(result.peakAnonBytes.max),
    String(result.runs),
  ]);
  return table(['case', 'wall s', 'min to max', 'user s', 'system s', 'peak anon MiB', 'runs'], rows);
}

export function stagesTable(stages: readonly Stage[]): string {
  const rows = stages.map((stage) => [
    stage.name,
    seconds(stage.seconds),
    seconds(stage.cpuSeconds),
    String(stage.items),
    mebibytes(stage.bytes),
    String(stage.reused),
  ]);
  return table(['stage', 'wall s', 'cpu s', 'items', 'MiB', 'reused'], rows);
}

/** What `--json` writes of a kernel. */
export interface Report {
  schema: 'klpflow/bench@1';
  input: { name: string; origBytes: number; patchedBytes: number };
  machine: { cores: number; memoryBytes: number };
  node: string;
  cases: readonly CaseResult[];
  ratios: readonly Comparison[];
  failures: ReadonlyArray<{ name: string; reason: string }>;
}

const BY_BYTE = [NAMES.walk, NAMES.cold, NAMES.module, NAMES.second] as const;

/** Kernels beside each other: nanoseconds of the median run a byte of both objects. */
export function byteTable(reports: readonly Report[]): string {
  const rows = reports.map(({ input, cases }) => [
    input.name,
    mebibytes(input.origBytes + input.patchedBytes),
    ...BY_BYTE.map((name) => {
      const median = cases.find((result) => result.name === name)?.seconds.median;
      return median === undefined ? '' : ((median * 1e9) / (input.origBytes + input.patchedBytes)).toFixed(2);
    }),
  ]);
  return table(['ns a byte of both objects', 'MiB', ...BY_BYTE], rows);
}

/** Two cases that answer the same question. */
export interface Comparison {
  name: string;
  other: string;
  /** Below 1: the first is faster, or smaller. */
  time: number;
  memory: number;
}

const COMPARED: readonly [string, string][] = [
  [NAMES.cold, NAMES.peerCold],
  [NAMES.output, NAMES.peerCold],
  [NAMES.standIn, NAMES.peerCold],
  [NAMES.checksumsHere, NAMES.checksums],
  [NAMES.module, NAMES.cold],
  [NAMES.kpatch, NAMES.output],
  [NAMES.createDiffObject, NAMES.output],
  [NAMES.second, NAMES.peerSecond],
  [NAMES.cold, NAMES.walk],
  [NAMES.workers(2), NAMES.workers(1)],
  [NAMES.version, NAMES.node],
];

export function comparisons(cases: readonly CaseResult[]): Comparison[] {
  const found = new Map(cases.map((result) => [result.name, result]));
  return COMPARED.flatMap(([name, other]) => {
    const a = found.get(name);
    const b = found.get(other);
    if (a === undefined || b === undefined) return [];
    const ratio = (figure: (result: CaseResult) => Spread, of: keyof Spread): number => figure(a)[of] / figure(b)[of];
    return [
      {
        name,
        other,
        time: ratio((result) => result.seconds, 'median'),
        memory: ratio((result) => result.peakAnonBytes, 'max'),
      },
    ];
  });
}

export function comparisonsTable(all: readonly Comparison[]): string {
  const rows = all.map(({ name, other, time, memory }) => [`${name} / ${other}`, time.toFixed(2), memory.toFixed(2)]);
  return table(['ratio of medians', 'time', 'memory'], rows);
}

function seconds(value: number): string {
  return value.toFixed(value > 0 && value < 1 ? 3 : 2);
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
