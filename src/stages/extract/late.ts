import type { LivepatchObject, OutputSection } from '../../livepatch/object';
import { SPECIAL_SECTIONS } from '../../kernel/special-sections';
import type { Side } from '../side/side';
import { specialTables } from '../scan/entries';
import type { Refusals } from './refusals';

const SPECIAL = new Set(SPECIAL_SECTIONS.map(({ name }) => name));

/**
 * Refuses relocations to a module's symbols where the kernel reads or copies the bytes before the livepatch core fills them in: it
 * applies them when the patched module is there, long after the livepatch's own alternatives, static calls and tables were set up. An
 * alternative then has a stale copy of its replacement, or bytes in its site that make the core give up ("existing value is nonzero").
 */
export function refuseLateRelocations(patched: Side, output: LivepatchObject, refusals: Refusals): void {
  const late = output.klpRelas.filter(({ target }) => target.module !== 'vmlinux');
  if (late.length === 0) return;
  const sites = alternativeSites(patched, output);
  for (const { section, offset, target } of late) {
    const what = SPECIAL.has(section.name)
      ? `an entry of ${section.name}`
      : section.name === '.altinstr_replacement'
        ? 'replacement code'
        : sites.some((site) => site.section === section && offset >= site.start && offset < site.end)
          ? 'an instruction that the kernel replaces when it loads the livepatch'
          : undefined;
    if (what === undefined) continue;
    const owner = output.symbols.find(
      (symbol) =>
        symbol.section === section && symbol.size > 0 && offset >= symbol.value && offset < symbol.value + symbol.size,
    );
    refusals.add(
      'late-relocation',
      target.patchedName,
      section.name,
      undefined,
      `${owner === undefined ? '' : `${owner.name}: `}${what} refers to ${target.patchedName} of module ${target.module}, whose address is filled in only afterwards`,
    );
  }
}

interface Site {
  section: OutputSection;
  start: number;
  end: number;
}

/** Code that alternatives entries of the output rewrite. */
function alternativeSites(patched: Side, output: LivepatchObject): Site[] {
  return specialTables(patched.identity, patched.structSizes, []).flatMap(({ rules, size }) => {
    if (rules.replacement === undefined) return [];
    const length = rules.replacement.length(size) - 1;
    return output.sections
      .filter(({ name }) => name === rules.name)
      .flatMap(({ relas, bytes }) =>
        relas.flatMap(({ offset, symbol, addend }) => {
          if (offset % size !== rules.site || typeof symbol.section === 'string') return [];
          const start = symbol.value + addend;
          return [{ section: symbol.section, start, end: start + bytes[offset - rules.site + length]! }];
        }),
      );
  });
}
