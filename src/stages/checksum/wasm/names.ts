/** Names by which others refer to symbols. */
import { STT_FUNC, STT_OBJECT } from '../generated/constants';
import { nameOf, ownType, startsWith, textEnd } from './memory';

const DOT: u32 = 0x2e;

/** How many bytes of a function's or object's name do not tell copies apart: all before `.llvm.<digits>`, or before numbers behind dots and `__UNIQUE_ID_` names. */
export function plainLength(symbol: u32, end: usize): u32 {
  const start = nameOf(symbol);
  const length = <u32>(end - start);
  const type = ownType(symbol);
  if (type != STT_FUNC && type != STT_OBJECT) return length;
  let dot = start;
  while (dot < end && load<u8>(dot) != DOT) dot++;
  for (let at = dot; at < end; at++) if (load<u8>(at) == DOT && startsWith(at, '.llvm.')) return <u32>(at - start);
  if (dot == end && !startsWith(start, '__UNIQUE_ID_')) return length;
  let last = end;
  while (last > start && isCounting(load<u8>(last - 1))) last--;
  return last - start <= 1 ? length : <u32>(last - start);
}

function isCounting(byte: u32): bool {
  return (byte >= 0x30 && byte <= 0x39) || byte == DOT || byte == 0x5f;
}

/** Bytes before `.cold` in the name of a cold part, as objtool sees it; 0 for other names. */
export function coldParentLength(symbol: u32, end: usize): u32 {
  const start = nameOf(symbol);
  for (let at = start; at < end; at++)
    if (load<u8>(at) == DOT && startsWith(at, '.cold')) return startsWith(start, '.klp.sym') ? 0 : <u32>(at - start);
  return 0;
}

export function endOf(symbol: u32): usize {
  return textEnd(nameOf(symbol));
}

/** Functions that start within another's instruction (mitigations for Zen). */
export function isEmbedded(symbol: u32): bool {
  const name = nameOf(symbol);
  const first = load<u8>(name);
  if (first != 0x72 && first != 0x73) return false;
  return isText(name, 'retbleed_return_thunk') || isText(name, 'srso_alias_safe_ret') || isText(name, 'srso_safe_ret');
}

function isText(name: usize, text: string): bool {
  return startsWith(name, text) && load<u8>(name + text.length) == 0;
}

/** Thunks stand for what their register holds. */
export function isThunk(symbol: u32): bool {
  let name = nameOf(symbol);
  if (startsWith(name, '__pi_')) name += 5;
  if (!startsWith(name, '__x86_')) return false;
  return startsWith(name + 6, 'indirect_') || isText(name + 6, 'return_thunk');
}

/** Whether two texts of equal length are equal. */
export function sameBytes(a: usize, b: usize, length: u32): bool {
  return memory.compare(a, b, length) == 0;
}
