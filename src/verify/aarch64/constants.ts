/** What must stand in a module where the kernel's own code has a number that is filled in at boot (asm/runtime-const.h). */
import type { Context } from '../context';
import type { ModuleSection } from '../module';
import { targetInData, type Target } from '../references';
import { NOP, wordAt } from './words';

export interface ReadVariable {
  /** Bytes of the function that stand in the number's place. */
  length: number;
  /** Places of relocations in it, from the function's start. */
  fields: readonly number[];
  /** What is read; undefined where something else is done. */
  target: Target | undefined;
}

const PAGE = 0x90000000;
const LOAD64 = 0xf9400000;
const LOAD32 = 0xb9400000;
const OPERATIONS: Readonly<Record<string, number>> = { shift: 0x1ac02400, mask: 0x0a000000 };

/** `theirs` is the object's first word of the constant, which stands `at` bytes behind the function at `start`. */
export function readVariable(
  context: Context,
  section: ModuleSection,
  start: number,
  at: number,
  kind: string,
  theirs: number,
): ReadVariable {
  const place = start + at;
  const to = theirs & 31;
  if (kind === 'ptr') {
    const ok =
      wordAt(section, place) === (PAGE | to) >>> 0 &&
      wordAt(section, place + 4) === (LOAD64 | (to << 5) | to) >>> 0 &&
      wordAt(section, place + 8) === NOP &&
      wordAt(section, place + 12) === NOP;
    return { length: 16, fields: [at, at + 4], target: ok ? loaded(context, section, place, 286) : undefined };
  }
  const branch = wordAt(section, place);
  const operation = OPERATIONS[kind];
  const none = { length: 4, fields: [], target: undefined };
  if (operation === undefined || (branch & 0xfc000000) >>> 0 !== 0x14000000) return none;
  const from = (theirs >>> 5) & 31;
  const saved = to === from;
  const spare = saved ? (to === 16 ? 17 : 16) : to;
  const aside = place + ((branch << 6) >> 6) * 4;
  const wanted = [
    ...(saved ? [0xf81f0fe0 | spare] : []),
    PAGE | spare,
    LOAD32 | (spare << 5) | spare,
    operation | (spare << 16) | (from << 5) | to,
    ...(saved ? [0xf84107e0 | spare] : []),
  ];
  const back = aside + wanted.length * 4;
  const returns = wordAt(section, back);
  const ok =
    wanted.every((word, i) => wordAt(section, aside + i * 4) === word >>> 0) &&
    (returns & 0xfc000000) >>> 0 === 0x14000000 &&
    back + ((returns << 6) >> 6) * 4 === place + 4 &&
    context.module.covering(section, aside).length === 0;
  return { ...none, target: ok ? loaded(context, section, aside + (saved ? 4 : 0), 285) : undefined };
}

/** The variable that two instructions load. */
function loaded({ module }: Context, section: ModuleSection, at: number, type: number): Target | undefined {
  const [page, low] = [module.relaAt(section, at), module.relaAt(section, at + 4)];
  return page?.type === 275 && low?.type === type && page.symbol === low.symbol && page.addend === low.addend
    ? targetInData(module, page)
    : undefined;
}
