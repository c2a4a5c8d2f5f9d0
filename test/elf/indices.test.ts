/** The kinds of index are told apart when the project is type-checked: each line below that is expected to be an error is one, or `npm run check` fails. */
import { expect, test } from 'vitest';
import type { ElfObject, SectionIndex, SymbolIndex } from '../../src/elf';
import type { ScanTable } from '../../src/stages/scan';

function mixed(object: ElfObject, table: ScanTable, symbol: SymbolIndex, section: SectionIndex): unknown[] {
  return [
    // @ts-expect-error a section's index where a symbol's is asked for
    object.symbolName(section),
    // @ts-expect-error a symbol's index where a section's is asked for
    object.content(symbol),
    // @ts-expect-error the section that a column names is no symbol
    object.symbolName(table.section[symbol]!),
    // @ts-expect-error the twin's address is no symbol
    table.isLocal(table.value[symbol]!),
    object.symbolName(table.canonical[symbol]!),
    object.content(table.section[symbol]!),
  ];
}

test('an index of one kind is refused as another by the compiler, and costs nothing when the program runs', () => {
  expect(mixed).toBeTypeOf('function');
  const symbol: SymbolIndex = 3;
  expect(symbol + 1).toBe(4);
});
