import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { ElfObject } from '../../elf';

/** Objects of different make (ELF headers but for the place and number of sections) cannot be compared; nor can a linked one. */
export function reportUnlikeMake(orig: ElfObject, patched: ElfObject): Diagnostic[] {
  const [a, b] = [orig, patched].map(({ bytes }) =>
    Buffer.concat([bytes.subarray(0, 40), bytes.subarray(48, 56), bytes.subarray(58, 60)]),
  );
  const segments = [orig, patched].find(({ bytes }) => bytes[56] !== 0 || bytes[57] !== 0);
  if (segments !== undefined)
    return [
      diagnostic('header-mismatch', `${segments.path} has program headers, which no compiler writes into an object`, {
        object: segments.path,
      }),
    ];
  return a!.equals(b!)
    ? []
    : [
        diagnostic(
          'header-mismatch',
          `the ELF headers of ${orig.path} and ${patched.path} differ: they are not of one make`,
          { object: patched.path },
        ),
      ];
}
