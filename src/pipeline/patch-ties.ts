/** What changed, held against the patch that is said to have changed it. */
import { basename } from 'node:path';
import { diagnostic, type Diagnostic } from '../diagnostics';
import type { Hunk } from '../patch/hunks';
import { tiesOf, type PatchTies, type Subject, type TiedSymbol } from '../patch/ties';
import type { DiffResult } from './diff';
import type { ListedCode } from './listed-code';
import type { Explanation } from './types';

/** More names in a message nobody reads; the result has all. */
const MOST_NAMED = 10;

/** The result with its ties, and a warning that names what no hunk explains. */
export function withTies(
  result: DiffResult,
  paths: readonly string[],
  hunks: readonly Hunk[],
  code: readonly ListedCode[],
): DiffResult {
  const symbols = result.objects.flatMap((object) => symbolsOf(object, hunks, code));
  const isTied = ({ file, line }: Hunk): boolean =>
    symbols.some((symbol) => symbol.hunks.some((tie) => tie.file === file && tie.line === line));
  const patch: PatchTies = {
    paths: [...paths],
    evidence: symbols.some(({ lines }) => lines) ? 'lines' : 'names',
    symbols,
    idle: hunks.filter((hunk) => !isTied(hunk)).map(({ file, line }) => ({ file, line })),
  };
  return { ...result, patch, diagnostics: [...result.diagnostics, ...reportUnexplained(patch)] };
}

function symbolsOf(
  { name: object, functions, data }: DiffResult['objects'][number],
  hunks: readonly Hunk[],
  code: readonly ListedCode[],
): TiedSymbol[] {
  const states = ['changed', 'new', 'removed'] as const;
  return [
    ...states.flatMap((state) =>
      functions[state].map(({ name, file }, i) => {
        const listed = code.find((one) => one.object === object && one.state === state)?.explanations[i] ?? null;
        const places = listed === null ? [] : placesOf(listed);
        return tied({ object, kind: 'function', state, name, file, places }, hunks);
      }),
    ),
    // What a variable holds has no line: names decide.
    ...states.flatMap((state) =>
      data[state].map(({ name, file }) => tied({ object, kind: 'data', state, name, file, places: [] }, hunks)),
    ),
  ];
}

function tied(
  { places, ...symbol }: Omit<TiedSymbol, 'lines' | 'hunks'> & Pick<Subject, 'places'>,
  hunks: readonly Hunk[],
): TiedSymbol {
  const { name, file } = symbol;
  return {
    ...symbol,
    lines: places.some(({ orig, patched }) => orig.length + patched.length > 0),
    hunks: tiesOf(hunks, { name, unit: file, places }),
  };
}

/** The source lines of all rows that differ. */
export function placesOf({ rows }: Explanation): Subject['places'] {
  return rows.flatMap(({ orig, patched, same }) =>
    same ? [] : [{ orig: orig?.source ?? [], patched: patched?.source ?? [] }],
  );
}

function reportUnexplained({ paths, symbols, evidence }: PatchTies): Diagnostic[] {
  const unexplained = symbols.filter(({ hunks }) => hunks.length === 0);
  if (unexplained.length === 0) return [];
  const names = unexplained.slice(0, MOST_NAMED).map(({ name }) => name);
  const rest = unexplained.length - names.length;
  return [
    diagnostic(
      'unexplained-change',
      `no hunk of ${paths.map((path) => basename(path)).join(', ')} explains ${names.join(', ')}${rest > 0 ? ` and ${rest} more` : ''} (${unexplained.length} of ${symbols.length} that differ; ${evidence === 'lines' ? 'by source lines, then names' : 'by names alone: nothing tells source lines'})`,
      { object: unexplained[0]!.object, symbol: unexplained[0]!.name },
    ),
  ];
}
