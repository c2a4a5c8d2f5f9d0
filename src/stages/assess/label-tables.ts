import type { SymbolIndex } from '../../elf';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { SectionClass } from '../../kernel/section-class';
import type { Verdict } from '../compare';
import type { Side } from '../side/side';
import { functionsPointedInto, tablesInto } from '../side/labels';
import { originOf } from '../correlate';
import { Trait } from '../scan';
import { Pieces } from './pieces';
import { usersOf } from './references';
import type { AssessInput } from './types';

/**
 * A table of labels changes with the function that it points into, whichever of the two differs: labels move with the code between them, and
 * what else the table holds is that function's, too. That is no changed initial value.
 */
export function foldLabelTables({
  pairing,
  patched,
  verdicts,
}: Pick<AssessInput, 'pairing' | 'patched' | 'verdicts'>): Verdict[] {
  const tables = new Map<Verdict, number[]>();
  for (const verdict of verdicts) {
    if (verdict.status !== 'changed' || !patched.table.has(verdict.patched, Trait.OBJECT)) continue;
    const functions = functionsPointedInto(patched, patched.rangeOf(verdict.patched));
    if (functions.length > 0) tables.set(verdict, functions);
  }
  if (tables.size === 0) return verdicts;
  const pieces = new Pieces(patched);
  const changed = new Set(verdicts.filter(({ status }) => status === 'changed').map(({ patched: symbol }) => symbol));
  const raised = new Map<number, Verdict>();
  for (const [verdict, functions] of tables) {
    for (const part of functions) {
      const symbol = pieces.parentOf(part) || part;
      const origin = originOf(pairing, symbol);
      if (origin !== 0 && !changed.has(symbol))
        raised.set(symbol, { ...verdict, orig: origin, patched: symbol, class: 'table' });
    }
  }
  return [...verdicts.filter((verdict) => !tables.has(verdict) && !raised.has(verdict.patched)), ...raised.values()];
}

/**
 * Refuses tables of labels of included functions that others read, or that may have been written to: the running kernel's table leads into the
 * old body, the copy into the new one, and what others take from the one must not come to run in the other.
 */
export function refuseSharedTables(
  { pairing, patched, objectName: object }: AssessInput,
  included: ReadonlySet<SymbolIndex>,
  discarded: number,
  diagnostics: Diagnostic[],
): void {
  if (included.size === 0) return;
  const tables = tablesInto(patched, included);
  if (tables.size === 0) return;
  const users = usersOf(patched, tables);
  for (const table of tables) {
    const refuse = (message: string): void =>
      void diagnostics.push(
        diagnostic('label-table', message, {
          object,
          section: patched.sectionName(table),
          symbol: patched.name(table),
        }),
      );
    const readers = (users.get(table) ?? []).filter(
      ({ symbol }) => symbol !== table && !patched.table.has(symbol, discarded),
    );
    const other = readers.find(({ symbol }) => !included.has(symbol));
    const into = patched.name(
      functionsPointedInto(patched, patched.rangeOf(table)).find((symbol) => included.has(symbol))!,
    );
    if (other !== undefined)
      refuse(
        `${patched.name(table)} holds addresses inside ${into}, which goes in, and ${patched.name(other.symbol) || patched.object.name(other.section)} reads it, too`,
      );
    else if (readers.length > 0 && isWritten(patched, table) && originOf(pairing, table) !== 0)
      refuse(`${patched.name(table)} holds addresses inside ${into}, which goes in, and may have been written to`);
  }
}

function isWritten({ table }: Side, symbol: SymbolIndex): boolean {
  return (
    table.has(symbol, Trait.WRITABLE) && (table.sectionClass[table.section[symbol]!]! & SectionClass.READONLY) === 0
  );
}
