import type { SymbolIndex } from '../../elf';
import { RUNTIME_SPECIAL } from '../../kernel/special-sections';
import { entriesOf } from '../compare/entries';
import type { FunctionEntry as Entry } from '../runtime-loads';
import { Trait } from '../scan';
import { kernelSection } from '../../kernel/sections';
import type { Copy } from './clones';
import type { Copying } from './copying';
import { referencesIn } from './resolve';
import { readVariable } from './runtime-loads';

/**
 * Takes the special-section entries of an included function along: alternatives, bug records, exception fixups, jump labels,
 * static calls. Runtime constants become loads instead.
 */
export function keepEntries(copying: Copying, copy: Copy, symbol: SymbolIndex): void {
  const entries = entriesOf(copying.input.patched, symbol);
  for (const entry of entries) {
    if (entry.table.special === RUNTIME_SPECIAL) readVariable(copying, copy, { symbol, entry, entries });
    else if (worksLate(copying, copy, entry)) {
      copying.clones.entry({ section: entry.table.section, start: entry.start, end: entry.start + entry.table.size });
    }
  }
}

/**
 * Whether an entry works although the livepatch core applies relocations to modules' symbols only after jump labels and static
 * calls of the livepatch are set up. Its key must then not be a module's.
 */
function worksLate({ input, dialect, links, refusals }: Copying, copy: Copy, { table, start, site }: Entry): boolean {
  const { patched } = input;
  const { key: kind } = table.rules;
  if (kind === undefined) return true;
  const isBranch = kind === 'static branch';
  const keys = referencesIn(patched, { section: table.section, start, end: start + table.size }).filter(({ field }) =>
    table.references.includes(field - start),
  );
  for (const key of keys) {
    if (key.kind !== 'symbol' && key.kind !== 'undefined') continue;
    if (key.kind === 'symbol' && !patched.table.has(key.symbol, Trait.OBJECT)) continue;
    const link = links.of(key.symbol, key.kind === 'symbol' ? key.named : key.symbol, copy, site);
    const late =
      link.kind === 'klp' && link.target.module !== 'vmlinux'
        ? `belongs to module ${link.target.module}`
        : isBranch && !dialect.jumpLabels
          ? 'is out of reach'
          : undefined;
    if (late === undefined) continue;
    const keyName = patched.name(key.symbol);
    const section = patched.object.name(copy.range.section);
    if (
      isBranch &&
      (keyName.startsWith('__tracepoint_') ||
        keyName.includes('__UNIQUE_ID_ddebug_') ||
        kernelSection(patched.sectionName(key.symbol))?.debugRecords)
    ) {
      const what = keyName.startsWith('__tracepoint_')
        ? `tracepoint ${keyName.slice('__tracepoint_'.length)}`
        : 'pr_debug()';
      refusals.add('late-key-dropped', keyName, section, site, `${copy.name}: ${what} stays off, for its key ${late}`);
    } else if (!keyName.startsWith('__SCK__tp_func_')) {
      refusals.add(
        'late-key',
        keyName,
        section,
        site,
        `${copy.name} uses the ${kind} key ${keyName}, which ${late} when such keys are set up`,
      );
    }
    return false;
  }
  return !isBranch || dialect.jumpLabels;
}
