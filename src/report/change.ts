import type { DiffResult } from '../index';
import { plural } from './words';

type Changed = DiffResult['objects'][number]['functions']['changed'][number];
type CodeChange = Extract<NonNullable<Changed['change']>, { kind: 'code' }>;

/** Names of one kind on a line; the rest is a count. */
const FEW = 6;
/** Rows of a table on the first screen. */
const FEW_ROWS = 4;

/** `841 -> 930 bytes, +14 -3 instructions, 2 with other operands`. */
export function renderCounts({ size, change }: Pick<Changed, 'size' | 'change'>): string {
  const bytes = size.orig === size.patched ? plural(size.orig, 'byte') : `${size.orig} -> ${size.patched} bytes`;
  return change?.kind === 'code' ? `${bytes}, ${instructions(change)}` : bytes;
}

function instructions({ instructions: { added, removed, altered } }: CodeChange): string {
  const parts = [
    ...(added + removed === 0 ? [] : [`+${added} -${removed} instructions`]),
    ...(altered === 0 ? [] : [`${altered} with other operands`]),
  ];
  return parts.length === 0 ? 'the same instructions' : parts.join(', ');
}

/** What is referred to more often than before (+), and what less often (-): a line each sign and kind. */
export function renderReferences({ added, removed }: CodeChange): string[] {
  return [...referenceLines('+', added), ...referenceLines('-', removed)];
}

function referenceLines(sign: string, references: CodeChange['added']): string[] {
  const kinds = [...new Set(references.map(({ kind }) => kind))];
  return kinds.map((kind) => {
    const names = references
      .filter((reference) => reference.kind === kind)
      .map(({ name, times }) => (times === 1 ? name : `${name} (${times} times)`));
    const rest = names.length - FEW;
    return `${sign} ${kind} ${names.slice(0, FEW).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
  });
}

/** What special sections say of a function: what comes along into a livepatch, and by how much that is more or less than before. Empty where they say nothing. */
export function renderEntries({ entries }: Pick<CodeChange, 'entries'>): string[] {
  if (entries.length === 0) return [];
  const words = entries.map(
    ({ name, orig, patched }) =>
      `${name} ${orig === patched ? patched : `${orig} -> ${patched}`}${name === 'runtime constant' && patched > 0 ? ' (read from its variable in a livepatch)' : ''}`,
  );
  return [`special sections: ${words.join(', ')}`];
}

/** What differs of a function that changed: names first; where no name differs, the first instruction that does. */
export function renderChange({ change, first }: Pick<Changed, 'change' | 'first'>): string[] {
  const [references, entries] = change?.kind === 'code' ? [renderReferences(change), renderEntries(change)] : [[], []];
  if (references.length > 0 || first === null) return [...references, ...entries];
  const offset = first.offset.toString(16);
  return [`+0x${offset}  ${first.orig}`, `${' '.repeat(offset.length + 3)}  ${first.patched}`, ...entries];
}

/** What differs of a variable, row by row. */
export function renderDataChange({ change, first }: Pick<Changed, 'change' | 'first'>): string[] {
  if (change?.kind !== 'data' || change.rows.length === 0)
    return first === null ? [] : [`+0x${first.offset.toString(16)}: ${first.orig} -> ${first.patched}`];
  const rest = change.differing - FEW_ROWS;
  return [
    ...change.rows
      .slice(0, FEW_ROWS)
      .map(
        (row) =>
          `${row.offset === 0 && change.differing === 1 ? '' : `+0x${row.offset.toString(16)}${row.field === undefined ? ':' : ''} `}${placeWords(row)}${row.orig} -> ${row.patched}`,
      ),
    ...(rest > 0 ? [`... and ${plural(rest, 'row')} more (klpflow explain)`] : []),
  ];
}

/** `struct tcp_metrics.limit (u32): `; of a variable that is a number its type alone. Empty where no type is known. */
export function placeWords({ field }: { field?: { path: string; type: string } }): string {
  if (field === undefined) return '';
  return field.path === field.type ? `(${field.type}) ` : `${field.path} (${field.type}): `;
}
