/** What the pool's threads do of dialect klp. */
import { readText, type ElfObject } from '../src/elf';
import { wholeOf } from '../src/elf/writer';
import { platformFacts } from '../src/livepatch/facts';
import { writeKlpObject } from '../src/livepatch/klp';
import { KernelListing } from '../src/livepatch/listing';
import { Symvers } from '../src/livepatch/symvers';
import { profileEvidence } from '../src/stages/assess';
import { extract, type ExtractInput } from '../src/stages/extract';
import { diffInline, type PairFacts } from '../src/stages/inline';
import { checkRunningKernel } from '../src/stages/running-kernel';
import { SymbolPositions } from '../src/stages/sympos';
import { read } from './inputs';
import type { AnswerOf, TaskOf, UnitResult } from '../src/pipeline/types';

/** One unit of a folder, from scan to assess. */
export function unitForKlp(orig: ElfObject, patched: ElfObject, objectName: string, facts: PairFacts, traceable: ReadonlySet<string> | undefined): { answer: UnitResult; made: null } {
  const { compared, assessment: { object, diagnostics, included } } = diffInline(orig, patched, { objectName, traceable, ...facts });
  return { answer: { object: { ...object, klpSymbols: [] }, profile: profileEvidence(compared), diagnostics, changes: included.length > 0, made: false }, made: null };
}

type Sides = Pick<ExtractInput, 'pairing' | 'orig' | 'patched' | 'objectName' | 'included'>;

export function extractForKlp({ undecided, objectName, provenance, symvers, kernel }: Omit<TaskOf<'extract'>, 'pair' | 'place'>, sides: Sides): AnswerOf<'extract'> {
  const { orig } = sides;
  const listing = kernel === null ? null : read(kernel, KernelListing.open);
  const positions = new SymbolPositions(orig, objectName, listing);
  const { object, klpSymbols, replaced, references, diagnostics } = extract({
    ...sides, undecided: new Set(undecided), provenance, facts: platformFacts(orig.object), symvers: read(symvers, (path) => Symvers.parse(readText(path), path)), positions,
  });
  // With the running kernel at hand it is proven that ORIG is that kernel's code.
  if (listing !== null && objectName === 'vmlinux') diagnostics.push(...checkRunningKernel({ orig, positions, listing, functions: replaced, references }));
  return { object: wholeOf(writeKlpObject(object).chunks()), findings: { klpSymbols, diagnostics } };
}
