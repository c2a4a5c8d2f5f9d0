import { diagnostic, type Diagnostic } from '../../diagnostics';
import { STB_LOCAL } from '../../elf';
import type { Side } from '../compare';
import { originOf, twinOf } from '../correlate';
import { Trait } from '../scan';
import { unitOf } from './names';
import type { AssessInput } from './types';

/** Clang splits a static array or structure into its elements where it can (`tab` into `tab.0`, `tab.1`), each with a number behind. */
const PIECE = /^(.+)\.\d+$/;

/**
 * Refuses variables that one build has whole and the other in pieces: neither has a twin, so the new one would start with the source's value,
 * while the running kernel's state stays in what only the old code uses.
 *
 * @param reached all that goes into the livepatch
 */
export function refuseSplitVariables({ pairing, orig, patched, unpaired, objectName }: AssessInput, reached: ReadonlySet<number>): Diagnostic[] {
  const fresh = unpaired.patched.filter((symbol) => reached.has(symbol) && originOf(pairing, symbol) === 0 && isStatic(patched, symbol));
  if (fresh.length === 0) return [];
  const gone = unpaired.orig.filter((symbol) => twinOf(pairing, symbol) === 0 && isStatic(orig, symbol));
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
    const other = split ? `ORIG has ${orig.name(piece)}, a piece of such a variable` : `it is a piece of ${orig.name(around!)}, which ORIG has whole`;
    return [diagnostic('ambiguous-data', `${name} counts as new and would start anew: ${other}, and the running kernel's value would be lost`, { object: objectName, section: patched.sectionName(symbol), symbol: name })];
  });
}

function isStatic({ table }: Side, symbol: number): boolean {
  return table.has(symbol, Trait.OBJECT) && table.has(symbol, Trait.WRITABLE) && table.canonical[symbol] === symbol && table.info[symbol]! >>> 4 === STB_LOCAL;
}

function keyOf(side: Side, symbol: number, name: string): string {
  return `${unitOf(side, symbol)}\0${name}`;
}
