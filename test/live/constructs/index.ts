/** All constructs by kind. */
import type { Construct } from '../construct';
import type { TargetName } from '../target';
import { alias } from './alias';
import { assembly } from './assembly';
import { assemblyArm64 } from './assembly-arm64';
import { chain } from './chain';
import { clones } from './clones';
import { computedGoto } from './computed-goto';
import { doOnce } from './do-once';
import { endPointer } from './end-pointer';
import { functionPointer } from './function-pointer';
import { globals } from './globals';
import { identical } from './identical';
import { listed } from './listed';
import { literal } from './literal';
import { messages } from './messages';
import { placement } from './placement';
import { readOnly } from './read-only';
import { staticLocals } from './static-locals';
import { structs } from './structs';
import { switches } from './switch';
import { tables } from './tables';
import { wide } from './wide';

export const constructs: Record<string, Construct> = Object.fromEntries(
  [
    alias,
    assembly,
    assemblyArm64,
    chain,
    clones,
    computedGoto,
    doOnce,
    endPointer,
    functionPointer,
    globals,
    identical,
    listed,
    literal,
    messages,
    placement,
    readOnly,
    staticLocals,
    structs,
    switches,
    tables,
    wide,
  ].map((construct) => [construct.kind, construct]),
);

/** What programs for a processor are made of. */
export function kindsOf(target: TargetName): string[] {
  return Object.keys(constructs).filter((kind) => (constructs[kind]!.target ?? target) === target);
}
