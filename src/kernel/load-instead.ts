import type { Offset } from '../elf';

/** Where instructions name the variable. */
export interface VariableField {
  at: number;
  type: number;
  addend: number;
}

/** What the instructions that hold the constant become, byte for byte as long. */
export interface LoadInstead {
  bytes: readonly number[];
  fields: readonly VariableField[];
  /** Bytes of the variable. */
  size: number;
  /** Where there is no room: what is done behind the function. `bytes` are then a branch to it, its last instruction one that leads back behind them. */
  aside?: { bytes: readonly number[]; fields: readonly VariableField[]; branch: number };
}

/** How instructions of a function become ones that read the variable: its code, the instruction that holds the site, and the site. Undefined where they cannot. */
export type Rewrite = (
  code: Uint8Array,
  instruction: { offset: Offset; length: number },
  site: number,
) => LoadInstead | undefined;
