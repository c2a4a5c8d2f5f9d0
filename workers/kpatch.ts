/** What the pool's threads do of dialect kpatch. */
import type { ElfObject } from '../src/elf';
import { MappedFile } from '../src/files/mapped-file';
import { readWhole } from '../src/files/whole-file';
import { wholeOf } from '../src/elf/writer';
import { ParentExports, openParent, writeKpatchObject } from '../src/livepatch/kpatch';
import { KernelListing, isReadelf, readProc } from '../src/kernel/listing';
import { profileEvidence, type IncludedFunction } from '../src/stages/assess';
import { compareObjects, type PairFacts } from '../src/stages/inline';
import { assessKpatch, extractKpatch, tellRemarks, type KpatchPlan } from '../src/stages/kpatch';
import { checkRunningKernel } from '../src/stages/running-kernel';
import { SymbolPositions } from '../src/stages/running-kernel/sympos';
import { keptReader, read } from './inputs';
import { inNameOf } from './klp';
import type { AnswerOf, InputFile, Judgement, UnitRequest, UnitResult } from '../src/pipeline/types';
import { append } from '../src/lists';

export function judgeKpatch(input: Parameters<typeof assessKpatch>[0]): Judgement & { plan: KpatchPlan } {
  const { assessment, plan, empty, remarks } = assessKpatch(input);
  return {
    assessment: { ...assessment, diagnostics: [...assessment.diagnostics, ...tellRemarks(remarks, input.objectName)] },
    changes: !empty,
    plan,
  };
}

export interface KpatchExtractTask
  extends Omit<
    Parameters<typeof extractKpatch>[0],
    keyof KpatchPlan | 'included' | 'undecided' | 'copied' | 'parent' | 'exports'
  > {
  plan: KpatchPlan;
  included: readonly IncludedFunction[];
  undecided: readonly number[];
  copied: readonly number[];
  symvers: InputFile;
  kernel: InputFile;
}

export function extractForKpatch({
  plan,
  undecided,
  copied,
  symvers,
  kernel,
  ...input
}: KpatchExtractTask): AnswerOf<'extract'> {
  const { kpatch, klpSymbols, replaced, references, diagnostics } = extractKpatch({
    ...input,
    ...plan,
    undecided: new Set(undecided),
    copied: new Set(copied),
    exports: exportsOf(symvers, input.objectName),
    parent: parentOf(kernel, input.objectName),
  });
  // A unit is not the kernel, and what readelf prints of its parent is taken on trust, as create-diff-object does.
  const listing = plan.debug || input.objectName !== 'vmlinux' ? null : read(kernel, listingOf);
  if (listing !== null)
    append(
      diagnostics,
      checkRunningKernel({
        orig: input.orig,
        listing,
        positions: new SymbolPositions(input.orig, input.objectName, listing),
        functions: replaced,
        references,
      }),
    );
  return { object: wholeOf(writeKpatchObject(kpatch).chunks()), findings: { klpSymbols, diagnostics } };
}

/** One unit of a folder, from scan to extract; its report is in the unit's name. Refused or not, it is extracted: all reasons are told at once. */
export function unitForKpatch(
  orig: ElfObject,
  patched: ElfObject,
  name: string,
  facts: PairFacts,
  { symvers, kernel, klpArch }: UnitRequest,
  objectName: string,
  traceable: ReadonlySet<string> | undefined,
): { answer: UnitResult; made: AnswerOf<'extract'> | null } {
  const { compared } = compareObjects(orig, patched, facts);
  const { assessment, changes, plan } = judgeKpatch({ ...compared, objectName, traceable });
  const { pairing, orig: a, patched: b } = compared;
  const { included, undecided, copied } = assessment;
  const made = changes
    ? extractForKpatch({
        pairing,
        orig: a,
        patched: b,
        objectName,
        included,
        undecided,
        copied,
        plan,
        klpArch,
        symvers,
        kernel,
      })
    : null;
  const diagnostics = inNameOf(name, objectName, [...assessment.diagnostics, ...(made?.findings.diagnostics ?? [])]);
  return {
    answer: {
      object: { ...assessment.object, name, klpSymbols: made?.findings.klpSymbols ?? [] },
      profile: profileEvidence(compared),
      diagnostics,
      changes,
      made: made !== null,
      unchecked: null,
    },
    made,
  };
}

/** What proves that ORIG is the running kernel: that kernel, or its own list of names. */
function listingOf(path: string): KernelListing | null {
  const text = readProc(path) ?? MappedFile.open(path).bytes;
  return isReadelf(text) ? null : KernelListing.open(path);
}

const parentOf = keptReader(openParent);
const exportsOf = keptReader((path) => new ParentExports(readWhole(path), path));
