import type { Side } from '../side/side';

/** Letters behind the dot of `.text`, `.rela`, `.rodata`, `.data`, `.bss`, `.debug`, `.discard`: what nearly all of 200,000 sections are called. */
const ORDINARY = new Set([...'trdb'].map((letter) => letter.charCodeAt(0)));
const DOT = 0x2e;
const [LETTER_P, LETTER_T, LETTER_H] = [0x70, 0x74, 0x68];

/** Sections with a name of their own, by name: tables that are read entry by entry, notes for tools. One pass over the names' first bytes. */
export function oddSections({ object, table }: Side): Map<string, number[]> {
  const { bytes } = object;
  const found = new Map<string, number[]>();
  for (let section = 1; section < table.sections; section++) {
    const at = object.nameOffset(section);
    if (bytes[at] === 0 || (bytes[at] === DOT && ORDINARY.has(bytes[at + 1]!))) continue;
    // `__patchable_function_entries`, a section a function: 44,000 of one name.
    if (bytes[at + 2] === LETTER_P && bytes[at + 4] === LETTER_T && bytes[at + 6] === LETTER_H) continue;
    const name = object.name(section);
    const list = found.get(name);
    if (list === undefined) found.set(name, [section]);
    else list.push(section);
  }
  return found;
}
