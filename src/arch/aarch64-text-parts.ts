/** Pieces of A64 instructions' text. */

export function fields(word: number): { d: number; n: number; a: number; m: number } {
  return { d: word & 31, n: (word >>> 5) & 31, a: (word >>> 10) & 31, m: (word >>> 16) & 31 };
}

export const hex = (value: number): string => (value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`);

/** A general register; number 31 is the zero register, or the stack pointer. */
export function register(number: number, wide: boolean, stack = false): string {
  if (number === 31) return stack ? (wide ? 'sp' : 'wsp') : wide ? 'xzr' : 'wzr';
  return `${wide ? 'x' : 'w'}${number}`;
}

const CONDITIONS = ['eq', 'ne', 'cs', 'cc', 'mi', 'pl', 'vs', 'vc', 'hi', 'ls', 'ge', 'lt', 'gt', 'le', 'al', 'nv'];

export function condition(number: number): string {
  return CONDITIONS[number]!;
}

/** The number that the three fields of a logical immediate stand for (DecodeBitMasks of the manual); undefined where they stand for none. */
export function bitMask(word: number, wide: boolean): bigint | undefined {
  const [n, immr, imms] = [(word >>> 22) & 1, (word >>> 16) & 63, (word >>> 10) & 63];
  const size = 31 - Math.clz32((n << 6) | (~imms & 63));
  if (size < 1 || (!wide && n === 1)) return undefined;
  const bits = 1 << size;
  const [ones, rotation] = [(imms & (bits - 1)) + 1, immr & (bits - 1)];
  if (ones === bits) return undefined;
  const all = (1n << BigInt(bits)) - 1n;
  const run = (1n << BigInt(ones)) - 1n;
  const element = ((run >> BigInt(rotation)) | (run << BigInt(bits - rotation))) & all;
  let value = 0n;
  for (let at = 0; at < (wide ? 64 : 32); at += bits) value |= element << BigInt(at);
  return value;
}
