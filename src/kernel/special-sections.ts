/** Special sections, tables of entries about code, and sections of a role, by the numbers that the columns of a scan hold. */
import type { EntryRules } from './entry-rules';
import { Role, SECTIONS, kernelSection } from './sections';

/** A table of entries with its name. */
export interface SpecialSection extends EntryRules {
  name: string;
}

export const SPECIAL_SECTIONS: readonly SpecialSection[] = Object.entries(SECTIONS).flatMap(([name, { entries }]) =>
  entries === undefined ? [] : [{ name, ...entries }],
);

/**
 * `runtime_ptr_X`, `runtime_shift_X` (6.11 on), `runtime_mask_X` (7.3 on): one s32 per immediate that boot code overwrites with X. Any other kind counts, too:
 * who does not know it copies a placeholder.
 */
const RUNTIME_CONSTANT = /^runtime_[^_]+_./;

const INDEX = new Map(SPECIAL_SECTIONS.map((section, index) => [section.name, index + 1]));

/** Runtime constants share one number: the section's name is the entry's meaning. */
export const RUNTIME_SPECIAL = SPECIAL_SECTIONS.length + 1;

/** Numbers from here on are roles. */
export const FIRST_ROLE = 200;

/** Number of the special section or role of this name, 0 for none. */
export function specialNumber(name: string): number {
  return INDEX.get(name) ?? kernelSection(name)?.role ?? numberByPattern(name);
}

const CONSTRUCTORS = /^\.(?:init_array|fini_array|ctors|dtors)(?:\.|$)/;

function numberByPattern(name: string): number {
  if (RUNTIME_CONSTANT.test(name)) return RUNTIME_SPECIAL;
  if (name.startsWith('.gnu.lto_')) return Role.LTO;
  return CONSTRUCTORS.test(name) ? Role.CONSTRUCTORS : 0;
}

/** A runtime-constant section as a special section: the site is the entry's only field. */
export function runtimeSection(name: string): SpecialSection {
  return { name, struct: '', sizes: [4], site: 0, meaning: () => [], references: () => [] };
}
