/** All constructs by kind. */
import type { Construct } from '../model';
import { computedGoto } from './computed-goto';
import { endPointer } from './end-pointer';
import { staticLocals } from './static-locals';
import { switches } from './switch';

export const constructs: Record<string, Construct> = Object.fromEntries([
  computedGoto, endPointer, staticLocals, switches,
].map((construct) => [construct.kind, construct]));
