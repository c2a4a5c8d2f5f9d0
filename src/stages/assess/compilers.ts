import type { SectionIndex } from '../../elf';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { Side } from '../side/side';

/** Compilers that objects name in `.comment`, and nobody else: linkers write theirs there, too. */
function compilersOf({ object }: Side, sections: readonly SectionIndex[]): Set<string> {
  const texts = sections.flatMap((section) => Buffer.from(object.content(section)).toString('latin1').split('\0'));
  return new Set(texts.filter((text) => text !== '' && !/^Linker: /.test(text)));
}

/** Builds of different compilers differ in functions that nobody edited, and agree on nothing that is not in the ABI. */
export function reportCompilers(
  orig: Side,
  patched: Side,
  ours: readonly number[],
  theirs: readonly number[],
  object: string,
): Diagnostic[] {
  const [a, b] = [compilersOf(orig, ours), compilersOf(patched, theirs)];
  // An object that was stripped of it says nothing.
  if (a.size === 0 || b.size === 0 || (a.size === b.size && [...a].every((text) => b.has(text)))) return [];
  const only = (list: ReadonlySet<string>, other: ReadonlySet<string>): string =>
    [...list]
      .filter((text) => !other.has(text))
      .sort()
      .slice(0, 3)
      .join(', ') || 'fewer';
  return [
    diagnostic('other-compiler', `the compilers differ (.comment): ORIG has ${only(a, b)}, PATCHED has ${only(b, a)}`, {
      object,
      section: '.comment',
    }),
  ];
}
