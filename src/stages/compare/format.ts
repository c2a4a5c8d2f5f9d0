import type { Call } from './call';

/** A conversion of a format; groups: what it converts to. */
const CONVERSION = /%(?:%|[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|z|t|L)?([a-zA-Z]))/g;
/** What stands between a file, or a function, and its line: `%s:%d`, `%s(%d)`, `%s, line %d`. With a space more it may be any number. */
const BETWEEN = /^(?::|\(|\[|@|[:,]? ?line[: ])$/;

/** Whether a call's format converts argument `number` as a line: right behind the name of the unit's file or of the function. */
export function formatSaysLine({ strings }: Call, number: number): boolean {
  if (strings.get(number - 1)?.where !== true) return false;
  for (const [at, { text }] of strings) {
    if (at >= number - 1 || !text.includes('%')) continue;
    // A width of `*` takes an argument of its own: then nothing is known of the rest.
    if (/%[-+ #0\d.]*\*/.test(text)) return false;
    const all = [...text.matchAll(CONVERSION)].filter(([, to]) => to !== undefined);
    const [name, line] = [all[number - at - 2], all[number - at - 1]];
    if (name === undefined || line === undefined || name[1] !== 's' || !/[diu]/.test(line[1]!)) return false;
    return BETWEEN.test(text.slice(name.index + name[0].length, line.index));
  }
  return false;
}
