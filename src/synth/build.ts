import type { EncodedFunction } from './encoded';
import type { Unit } from './model';
import type { SynthProcessor } from './processor';

/** One build of the synthetic kernel: its units, made on demand. */
export interface Build {
  processor: SynthProcessor;
  seed: number;
  units: number;
  /** All functions in one `.text`. */
  singleText: boolean;
  /** Patchable entries of all functions in one section. */
  joinedEntries: boolean;
  unit(number: number): EncodedUnit;
  /** Names of a unit's functions, `''` of one that was removed. */
  names(unit: number): readonly string[];
  /** Strings that this build's string table begins with: the linker's order of strings changes with any new one. */
  newStrings: readonly string[];
}

/** A unit whose functions are encoded when their bytes are wanted. */
export class EncodedUnit {
  private readonly encoded: EncodedFunction[] = [];

  constructor(
    readonly unit: Unit,
    private readonly processor: SynthProcessor,
  ) {}

  function(ordinal: number): EncodedFunction {
    return (this.encoded[ordinal] ??= this.processor.encode(this.unit.functions[ordinal]!));
  }
}

/** Units kept: a file is laid out and written unit by unit, and shared sections look at few others. */
const KEPT = 16;

/** Remembers the units made last. */
export class UnitCache {
  private readonly kept = new Map<number, EncodedUnit>();

  constructor(
    private readonly processor: SynthProcessor,
    private readonly make: (number: number) => Unit,
  ) {}

  get(number: number): EncodedUnit {
    let unit = this.kept.get(number);
    if (unit === undefined) {
      unit = new EncodedUnit(this.make(number), this.processor);
      if (this.kept.size === KEPT) this.kept.delete(this.kept.keys().next().value!);
      this.kept.set(number, unit);
    }
    return unit;
  }
}
