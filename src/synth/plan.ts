import type { FunctionRef } from './model';
import type { SynthProcessor } from './processor';
import { processorOf } from './processors';
import { Random } from './random';
import { draw, type Distribution } from './shape/distribution';
import type { Shape } from './shape/types';

/** What is the same in both builds of a pair. */
export interface PlanOptions {
  seed: number;
  /** Functions in all units together. */
  functions: number;
  shape: Shape;
  /** Of 1000 units: those whose functions share one section (`ld -r` merges sections of one name). */
  mergedUnits?: number;
  /** All functions in one `.text`, as without -ffunction-sections. */
  singleText?: boolean;
}

/** The kernel that a seed stands for: how its functions are dealt out to units, and which names statics of different units share. */
export class KernelPlan {
  readonly seed: number;
  readonly functions: number;
  readonly shape: Shape;
  readonly processor: SynthProcessor;
  readonly singleText: boolean;
  readonly units: number;
  /** Share of calls that are call sites: the others are tail calls. And of references to code that are calls, of local functions by their section. */
  readonly callSites: number;
  readonly localCalls: number;
  /** Number of names in the pool of shared ones. */
  readonly sharedNames: number;
  /** Id of each unit's first function, and the number of functions. */
  private readonly starts: Uint32Array;
  /** Running totals of how often each shared name is to stand. */
  private readonly sharedTotals: Uint32Array;
  private readonly mergedUnits: number;

  constructor({ seed, functions, shape, mergedUnits = 0, singleText = false }: PlanOptions) {
    this.seed = seed;
    this.functions = functions;
    this.shape = shape;
    this.processor = processorOf(shape);
    this.singleText = singleText;
    const {
      functions: { relas },
      references,
      sites,
    } = shape;
    const calls = relas.mean * references.call;
    this.callSites = Math.min(1, sites.calls / Math.max(calls, 1));
    this.localCalls = Math.min(1, Math.max(0, sites.calls - calls) / Math.max(relas.mean * references.code, 1));
    this.mergedUnits = mergedUnits;
    this.starts = unitStarts(seed, functions, shape);
    this.units = this.starts.length - 1;
    const { local } = shape.functions.per1000;
    this.sharedTotals = sharedTotals(
      seed,
      (functions * local * shape.functions.duplicates.per1000) / 1e6,
      shape.functions.duplicates.group,
    );
    this.sharedNames = this.sharedTotals.length;
  }

  start(unit: number): number {
    return this.starts[unit]!;
  }

  size(unit: number): number {
    return this.starts[unit + 1]! - this.starts[unit]!;
  }

  id({ unit, ordinal }: FunctionRef): number {
    return this.starts[unit]! + ordinal;
  }

  functionAt(id: number): FunctionRef {
    const { starts } = this;
    let low = 0;
    let high = this.units;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle + 1]! > id) high = middle;
      else low = middle + 1;
    }
    return { unit: low, ordinal: id - starts[low]! };
  }

  isMerged(unit: number): boolean {
    return this.mergedUnits > 0 && new Random(this.seed, unit, 9).below(1000) < this.mergedUnits;
  }

  /** Number of a shared name, each as likely as it is frequent. */
  sharedName(random: Random): number {
    const totals = this.sharedTotals;
    const at = random.below(totals[totals.length - 1]!);
    let low = 0;
    let high = totals.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (totals[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function unitStarts(seed: number, functions: number, { functions: { localsPerUnit, per1000 } }: Shape): Uint32Array {
  const random = new Random(seed, 10);
  const starts = [0];
  for (let at = 0; at < functions; ) {
    at = Math.min(
      functions,
      at + Math.max(1, Math.round((draw(localsPerUnit, random) * 1000) / Math.max(per1000.local, 1))),
    );
    starts.push(at);
  }
  return Uint32Array.from(starts);
}

function sharedTotals(seed: number, total: number, group: Distribution): Uint32Array {
  const random = new Random(seed, 11);
  const totals: number[] = [];
  for (let at = 0; at < total; ) totals.push((at += Math.max(2, draw(group, random))));
  return Uint32Array.from(totals);
}
