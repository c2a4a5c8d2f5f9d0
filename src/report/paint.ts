/** Colour for terminals: the verdict, what is against it, what was put in and taken out. Nothing is told by colour alone. */

const RED = 31;
const GREEN = 32;
const YELLOW = 33;
const DIM = 2;

/** What a line begins with, and its colour. */
const LINES: ReadonlyArray<readonly [RegExp, number]> = [
  [/^(?:PATCHABLE|FINE)\b/, GREEN],
  [/^REFUSED\b/, RED],
  [/^(?:UNCHANGED|INCOMPLETE)\b/, YELLOW],
  [/^(?:refused|found), \d+ \w+:$/, RED],
  [/^ {2}(?:warning|note) [\w-]+:/, YELLOW],
  [/^ +\+ (?:call|string|variable|key)\b.*/, GREEN],
  [/^ +- (?:call|string|variable|key)\b.*/, RED],
  [/^ {2}\+ .*/, GREEN],
  [/^ {2}- .*/, RED],
  [/^ {2}[!~] .*/, YELLOW],
  [/^ {4}\.\.\. \d+ instructions? the same$/, DIM],
];

/** Whether a stream shows colour: a terminal, where nobody has said otherwise (no-color.org). */
export function showsColour(stream: Pick<NodeJS.WriteStream, 'isTTY'>, env = process.env): boolean {
  const { NO_COLOR: none = '', TERM: terminal } = env;
  return none === '' && stream.isTTY === true && terminal !== 'dumb';
}

/** A text with its lines coloured. */
export function painted(text: string): string {
  return text
    .split('\n')
    .map((line) => {
      const rule = LINES.find(([start]) => start.test(line));
      return rule === undefined ? line : line.replace(rule[0], (part) => `\x1b[${rule[1]}m${part}\x1b[0m`);
    })
    .join('\n');
}
