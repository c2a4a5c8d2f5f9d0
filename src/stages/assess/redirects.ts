import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { AssessInput, IncludedFunction } from './types';

const NAMED = 3;

/** Tells of a livepatch that redirects nothing: it brings new functions that nothing in the running kernel calls. */
export function tellNothingRedirected(
  { patched, objectName }: AssessInput,
  included: readonly IncludedFunction[],
  refused: boolean,
): Diagnostic[] {
  if (refused || included.length === 0 || included.some(({ origin }) => origin !== 0)) return [];
  const names = included.map(({ symbol }) => patched.name(symbol));
  const listed = `${names.slice(0, NAMED).join(', ')}${names.length > NAMED ? ` and ${names.length - NAMED} more` : ''}`;
  return [
    diagnostic(
      'nothing-redirected',
      `no function of ${objectName} is redirected: only ${listed} would be added, which nothing there calls`,
      { object: objectName, symbol: names[0]! },
    ),
  ];
}
