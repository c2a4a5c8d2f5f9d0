import type { ElfObject } from '../src/elf';
import type { AssessInput } from '../src/stages/assess/types';
import type { ExtractInput } from '../src/stages/extract';
import type { PairFacts } from '../src/stages/inline';
import type { AnswerOf, Judgement, TaskOf, UnitRequest, UnitResult } from '../src/pipeline/types';

/** A pair as a thread has it, and what of it is to be copied. */
export type Copied = Pick<ExtractInput, 'pairing' | 'orig' | 'patched' | 'objectName' | 'included' | 'brought'>;

/** One unit of a folder; its report is in the unit's name. */
export interface UnitPair {
  orig: ElfObject;
  patched: ElfObject;
  name: string;
  facts: PairFacts;
  /** The object that all units are linked into, and what can be traced of it. */
  objectName: string;
  traceable: ReadonlySet<string> | undefined;
  /** The livepatch object to make of it; null for a report only. */
  livepatch: UnitRequest | null;
}

/** What the dialects do otherwise: which changes count, and how they are carried. */
export interface Dialect {
  assess(input: AssessInput): Judgement;
  extract(task: Omit<TaskOf<'extract'>, 'pair' | 'place' | 'dialect'>, copied: Copied): AnswerOf<'extract'>;
  unit(pair: UnitPair): { answer: UnitResult; made: AnswerOf<'extract'> | null };
}
