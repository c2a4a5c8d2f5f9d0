/** Adds up what patches came to. */
import type { Tried } from './loop';
import type { Outcome } from './trial';

type Ends = Record<Outcome['end'], number>;
const none = (): Ends => ({ right: 0, unchanged: 0, refused: 0, wrong: 0 });
const count = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1);
const sorted = (map: Map<string, number>): Array<[string, number]> =>
  [...map].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));

export class Report {
  seconds = 0;
  private patches = 0;
  private effective = 0;
  private readonly dialects: Record<string, Ends> = {};
  private readonly kinds = new Map<string, Ends>();
  private readonly refusals = new Map<string, number>();
  private readonly rightly = new Map<string, number>();
  readonly wrong: string[] = [];
  readonly invalid: string[] = [];

  constructor(private readonly seed: number) {}

  get failed(): boolean {
    return this.wrong.length + this.invalid.length > 0;
  }

  add({ index, cc, edits, mayRefuse, judged, invalid }: Tried): void {
    this.patches++;
    const what = `seed ${this.seed} patch ${index} (${cc}; ${edits.join(', ')})`;
    if (judged === undefined) {
      this.invalid.push(`${what}: ${invalid}`);
      return;
    }
    if (judged.effective) this.effective++;
    for (const { dialect, end, why } of judged.outcomes) {
      (this.dialects[dialect] ??= none())[end]++;
      for (const kind of new Set(edits.map((edit) => edit.split(':')[0]!))) {
        if (!this.kinds.has(kind)) this.kinds.set(kind, none());
        this.kinds.get(kind)![end]++;
      }
      if (end === 'refused') for (const code of why) count(mayRefuse ? this.rightly : this.refusals, code);
      if (end === 'wrong') this.wrong.push(`${what}, ${dialect}: ${why.join('; ')}`);
    }
  }

  summary(): object {
    const { seed, patches, effective, dialects, wrong, invalid, seconds } = this;
    const table = (map: Map<string, unknown>): object =>
      Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
    return {
      seed,
      patches,
      effective,
      dialects,
      kinds: table(this.kinds),
      refusals: { expected: table(this.rightly), other: table(this.refusals) },
      wrong,
      invalid,
      seconds,
    };
  }

  text(): string {
    const all = Object.values(this.dialects).reduce(
      (sum, ends) => sum + ends.right + ends.unchanged + ends.refused + ends.wrong,
      0,
    );
    const share = (n: number, of = all): string => `${((100 * n) / Math.max(of, 1)).toFixed(1)} %`;
    const row = (name: string, { right, unchanged, refused, wrong }: Ends): string =>
      `${name.padEnd(24)}${[right, unchanged, refused, wrong].map((n) => String(n).padStart(10)).join('')}`;
    return [
      ...this.invalid.map((line) => `invalid: ${line}`),
      ...this.wrong.map((line) => `wrong: ${line}`),
      `${this.patches} patches of seed ${this.seed}, ${this.effective} change what is printed; ${(this.patches / this.seconds).toFixed(1)} a second`,
      `${''.padEnd(24)}${['right', 'unchanged', 'refused', 'wrong'].map((n) => n.padStart(10)).join('')}`,
      ...Object.entries(this.dialects).map(([dialect, ends]) => row(dialect, ends)),
      ...[...this.kinds].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, ends]) => row(`  ${kind}`, ends)),
      'refused where an edit may rightly be refused:',
      ...sorted(this.rightly).map(([code, n]) => `  ${code.padEnd(30)} ${share(n)}`),
      'refused otherwise:',
      ...sorted(this.refusals).map(([code, n]) => `  ${code.padEnd(30)} ${share(n)}`),
      `wrong: ${this.wrong.length}, invalid: ${this.invalid.length}`,
    ].join('\n');
  }
}
