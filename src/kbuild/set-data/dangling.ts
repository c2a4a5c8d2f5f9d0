/** What the module writes into variables of the kernel, looked at once more in the finished file: no address may be the module's own. */
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { ElfObject, RELA_WORDS, R_OFFSET, R_SYM, SHT_RELA, u64 } from '../../elf';
import { TABLE } from './source';
import { variablesNamed } from './variable';

/** A function that boot made no target of indirect calls is called by the copy's address, which dangles when the livepatch is gone. */
export function danglingData(module: string): Diagnostic[] {
  const object = ElfObject.open(module);
  const own = new Set<string>();
  let tables = 0;
  for (let symbol = 1; symbol < object.symbolCount; symbol++) {
    if (object.symbolName(symbol) !== TABLE) continue;
    const section = object.sectionOf(symbol);
    if (section === undefined) continue;
    tables++;
    const start = object.symbolValue(symbol);
    const end = start + variablesNamed(object, TABLE).reduce((most, { size }) => Math.max(most, size), 0);
    for (let relas = 1; relas < object.sectionCount; relas++) {
      if (object.type(relas) !== SHT_RELA || object.info(relas) !== section) continue;
      const words = object.relas(relas);
      for (let i = 0; i < words.length; i += RELA_WORDS) {
        const at = u64(words, i + R_OFFSET);
        const target = words[i + R_SYM]!;
        if (at >= start && at < end && object.sectionOf(target) !== undefined) own.add(object.symbolName(target));
      }
    }
  }
  if (tables > 0 && own.size === 0) return [];
  const what =
    tables === 0
      ? 'the table of what is set is not in the module'
      : `it would be set to ${[...own].join(', ')} of the livepatch itself`;
  return [diagnostic('set-data', `the data cannot be set: ${what}`, { object: module })];
}
