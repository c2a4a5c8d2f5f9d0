import type { Diagnostic } from '../../diagnostics';
import { NO_FACTS } from '../../livepatch/object';
import { extract } from './extract';
import type { ExtractInput } from './types';

/** What writing would find, without the object. */
export interface Rehearsal {
  diagnostics: Diagnostic[];
  /** Names that were taken for exports, where nothing says what is exported. */
  imports: string[];
  /** How many symbols the livepatch looks up in the running kernel. */
  lookups: number;
  /** ORIG's functions that would be replaced, and its symbols that the livepatch would look up. */
  replaced: readonly number[];
  references: readonly number[];
}

/**
 * Goes through all that extract does and drops the result: half of the reasons against a livepatch show when references are made (a list of BTF ids, a
 * jump that the assembler resolved in two bytes, a relocation that no module may have), and a report without them says what is not so. Undefined for
 * processors for which no object of dialect klp is written.
 */
export function rehearse(input: Omit<ExtractInput, 'facts' | 'provenance'>): Rehearsal | undefined {
  if (input.patched.arch.modules === null) return undefined;
  const { object, klpSymbols, replaced, references, diagnostics } = extract({
    ...input,
    rehearsed: true,
    facts: NO_FACTS,
    provenance: { orig: '', patched: '' },
  });
  const imports = input.symvers.known
    ? []
    : object.symbols.filter(({ section }) => section === 'undefined').map(({ name }) => name);
  return { diagnostics, imports, lookups: klpSymbols.length, replaced, references };
}
