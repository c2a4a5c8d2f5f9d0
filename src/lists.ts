/**
 * Lists of any length. Spread into the arguments of a call (`push(...list)`, `Math.max(...list)`) each element takes room on the stack, which is full
 * with some 100,000 of them: `verify vmlinux.o` ended in a RangeError.
 */

/** Adds elements to the end of a list. */
export function append<T>(list: T[], more: Iterable<T>): void {
  for (const element of more) list.push(element);
}

/** The largest of some numbers, -Infinity of none. */
export function largest(numbers: Iterable<number>): number {
  let most = -Infinity;
  for (const number of numbers) if (number > most) most = number;
  return most;
}

/** The smallest of some numbers, Infinity of none. */
export function smallest(numbers: Iterable<number>): number {
  let least = Infinity;
  for (const number of numbers) if (number < least) least = number;
  return least;
}

/** Puts the element at `index` first. */
export function moveToFront<T>(list: T[], index: number): void {
  const [element] = list.splice(index, 1);
  if (element !== undefined) list.unshift(element);
}

/** Adds an entry to the list that a map has for a key. */
export function put<K, T>(map: Map<K, T[]>, key: K, entry: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [entry]);
  else list.push(entry);
}

/** One array of all words, in order. */
export function joined(parts: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
