import { RUNTIME_SPECIAL } from '../../kernel/special-sections';
import { entriesOf } from '../compare/entries';
import type { FunctionEntry as Entry } from '../runtime-loads';
import { Trait } from '../scan';
import type { Clones, Copy } from './clones';
import type { Dialect } from './dialect';
import type { Links } from './link';
import type { Refusals } from './refusals';
import { referencesIn } from './resolve';
import { readVariable } from './runtime-loads';
import type { CopyInput } from './types';

/**
 * Takes the special-section entries of an included function along: alternatives, bug records, exception fixups, jump labels,
 * static calls. Runtime constants become loads instead.
 */
export function keepEntries(
  input: CopyInput,
  dialect: Dialect,
  clones: Clones,
  linkage: Links,
  refusals: Refusals,
  copy: Copy,
  symbol: number,
): void {
  const entries = entriesOf(input.patched, symbol);
  for (const entry of entries) {
    if (entry.table.special === RUNTIME_SPECIAL)
      readVariable(input, linkage, clones, refusals, copy, symbol, entry, entries);
    else if (worksLate(input, dialect, linkage, refusals, copy, entry)) {
      clones.entry({ section: entry.table.section, start: entry.start, end: entry.start + entry.table.size });
    }
  }
}

/** Where pr_debug() keeps its records; the section's name until 5.10 is the second one. */
const DEBUG_RECORDS: ReadonlySet<string> = new Set(['__dyndbg', '__verbose']);

/**
 * Whether an entry works although the livepatch core applies relocations to modules' symbols only after jump labels and static
 * calls of the livepatch are set up. Its key must then not be a module's.
 */
function worksLate(
  input: CopyInput,
  dialect: Dialect,
  linkage: Links,
  refusals: Refusals,
  copy: Copy,
  { table, start, site }: Entry,
): boolean {
  const { patched } = input;
  const { name } = table.rules;
  if (name !== '__jump_table' && name !== '.static_call_sites') return true;
  const keys = referencesIn(patched, { section: table.section, start, end: start + table.size }).filter(({ field }) =>
    table.references.includes(field - start),
  );
  for (const key of keys) {
    if (key.kind !== 'symbol' && key.kind !== 'undefined') continue;
    if (key.kind === 'symbol' && !patched.table.has(key.symbol, Trait.OBJECT)) continue;
    const link = linkage.of(key.symbol, key.kind === 'symbol' ? key.named : key.symbol, copy, site);
    const late =
      link.kind === 'klp' && link.target.module !== 'vmlinux'
        ? `belongs to module ${link.target.module}`
        : name === '__jump_table' && !dialect.jumpLabels
          ? 'is out of reach'
          : undefined;
    if (late === undefined) continue;
    const keyName = patched.name(key.symbol);
    const section = patched.object.name(copy.range.section);
    if (
      name === '__jump_table' &&
      (keyName.startsWith('__tracepoint_') ||
        keyName.includes('__UNIQUE_ID_ddebug_') ||
        DEBUG_RECORDS.has(patched.sectionName(key.symbol)))
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
        `${copy.name} uses the ${name === '__jump_table' ? 'static branch' : 'static call'} key ${keyName}, which ${late} when such keys are set up`,
      );
    }
    return false;
  }
  return name !== '__jump_table' || dialect.jumpLabels;
}
