/** What the pool's threads do of dialect klp. */
import { isRefused, type Diagnostic } from '../src/diagnostics';
import { readText } from '../src/files/whole-file';
import { wholeOf } from '../src/elf/writer';
import { platformFacts } from '../src/livepatch/facts';
import { writeKlpObject } from '../src/livepatch/klp';
import { KernelListing } from '../src/kernel/listing';
import { Symvers } from '../src/kernel/symvers';
import { assess, profileEvidence } from '../src/stages/assess';
import { extract, rehearse } from '../src/stages/extract';
import { diffInline } from '../src/stages/inline';
import { checkRunningKernel } from '../src/stages/running-kernel';
import { Placement, census, checkAgainstImage, isUnit, type Census } from '../src/stages/running-kernel/image';
import { TrustedPositions } from '../src/stages/running-kernel/sympos';
import type { Side } from '../src/stages/side/side';
import type { Copied, Dialect, UnitPair } from './dialect';
import { read } from './inputs';
import { positionsOf, proofOf, type Proof } from './proof';
import type { AnswerOf, RehearsalAnswer, TaskOf, UnitResult } from '../src/pipeline/types';
import { append } from '../src/lists';

/** klp-build's rules, for formats klp and ko. */
export const KLP: Dialect = {
  assess(input) {
    const assessment = assess(input);
    return { assessment, changes: assessment.included.length + assessment.brought.length > 0, plan: null };
  },
  extract: extractForKlp,
  unit: unitForKlp,
};

/** One unit of a folder, from scan to what writing it would find. */
function unitForKlp({ orig, patched, name, facts, objectName, traceable }: UnitPair): {
  answer: UnitResult;
  made: null;
} {
  const { compared, assessment } = diffInline(orig, patched, { objectName, traceable, ...facts });
  const { object, included, undecided, copied } = assessment;
  const changes = included.length > 0;
  const rehearsed =
    changes && !isRefused(assessment.diagnostics)
      ? rehearseForKlp(
          { undecided, copied, objectName, symvers: null, kernel: null, image: null, moduleFile: null, plain: null },
          { ...compared, objectName, included },
        )
      : null;
  const diagnostics = inNameOf(name, objectName, [...assessment.diagnostics, ...(rehearsed?.diagnostics ?? [])]);
  return {
    answer: {
      object: { ...object, name, klpSymbols: [] },
      profile: profileEvidence(compared),
      diagnostics,
      changes,
      made: false,
      unchecked: rehearsed,
    },
    made: null,
  };
}

/** Diagnostics of a unit, which speak of the object that it is linked into. */
export function inNameOf(unit: string, objectName: string, diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics.map((entry) =>
    entry.where.object === objectName ? { ...entry, where: { ...entry.where, object: unit } } : entry,
  );
}

/** What extract would find, with the files that there are. */
export function rehearseForKlp(
  {
    undecided,
    copied,
    objectName,
    symvers,
    kernel,
    image,
    moduleFile,
    plain,
  }: Omit<TaskOf<'rehearse'>, 'pair' | 'included' | 'brought'>,
  sides: Copied,
): RehearsalAnswer {
  const listing = kernel === null ? null : read(kernel, KernelListing.open);
  const proof = proofOf({ objectName, listing, image, moduleFile, plain }, sides);
  // Where a module has its symbols its own table tells.
  const positions =
    listing === null && objectName === 'vmlinux'
      ? new TrustedPositions(sides.orig)
      : positionsOf(sides.orig, objectName, listing, proof);
  const found = rehearse({
    ...sides,
    undecided: new Set(undecided),
    copied: new Set(copied),
    symvers: symvers === null ? Symvers.UNKNOWN : read(symvers, (path) => Symvers.parse(readText(path), path)),
    positions,
  });
  if (found === undefined) return { diagnostics: [], imports: [], lookups: 0, unwritable: true };
  const { diagnostics, imports, lookups, replaced, references } = found;
  if (proof !== null)
    append(diagnostics, checkAgainstImage({ ...sides, ...proof, positions, functions: replaced, references }));
  return { diagnostics, imports, lookups: listing === null ? lookups : 0, unwritable: false };
}

/** Of a unit all functions are looked at here, where what runs is open; a whole kernel's are counted by several threads. */
function censusOf(orig: Side, proof: Proof | null): Census | null {
  return proof !== null && isUnit(orig.table.symbols) ? census(orig, proof.kernel, Placement.codeSections(orig)) : null;
}

function extractForKlp(
  {
    undecided,
    copied,
    objectName,
    provenance,
    symvers,
    kernel,
    image,
    moduleFile,
    plain,
  }: Parameters<Dialect['extract']>[0],
  sides: Copied,
): AnswerOf<'extract'> {
  const { orig } = sides;
  const listing = kernel === null ? null : read(kernel, KernelListing.open);
  const proof = proofOf({ objectName, listing, image, moduleFile, plain }, sides);
  const positions = positionsOf(orig, objectName, listing, proof);
  const { object, klpSymbols, replaced, references, diagnostics } = extract({
    ...sides,
    undecided: new Set(undecided),
    copied: new Set(copied),
    provenance,
    facts: platformFacts(orig.object),
    symvers: read(symvers, (path) => Symvers.parse(readText(path), path)),
    positions,
  });
  // With the running kernel at hand it is proven that ORIG is that kernel's code.
  if (proof !== null)
    append(diagnostics, checkAgainstImage({ ...sides, ...proof, positions, functions: replaced, references }));
  else if (listing !== null && objectName === 'vmlinux')
    append(diagnostics, checkRunningKernel({ orig, positions, listing, functions: replaced, references }));
  return {
    object: wholeOf(writeKlpObject(object).chunks()),
    findings: { klpSymbols, diagnostics, census: censusOf(orig, proof) },
  };
}
