import type { Decoded } from '../side/decoded';
import { bytesOf } from '../side/decoded';
import type { Side } from '../side/side';
import type { Target } from '../places/target';

/** A direct call, with the strings that stand in its arguments, as far as they are loaded right before it. */
export interface Call {
  callee: string;
  /** By the argument's number, from 1. */
  strings: ReadonlyMap<number, { text: string /** The unit's own file, or a function's name. */; where: boolean }>;
}

/** How many instructions before the one in question an argument is looked for. */
const ARGUMENTS_WITHIN = 12;

/** The call that follows instruction `index`; undefined where control may go elsewhere first. */
export function callFrom(decoded: Decoded, index: number, units: ReadonlySet<string>): Call | undefined {
  const { side, targets, instructions } = decoded;
  const leaves = (i: number): boolean => instructions[i]!.flow || targets[i]!.some(({ branch }) => branch);
  let call = index + 1;
  while (call < targets.length && !leaves(call)) call++;
  const callee = targets[call]?.[0]?.target.symbol ?? 0;
  if (callee === 0) return undefined;
  let first = index;
  while (first > 0 && index - first < ARGUMENTS_WITHIN && !leaves(first - 1)) first--;
  const strings = new Map<number, { text: string; where: boolean }>();
  for (let i = first; i < call; i++) {
    const argument = side.disassembler.filledArgument(bytesOf(decoded, i));
    if (argument === 0) continue;
    const text = targets[i]!.map(({ target }) => textOf(side, target)).find((found) => found !== undefined);
    if (text === undefined) strings.delete(argument);
    else strings.set(argument, { text, where: isWhere(decoded, text, targets[i]!, units) });
  }
  return { callee: side.name(callee), strings };
}

/** GCC's `__func__.3` is an object, Clang's `__func__.f` a string. */
const FUNCTION_NAME = /(?:^|\.)__(?:func|FUNCTION|PRETTY_FUNCTION)__(?:$|\.)/;

function textOf(side: Side, target: Target): string | undefined {
  if (
    target.text !== undefined ||
    target.symbol === 0 ||
    target.delta !== 0 ||
    !FUNCTION_NAME.test(side.name(target.symbol))
  )
    return target.text;
  return Buffer.from(side.bytes(target.symbol)).toString('latin1').replace(/\0.*$/s, '');
}

function isWhere(
  { side, symbol }: Decoded,
  text: string,
  targets: Decoded['targets'][number],
  units: ReadonlySet<string>,
): boolean {
  if (
    units.has(text.slice(text.lastIndexOf('/') + 1)) ||
    targets.some(({ target }) => target.symbol !== 0 && FUNCTION_NAME.test(side.name(target.symbol)))
  )
    return true;
  return symbol !== 0 && text === side.name(symbol).split('.', 1)[0];
}
