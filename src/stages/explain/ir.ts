/** One function's LLVM IR of two builds, aligned: what tells a change from what numbering makes of it. */
import { commonPairs } from '../compare/edit-script';

/** As of instructions: `argument` is the same one with another operand, `replaced` another one in its place. */
export interface IrRow {
  kind: 'same' | 'argument' | 'replaced' | 'inserted' | 'deleted';
  orig: string | null;
  patched: string | null;
  /** How many rows before this one are left out: they are the same. */
  skipped: number;
}

/** Lines of a function; null where the text defines none of this name. */
export function irFunction(text: string, name: string): string[] | null {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith('define ') && definedName(line) === name);
  if (start < 0) return null;
  const end = lines.indexOf('}', start);
  const strings = privateConstants(lines);
  return lines
    .slice(start, end < 0 ? lines.length : end)
    .filter((line) => line.trim() !== '' && !/^\s+#dbg_|^\s*(?:tail )?call void @llvm\.dbg\./.test(line))
    .map((line) => plain(line, strings));
}

/** Names of functions that a text defines. */
export function irFunctions(text: string): string[] {
  return [...text.matchAll(/^define .*$/gm)].flatMap(([line]) => definedName(line) ?? []);
}

function definedName(line: string): string | undefined {
  const [, quoted, bare] = /@(?:"([^"]+)"|([\w.$-]+))\(/.exec(line) ?? [];
  return quoted ?? bare;
}

/** What a private constant (a string) holds, by its name, which every build numbers anew. */
function privateConstants(lines: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] =
      /^(@[\w.$"-]+) = private .*?constant (.*?)(?:, (?:section|align|comdat|!).*)?$/.exec(line) ?? [];
    if (name !== undefined) found.set(name, value!);
  }
  return found;
}

/** A line without what no machine code comes of: debug places, metadata by number, numbers of attribute groups, comments on blocks. */
function plain(line: string, strings: ReadonlyMap<string, string>): string {
  return line
    .replace(/\s*; preds = .*$/, '')
    .replace(
      /,? !(?:dbg|tbaa|srcloc|prof|heapallocsite|annotation|nosanitize|noundef|range|llvm\.loop|tbaa\.struct|noalias|alias\.scope) !\d+/g,
      '',
    )
    .replace(/ !kcfi_type !\d+/g, '')
    .replace(/ #\d+(?= |,|\[|$)/g, '')
    .replace(/@[\w.$"-]+/g, (name) => strings.get(name) ?? name)
    .trimEnd();
}

/** Both sides beside each other, with `context` rows around each difference; of a name that one build lacks, the other's lines alone. */
export function alignIr(
  ours: readonly string[],
  theirs: readonly string[],
  context: number,
): { rows: IrRow[]; skipped: number } {
  const numbers = new Map<string, number>();
  const numbered = (lines: readonly string[]): Int32Array =>
    Int32Array.from(lines, (line) => {
      const key = unnumbered(line);
      let number = numbers.get(key);
      if (number === undefined) numbers.set(key, (number = numbers.size));
      return number;
    });
  const pairs: Array<[number, number]> = [];
  let [i, j] = [0, 0];
  const gap = (endA: number, endB: number): void => {
    while (i < endA && j < endB) pairs.push([i++, j++]);
    while (i < endA) pairs.push([i++, -1]);
    while (j < endB) pairs.push([-1, j++]);
  };
  for (const [x, y] of commonPairs(numbered(ours), numbered(theirs))) {
    gap(x, y);
    pairs.push([x, y]);
    [i, j] = [x + 1, y + 1];
  }
  gap(ours.length, theirs.length);
  // A value's number is its place: the same value has another number behind one that was put in.
  const called = new Map<string, string>();
  for (const [x, y] of pairs) {
    const [a, b] = [x < 0 ? undefined : defined(ours[x]!), y < 0 ? undefined : defined(theirs[y]!)];
    if (a !== undefined && b !== undefined) called.set(a, b);
  }
  const kindOf = ([x, y]: [number, number]): IrRow['kind'] => {
    if (x < 0) return 'inserted';
    if (y < 0) return 'deleted';
    const renamed = ours[x]!.replace(VALUE, (value) => called.get(value) ?? value).replace(
      /^(\d+):/,
      (_, block: string) => `${(called.get(`%${block}`) ?? `%${block}`).slice(1)}:`,
    );
    if (renamed === theirs[y]!) return 'same';
    return operation(ours[x]!) === operation(theirs[y]!) ? 'argument' : 'replaced';
  };
  const all = pairs.map((pair) => ({ pair, kind: kindOf(pair) }));
  const near = new Uint8Array(all.length);
  all.forEach(({ kind }, at) => {
    if (kind !== 'same') near.fill(1, Math.max(0, at - context), at + context + 1);
  });
  const rows: IrRow[] = [];
  let skipped = 0;
  for (const [
    at,
    {
      pair: [x, y],
      kind,
    },
  ] of all.entries()) {
    if (near[at] === 0) {
      skipped++;
      continue;
    }
    rows.push({ kind, orig: x < 0 ? null : ours[x]!, patched: y < 0 ? null : theirs[y]!, skipped });
    skipped = 0;
  }
  return { rows, skipped };
}

/** A value or block that has a number for a name. */
const VALUE = /%\d+\b/g;

function unnumbered(line: string): string {
  return line.replace(VALUE, '%').replace(/^\d+:/, ':');
}

/** The value that a line defines, or the block that it begins. */
function defined(line: string): string | undefined {
  return /^\s+(%\d+) =/.exec(line)?.[1] ?? (/^\d+:/.test(line) ? `%${Number.parseInt(line, 10)}` : undefined);
}

function operation(line: string): string {
  return /^\s*(?:%[\w.]+ = )?(?:(?:tail|musttail|notail) )?(\w+)/.exec(line)?.[1] ?? '';
}
