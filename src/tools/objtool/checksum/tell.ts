import type { Offset, SectionIndex } from '../../../elf';
import type { CheckedObject } from '../../../stages/checksum';

/** Parts of an object's identity by number; 0 is an instruction of a function. See stages/checksum/wasm. */
const PARTS = ['', 'len', 'data', 'reloc string', 'reloc name', 'reloc addend'] as const;

/**
 * Reports how the checksums of symbols come about: `NAME(): PLACE HASH` for functions, `NAME+OFFSET: PART HASH` for objects, as objtool says it.
 * @returns names that no function or object has
 */
export function reportChecksums(
  object: CheckedObject,
  names: readonly string[],
  tell: (line: string) => void,
): string[] {
  const wanted = new Map<number, string>();
  const unknown = new Set<string>();
  for (const name of names) {
    const found = object.named(name);
    for (const symbol of found) wanted.set(symbol, name);
    if (found.length === 0) unknown.add(name);
  }
  for (const [symbol, name] of [...wanted].sort(([a], [b]) => a - b)) {
    object.tell(symbol, (part, section, offset, hash) => {
      const text = hash.toString(16).padStart(16, '0');
      tell(
        part === 0
          ? `${name}(): ${placeOf(object, section, offset)} ${text}`
          : `${name}+0x${offset.toString(16)}: ${PARTS[part]} ${text}`,
      );
    });
  }
  return [...unknown];
}

function placeOf(object: CheckedObject, section: SectionIndex, offset: Offset): string {
  const { elf } = object;
  const symbol = object.covering(section, offset);
  return symbol === 0
    ? `${elf.name(section)}+0x${offset.toString(16)}`
    : `${elf.symbolName(symbol)}+0x${(offset - elf.symbolValue(symbol)).toString(16)}`;
}
