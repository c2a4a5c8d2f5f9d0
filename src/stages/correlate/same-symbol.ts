import { namesOf, sameContent, type Pairing } from '.';
import { Trait } from '../scan';

/** Whether two canonical symbols are twins by any of their names, or as good as twins. */
export function sameSymbol(pairing: Pairing, a: number, b: number): boolean {
  const { orig, patched } = pairing;
  if (isTwin(pairing, a, b)) return true;
  if (orig.hash[a * 2] !== patched.hash[b * 2] || orig.hash[a * 2 + 1] !== patched.hash[b * 2 + 1]) return false;
  // Both undecided, of one name and one scope: nothing says that they are different, and who depends on them is refused.
  if (pairing.twin[a] === 0 && pairing.origin[b] === 0 && sameScope(pairing, a, b)) return true;
  // Equal functions and equal read-only data of one name are interchangeable, whichever was paired with which, unless they
  // refer to names that prove nothing: then equal digests are not equal contents.
  return (
    !orig.has(a, Trait.WRITABLE | Trait.HAS_USES | Trait.DOUBTFUL) &&
    !patched.has(b, Trait.WRITABLE | Trait.HAS_USES | Trait.DOUBTFUL) &&
    orig.has(a, Trait.CONTENT) &&
    sameContent(orig, a, patched, b)
  );
}

/** Whether two canonical symbols are twins by any of their names. */
export function isTwin({ orig, patched, twin }: Pairing, a: number, b: number): boolean {
  // One function under several names may be several in the other build: which of them a reference means no relocation tells, and
  // whoever has to call another one than the address leads to is taken along (see assess/bodies).
  if (twin[a] !== 0 && (patched.canonical[twin[a]!] === b || !orig.has(a, Trait.FUNC)))
    return patched.canonical[twin[a]!] === b;
  // The canonical name may be gone while the body's other names are paired.
  return namesOf(orig, a).some((alias) => twin[alias] !== 0 && patched.canonical[twin[alias]!] === b);
}

/** Whether two symbols without twins could be: of paired units, or of none. */
function sameScope(pairing: Pairing, a: number, b: number): boolean {
  const unitA = pairing.orig.file[a]!;
  const unitB = pairing.patched.file[b]!;
  return unitA === 0 || unitB === 0 ? unitA === unitB : pairing.sameUnit(unitA, unitB);
}
