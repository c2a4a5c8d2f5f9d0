import { lineArgument, type ConstantArgument } from '../../arch';
import { callFrom, type Call } from './call';
import { bytesOf, type Decoded } from '../side/decoded';
import { formatSaysLine } from './format';

/** The constant that instruction `index` loads into an argument of the call that follows; undefined where it does not. */
export function argumentOf(
  decoded: Decoded,
  index: number,
  units: ReadonlySet<string>,
): (ConstantArgument & { call: Call }) | undefined {
  if (decoded.targets[index]!.length > 0) return undefined;
  const constant = decoded.side.disassembler.constantArgument(bytesOf(decoded, index));
  const call = constant === undefined ? undefined : callFrom(decoded, index, units);
  return constant === undefined || call === undefined ? undefined : { ...constant, call };
}

/** Whether the call itself says that an argument is a source line: the function takes nothing else there, or the format has a line there. */
export function isToldLine({ argument, call }: ConstantArgument & { call: Call }): boolean {
  const listed = lineArgument(call.callee);
  return listed !== 0 ? listed === argument : formatSaysLine(call, argument);
}
