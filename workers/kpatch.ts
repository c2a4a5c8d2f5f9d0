/** What the pool's threads do of dialect kpatch. */
import { MappedFile } from '../src/files/mapped-file';
import { readWhole } from '../src/files/whole-file';
import { wholeOf } from '../src/elf/writer';
import { ParentExports, openParent, writeKpatchObject } from '../src/livepatch/kpatch';
import { KernelListing, isReadelf, readProc } from '../src/kernel/listing';
import { profileEvidence, type AssessInput, type IncludedFunction } from '../src/stages/assess';
import { compareObjects } from '../src/stages/inline';
import { assessKpatch, extractKpatch, reportRemarks, type KpatchPlan } from '../src/stages/kpatch';
import { checkRunningKernel } from '../src/stages/running-kernel';
import { SymbolPositions } from '../src/stages/running-kernel/sympos';
import type { Dialect, UnitPair } from './dialect';
import { keptReader, read } from './inputs';
import { inNameOf } from './klp';
import type { AnswerOf, InputFile, Judgement, UnitResult } from '../src/pipeline/types';
import { append } from '../src/lists';

/** kpatch-build's rules. */
export const KPATCH: Dialect = {
  assess: judgeKpatch,
  extract({ plan, kernel, ...task }, copied) {
    if (plan === null || kernel === null) throw new TypeError('dialect kpatch extracts by a plan, for a listed kernel');
    return extractForKpatch({ ...task, ...copied, plan, kernel });
  },
  unit: unitForKpatch,
};

function judgeKpatch(input: AssessInput): Judgement & { plan: KpatchPlan } {
  const { assessment, plan, empty, remarks } = assessKpatch(input);
  return {
    assessment: {
      ...assessment,
      diagnostics: [...assessment.diagnostics, ...reportRemarks(remarks, input.objectName, assessment.diagnostics)],
    },
    changes: !empty,
    plan,
  };
}

interface KpatchExtractTask
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

function extractForKpatch({
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
  return { object: wholeOf(writeKpatchObject(kpatch).chunks()), findings: { klpSymbols, diagnostics, census: null } };
}

/** One unit of a folder, from scan to extract. Refused or not, it is extracted: all reasons are told at once. */
function unitForKpatch({ orig, patched, name, facts, objectName, traceable, livepatch }: UnitPair): {
  answer: UnitResult;
  made: AnswerOf<'extract'> | null;
} {
  if (livepatch === null) throw new TypeError('a report on a unit is of dialect klp');
  const { symvers, kernel, klpArch } = livepatch;
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
