/** C for callbacks that set variables: put behind the patched unit's own text, so that the compiler sees to all that code of this kernel needs. */
import type { Value, Word } from './words';

export interface VariableWords {
  name: string;
  words: readonly Word[];
}

/** Where what is written at patch stands in the module. */
export const TABLE = 'klpflow_words';
/** How the types of the variables are aligned, a byte each; no section of a module. */
export const ALIGNMENTS = '.discard.klpflow_alignments';

export function sourceOf(variables: readonly VariableWords[], replaces: boolean): string {
  const names = new Map<string, string>();
  const value = (one: Value): string => {
    if (one.kind === 'number') return `0x${one.value.toString(16)}UL`;
    if (!names.has(one.name)) names.set(one.name, `klpflow_symbol_${names.size}`);
    return `(unsigned long)(${names.get(one.name)} + ${one.addend})`;
  };
  const rows = variables.flatMap(({ name, words }) =>
    words.map(
      ({ at, size, mask, from, to }) =>
        `\t{ (char *)&${name} + ${at}, ${size}, 0x${mask.toString(16)}UL, ${value(from)}, ${value(to)} },`,
    ),
  );
  // By its name for the assembler, whatever its C type: the patch need not declare what the old value was.
  const symbols = [...names].map(([name, alias]) => `extern const char ${alias}[] __asm__("${name}");`);
  return [
    '',
    '#include <klpflow_set_data.h>',
    ...symbols,
    `static struct klpflow_word ${TABLE}[] = {`,
    ...rows,
    '};',
    `static const unsigned char klpflow_alignments[] __attribute__((used, section("${ALIGNMENTS}"))) = {`,
    `\t${variables.map(({ name }) => `__alignof__(typeof(${name}))`).join(', ')}`,
    '};',
    `KLPFLOW_SET_DATA(${TABLE}, ${replaces});`,
    '',
  ].join('\n');
}
