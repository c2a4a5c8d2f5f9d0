import type { SymbolIndex } from '../../elf';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { Side } from '../side/side';
import { unitNameOf } from './names';
import { freshStatics, goneStatics } from './statics-anew';
import type { AssessInput } from './types';

/** Clang splits a static array or structure into its elements where it can (`tab` into `tab.0`, `tab.1`), each with a number behind. */
const PIECE = /^(.+)\.\d+$/;

/**
 * Refuses variables that one build has whole and the other in pieces: neither has a twin, so the new one would start with the source's value,
 * while the running kernel's state stays in what only the old code uses.
 *
 * @param reached all that goes into the livepatch
 */
export function refuseSplitVariables(input: AssessInput, reached: ReadonlySet<number>): Diagnostic[] {
  const { orig, patched, objectName } = input;
  const fresh = freshStatics(input, reached);
  if (fresh.length === 0) return [];
  const gone = goneStatics(input);
  const whole = new Map(gone.map((symbol) => [keyOf(orig, symbol, orig.name(symbol)), symbol]));
  const pieces = new Map<string, number>();
  for (const symbol of gone) {
    const [, name] = PIECE.exec(orig.name(symbol)) ?? [];
    if (name !== undefined) pieces.set(keyOf(orig, symbol, name), symbol);
  }
  return fresh.flatMap((symbol) => {
    const name = patched.name(symbol);
    const piece = pieces.get(keyOf(patched, symbol, name));
    const around = whole.get(keyOf(patched, symbol, PIECE.exec(name)?.[1] ?? ''));
    // What has the size of its counterpart is no part of it.
    const split = piece !== undefined && patched.table.size[symbol]! > orig.table.size[piece]!;
    const joined = around !== undefined && patched.table.size[symbol]! < orig.table.size[around]!;
    if (!split && !joined) return [];
    const other = split
      ? `ORIG has ${orig.name(piece)}, a piece of such a variable`
      : `it is a piece of ${orig.name(around!)}, which ORIG has whole`;
    return [
      diagnostic(
        'ambiguous-data',
        `${name} counts as new and would start anew: ${other}, and the running kernel's value would be lost`,
        { object: objectName, section: patched.sectionName(symbol), symbol: name },
      ),
    ];
  });
}

function keyOf(side: Side, symbol: SymbolIndex, name: string): string {
  return `${unitNameOf(side, symbol)}\0${name}`;
}
