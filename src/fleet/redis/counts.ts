/** What a worker has done so far. */
export interface Counts {
  verdicts: Record<string, number>;
  seconds: number;
  active: number;
}
