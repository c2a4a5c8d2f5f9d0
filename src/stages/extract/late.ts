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
  const { sites, replacements } = alternativeCode(patched, output);
  const rules = patched.arch.modules;
  for (const { section, offset, type, target } of late) {
    const within = (all: readonly Site[]): boolean =>
      all.some((site) => site.section === section && offset >= site.start && offset < site.end);
    const width = rules?.fields.get(type) ?? 0;
    const what = SPECIAL.has(section.name)
      ? `an entry of ${section.name}`
      : section.name === '.altinstr_replacement' || within(replacements)
        ? 'replacement code'
        : within(sites)
          ? 'an instruction that the kernel replaces when it loads the livepatch'
          : // Text is written a word at a time, and what does not lie so is left as it is, without an error.
            rules?.lateWords === true && (offset % 4 !== 0 || width % 4 !== 0 || section.align % 4 !== 0)
            ? 'a field that the kernel cannot fill in once the livepatch is loaded'
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

/** Code that alternatives entries of the output rewrite, and what they put there. */
function alternativeCode(patched: Side, output: LivepatchObject): { sites: Site[]; replacements: Site[] } {
  const found = { sites: [] as Site[], replacements: [] as Site[] };
  for (const { rules, size } of specialTables(patched.identity, patched.structSizes, [])) {
    if (rules.replacement === undefined) continue;
    const { field, length } = rules.replacement;
    for (const { name, relas, bytes } of output.sections) {
      if (name !== rules.name) continue;
      for (const { offset, symbol, addend } of relas) {
        if (typeof symbol.section === 'string') continue;
        const entry = Math.floor(offset / size) * size;
        const start = symbol.value + addend;
        const at = { section: symbol.section, start };
        if (offset - entry === rules.site) found.sites.push({ ...at, end: start + bytes[entry + length(size) - 1]! });
        else if (offset - entry === field)
          found.replacements.push({ ...at, end: start + bytes[entry + length(size)]! });
      }
    }
  }
  return found;
}
