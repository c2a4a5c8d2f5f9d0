import type { SymbolIndex } from '../../elf';
import { diagnostic, type Diagnostic, type DiagnosticCode } from '../../diagnostics';
import { SectionClass } from '../../kernel/section-class';
import type { UncoveredDifference } from '../compare';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import { originOf, twinOf } from '../correlate';
import { Trait } from '../scan';
import { referencesFrom } from './references';
import type { AssessInput } from './types';
import { isReached } from './uncovered-users';

/**
 * What becomes of differences in bytes that no symbol covers. Where the running kernel goes on with its own, they are refused: code that
 * cannot be redirected, data in use. Where nothing depends on them, they are told: code that nothing refers to (GCC leaves the bodies
 * of weak functions that another unit overrides), data that nothing names, entries that a table gained, what only one build has.
 */
export function assessUncovered(
  input: AssessInput,
  included: ReadonlySet<SymbolIndex>,
  discarded: number,
): Diagnostic[] {
  const { objectName: object } = input;
  const { pairing } = input;
  // Pieces of functions that go into the livepatch go with them.
  const goes = (owner: number): boolean => owner !== 0 && included.has(owner);
  const left = input.uncovered.filter(
    ({ owners: { orig, patched } }) =>
      orig.length + patched.length === 0 ||
      !patched.every(goes) ||
      !orig.every((owner) => owner !== 0 && (twinOf(pairing, owner) === 0 || goes(twinOf(pairing, owner)))),
  );
  return left.map((difference) => {
    const { section, label, offset } = difference;
    const { code, why } = judge(input, difference, included, discarded);
    const what = label !== '' ? `${label} in ${section}` : `${section}, offset 0x${offset.toString(16)},`;
    return diagnostic(code, `${what} ${why}`, { object, section, symbol: label !== '' ? label : section, offset });
  });
}

function judge(
  input: AssessInput,
  { orig, patched, section, label, owners, grown }: UncoveredDifference,
  included: ReadonlySet<SymbolIndex>,
  discarded: number,
): { code: DiagnosticCode; why: string } {
  const { orig: a, patched: b } = input;
  const gone = (discarded & Trait.INIT ? SectionClass.INIT : 0) | (discarded & Trait.EXIT ? SectionClass.EXIT : 0);
  const bits = orig !== null ? a.table.sectionClass[orig.section]! : b.table.sectionClass[patched!.section]!;
  const executable = (bits & SectionClass.EXEC) !== 0;
  if (patched === null) {
    const used =
      executable &&
      isReached(a, orig!, (user) => {
        const twin = twinOf(input.pairing, user);
        return twin !== 0 && !included.has(twin);
      });
    return used
      ? {
          code: 'unsized-code',
          why: 'is in ORIG only, and a function that stays as it is reaches it: code that no symbol with a size covers',
        }
      : { code: 'uncovered-bytes', why: 'is in ORIG only; no symbol with a size covers it' };
  }
  const needed = isNeeded(b, patched, included);
  if (
    orig === null &&
    executable &&
    isReached(b, patched, (user) => originOf(input.pairing, user) !== 0 && !included.has(user))
  )
    return {
      code: 'unsized-code',
      why: 'is in PATCHED only, and a function that stays as it is reaches it: code that no symbol with a size covers',
    };
  if (orig === null && !needed)
    return {
      code: 'uncovered-bytes',
      why: 'is in PATCHED only, and no livepatch adds it; no symbol with a size covers it',
    };
  if (grown && !needed && !executable && (label === '' || (bits & gone) !== 0))
    return {
      code: 'uncovered-bytes',
      why: 'has more entries in PATCHED, and no livepatch adds them; no symbol with a size covers them',
    };
  if ((bits & gone) !== 0)
    return {
      code: isImage(section) ? 'uncovered-bytes' : 'init-change',
      why: 'changed, and that section is gone from the running kernel',
    };
  if (!executable) {
    const nameless = section.startsWith('.rodata') && label === '' && !needed;
    return {
      code: nameless ? 'uncovered-bytes' : 'changed-data',
      why: 'changed: data that no symbol with a size covers',
    };
  }
  if (orig !== null && label === '' && !needed && !isReached(a, orig) && !isReached(b, patched))
    return { code: 'uncovered-bytes', why: 'changed: code without a name that nothing refers to' };
  const [owner] = owners.patched;
  if (owner !== undefined && owner !== 0)
    return { code: 'unsized-code', why: `changed: code of ${b.name(owner)}, which is otherwise the same` };
  return {
    code: 'unsized-code',
    why:
      orig === null
        ? 'is new code that no symbol with a size covers, and included code refers to it'
        : 'changed: code that no symbol with a size covers',
  };
}

/** The archive of the first file system holds the time of the build. */
function isImage(section: string): boolean {
  return section.startsWith('.init.ramfs');
}

/** Whether included code refers to a range. */
function isNeeded(side: Side, { section, start, end }: Range, included: ReadonlySet<SymbolIndex>): boolean {
  const { table } = side;
  return [...included].some((symbol) =>
    referencesFrom(side, table.section[symbol]!, table.value[symbol]!, table.value[symbol]! + table.size[symbol]!).some(
      (reference) => reference.section === section && reference.offset >= start && reference.offset <= end,
    ),
  );
}
