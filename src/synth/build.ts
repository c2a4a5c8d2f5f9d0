import { encodeFunction, type EncodedFunction } from './encode-function';
import type { Unit } from './model';

/** One build of the synthetic kernel: its units, made on demand. */
export interface Build {
  seed: number;
  units: number;
  unit(number: number): Unit;
  /** Strings that this build's string table begins with: the linker's order of strings changes with any new one. */
  newStrings: readonly string[];
}

/** Encodes functions when their bytes are wanted, and remembers one unit: a section and its relocations are written in a row. */
export class UnitEncoder {
  private unit: Unit | null = null;
  private encoded: EncodedFunction[] = [];

  constructor(private readonly build: Build) {}

  function(unit: number, ordinal: number): EncodedFunction {
    if (this.unit?.number !== unit) {
      this.unit = this.build.unit(unit);
      this.encoded = [];
    }
    return (this.encoded[ordinal] ??= encodeFunction(this.unit.functions[ordinal]!));
  }
}
