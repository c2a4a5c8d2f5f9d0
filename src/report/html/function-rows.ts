import type { DiffResult, Explanation, Report } from '../../index';
import { renderEntries, renderReferences } from '../change';
import { hunksOf } from '../hunks';
import { sourceWords } from '../source';

type Changed = DiffResult['objects'][number]['functions']['changed'][number];
/** Offset, text, notes. */
type Cell = readonly [number, string, readonly string[]] | null;

/** A function of the report: a row of its table, and its code. */
export interface FunctionRow {
  /** The anchor, which is the same in every report on the function. */
  id: string;
  name: string;
  state: string;
  file: string;
  section: string;
  bytes: string;
  /** By how much it grew. */
  more: number;
  instructions: { text: string; total: number } | null;
  what: string;
  /** The hunks that it comes of, in words; null where no patch was given. */
  hunks: string | null;
  entry: Changed | null;
  code: {
    rows: Array<readonly [string, number, Cell, Cell]>;
    skipped: number;
    paired: string;
    pulled: string[];
    /** What it refers to more often than before, and less often, and what special sections say; a line each. */
    references: string[];
    /** What special sections say of the whole function: of ORIG's alone, of both, of PATCHED's alone. */
    entries: Array<readonly [state: 'gone' | 'same' | 'new', text: string]>;
  } | null;
}

/** More rows of one function make a page that nobody reads; `explain` has them. */
const MOST_ROWS = 400;

/** What matters most first: changed, new, removed, carried, ignored. */
export function functionRows({ result, code }: Report): FunctionRow[] {
  return result.objects.flatMap(({ name: object, functions }) => {
    const explained = (state: string, i: number): Explanation | null =>
      code.find((list) => list.object === object && list.state === state)?.explanations[i] ?? null;
    const used = new Map<string, number>();
    const row = (
      state: string,
      name: string,
      found: Explanation | null,
      more: Partial<FunctionRow> & { pulled?: string[]; references?: string[] } = {},
    ): FunctionRow => {
      const { pulled = [], references = [], ...rest } = more;
      const anchor = `${object}:${name}`;
      const times = used.get(anchor) ?? 0;
      used.set(anchor, times + 1);
      return {
        id: times === 0 ? anchor : `${anchor}#${times + 1}`,
        name,
        state,
        file: found?.file ?? '',
        section: found?.section ?? '',
        bytes: found === null ? '' : String(found.size.patched || found.size.orig),
        more: 0,
        instructions: null,
        what: '',
        hunks: null,
        entry: null,
        code: found === null ? null : { ...codeOf(found), pulled, references },
        ...rest,
      };
    };
    const hunks = (state: string, { name, file }: { name: string; file: string | null }): { hunks: string | null } => ({
      hunks: hunksOf(result.patch, object, state, name, file) ?? null,
    });
    return [
      ...functions.changed.map((entry, i) =>
        row(`changed: ${entry.class}`, entry.name, explained('changed', i), {
          ...ofChanged(entry),
          references: referencesOf(entry),
          ...hunks('changed', entry),
        }),
      ),
      ...functions.new.map((entry, i) =>
        row('new', entry.name, explained('new', i), {
          file: entry.file ?? '',
          section: entry.section,
          ...hunks('new', entry),
        }),
      ),
      ...functions.removed.map((entry, i) =>
        row('removed', entry.name, explained('removed', i), {
          file: entry.file ?? '',
          section: entry.section,
          ...hunks('removed', entry),
        }),
      ),
      ...functions.carried.map(({ name, via }, i) =>
        row('carried', name, explained('carried', i), {
          what: `calls ${via.join(' < ')}, which cannot be redirected`,
          pulled: [...via],
        }),
      ),
      ...functions.ignored.map(({ name, class: kind }, i) => row(`ignored: ${kind}`, name, explained('ignored', i))),
    ];
  });
}

function referencesOf({ change }: Changed): string[] {
  return change?.kind === 'code' ? [...renderReferences(change), ...renderEntries(change)] : [];
}

function ofChanged(entry: Changed): Partial<FunctionRow> {
  const { size, change, file, section } = entry;
  const counted = change?.kind === 'code' ? change.instructions : null;
  return {
    file: file ?? '',
    section,
    bytes: size.orig === size.patched ? String(size.orig) : `${size.orig} → ${size.patched}`,
    more: size.patched - size.orig,
    instructions:
      counted === null
        ? null
        : {
            text: `+${counted.added} −${counted.removed} ~${counted.altered}`,
            total: counted.added + counted.removed + counted.altered,
          },
    what: change?.kind === 'code' ? renderReferences(change).join('; ') : '',
    entry,
  };
}

function codeOf({
  rows,
  skipped,
  pairedBy,
  entries,
}: Explanation): Omit<NonNullable<FunctionRow['code']>, 'pulled' | 'references'> {
  const cell = (side: Explanation['rows'][number]['orig']): Cell =>
    side === null ? null : [side.offset, side.text, [...side.notes, ...words(side)]];
  const words = (side: NonNullable<Explanation['rows'][number]['orig']>): string[] =>
    (side.source ?? []).length === 0 ? [] : [sourceWords(side)];
  const shown = rows.slice(0, MOST_ROWS);
  return {
    rows: shown.map(({ kind, skipped: before, orig, patched }) => [kind, before, cell(orig), cell(patched)] as const),
    skipped: skipped + (rows.length - shown.length),
    paired: pairedBy === null ? 'in one build only' : `paired by ${pairedBy.rule}: ${pairedBy.evidence}`,
    entries: entryList(entries),
  };
}

/** Entries by their words: where in the code they are differs with every instruction that is put in before. */
function entryList({ orig, patched }: Explanation['entries']): NonNullable<FunctionRow['code']>['entries'] {
  const left = new Map<string, number>();
  for (const { text } of orig) left.set(text, (left.get(text) ?? 0) + 1);
  const list = patched.map(({ offset, text }) => {
    const before = left.get(text) ?? 0;
    left.set(text, before - 1);
    return [before > 0 ? 'same' : 'new', `+0x${offset.toString(16)} ${text}`] as const;
  });
  const gone = orig.filter(({ text }) => {
    const more = left.get(text) ?? 0;
    left.set(text, more - 1);
    return more > 0;
  });
  return [...gone.map(({ offset, text }) => ['gone', `+0x${offset.toString(16)} ${text}`] as const), ...list];
}
