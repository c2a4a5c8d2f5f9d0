/**
 * A program: compares an object with damaged copies of it, many in one process, and prints what went wrong as JSON lines.
 *
 *     node mutant-loop.js FOLDER OBJECT FIRST-SEED COUNT
 *
 * The seed under way stands in FOLDER/seed, so that whoever kills a loop that hangs knows where. A mutant must end in an
 * error that says what is wrong with the file, or in a result without NaN; nothing may be read past the end of a column.
 */
import { outOfRange } from './guard';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { diagnosticOf, type DiffResult } from '../../src/index';
import { diff } from '../../src/pipeline/diff';
import { explain } from '../../src/pipeline/explain';
import { mutate } from './mutate';
import { ELF_CODES } from './fuzz/outcome';

const AHEAD = 8;

/** What a damaged file may be called. */
const EXPECTED: ReadonlySet<string> = new Set(ELF_CODES);

async function main([folder = '', object = '', first = '', count = '']: string[]): Promise<void> {
  const original = readFileSync(object);
  const mark = openSync(join(folder, 'seed'), 'w');
  const outcomes: Record<string, number> = {};
  const path = (seed: number): string => join(folder, `${seed}.o`);
  const written: string[][] = [];
  for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
    // Some ahead: klpflow waits for a file that is younger than a clock tick.
    while (written.length < AHEAD) {
      const { bytes, done } = mutate(original, seed + written.length);
      writeFileSync(path(seed + written.length), bytes);
      written.push(done);
    }
    writeSync(mark, `${seed}\n`.padEnd(16), 0);
    const started = performance.now();
    const [orig, patched] = seed % 2 === 0 ? [object, path(seed)] : [path(seed), object];
    let outcome = await judge({ orig, patched, runDir: join(folder, 'run'), workers: 1 });
    const seconds = (performance.now() - started) / 1000;
    if (outOfRange.length > 0) outcome = `BUG: ${outOfRange.splice(0).slice(0, 3).join('; ')}`;
    const kind = outcome.split(':', 1)[0]!;
    outcomes[kind] = (outcomes[kind] ?? 0) + 1;
    const done = written.shift();
    if (kind === 'BUG' || seconds > 5) console.log(JSON.stringify({ seed, done, outcome, seconds }));
    rmSync(path(seed));
  }
  closeSync(mark);
  console.log(JSON.stringify({ outcomes }));
}

async function judge(request: Parameters<typeof diff>[0]): Promise<string> {
  try {
    const result = await diff({ ...request, fresh: false });
    const place = notFinite(result, '');
    if (place !== undefined) return `BUG: ${place} is no number`;
    const name = someFunction(result);
    // A name that is no text any more cannot be given on a command line either.
    if (name !== undefined && !name.includes('\ufffd')) await explain({ ...request, symbol: name, context: 6 });
    return result.verdict;
  } catch (thrown) {
    const { code, message } = diagnosticOf(thrown);
    return EXPECTED.has(code) ? code : `BUG: ${code}: ${message}`;
  }
}

function someFunction({ objects }: DiffResult): string | undefined {
  const functions = objects.flatMap((found) => [
    ...found.functions.changed,
    ...found.functions.new,
    ...found.data.changed,
  ]);
  return functions[functions.length >> 1]?.name;
}

/** The first number of a result that is none. */
function notFinite(value: unknown, place: string): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : place;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, member] of Object.entries(value)) {
    const found = notFinite(member, `${place}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

void main(process.argv.slice(2));
