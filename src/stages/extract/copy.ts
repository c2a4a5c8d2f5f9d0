import type { LivepatchObject } from '../../livepatch/object';
import { meet } from '../places';
import { Clones } from './clones';
import { keepPieceEntries } from './code-pieces';
import { copyCodeTables } from './code-tables';
import type { CopyRules } from './copy-rules';
import type { Links } from './link';
import type { Refusals } from './refusals';
import { Relocator } from './relocate';
import { keepEntries } from './special-entries';
import type { CopyInput } from './types';

/** Copies the included functions, what `roots` adds to them, and all that these reach, into `output`. */
export function copyReached(
  input: CopyInput,
  output: LivepatchObject,
  dialect: CopyRules,
  links: Links,
  refusals: Refusals,
  roots?: (clones: Clones) => void,
): Clones {
  const { patched } = input;
  meet(input.pairing, input.orig, patched);
  const clones = new Clones(patched, output, dialect);

  // All functions first: code that refers to one of them must find its copy.
  for (const { symbol } of input.included) clones.function(symbol);
  const bodies = [...clones.open];
  for (const symbol of input.brought ?? []) clones.object(symbol);
  roots?.(clones);
  const copying = { input, dialect, clones, links, refusals };
  input.included.forEach(({ symbol }, i) => keepEntries(copying, bodies[i]!, symbol));

  // What is reached is copied and followed until nothing new turns up; `open` grows meanwhile.
  const relocator = new Relocator(input, clones, links, refusals);
  let done = 0;
  const follow = (): void => {
    for (; done < clones.open.length; done++) relocator.relocate(clones.open[done]!);
  };
  follow();
  keepPieceEntries(patched, clones);
  follow();

  // A million entries to go through, and none is ever refused.
  if (input.rehearsed !== true) copyCodeTables(patched, clones, dialect);
  return clones;
}
