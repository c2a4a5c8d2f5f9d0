import { diagnostic, type Diagnostic } from '../../diagnostics';
import { CALLBACKS } from '../../livepatch/object';
import type { AssessInput, IncludedFunction } from './types';

const NAMED = 3;

/** Reports a livepatch that redirects nothing: it brings new functions that nothing in the running kernel calls. */
export function reportNothingRedirected(
  { patched, objectName }: AssessInput,
  included: readonly IncludedFunction[],
  refused: boolean,
): Diagnostic[] {
  // What callbacks call runs without any function being redirected.
  const hasCallbacks = CALLBACKS.some(
    (kind) => patched.identity.named(`__klp_${kind}_callback_${objectName}`).length > 0,
  );
  if (refused || hasCallbacks || included.length === 0 || included.some(({ origin }) => origin !== 0)) return [];
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
