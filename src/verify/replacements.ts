import type { Context } from './context';
import { isExecutable } from './module';
import { describe, fieldOf, targetInCode, targetInData } from './references';
import { isTable } from './tables';

/**
 * What holds for functions that take another's place: no address is redirected twice, and whoever keeps such a function's address has the
 * original's. Elsewhere `ops->fn == f` compares with that one, and the module's is gone once the livepatch is.
 */
export function checkReplacements(context: Context): void {
  checkAddresses(context);
  const { module, code, findings, replacements, replacementPointers } = context;
  for (const rela of module.relas) {
    const { section, offset } = rela;
    if (isTable(section.name) || replacementPointers.has(`${section.index}:${offset}`)) continue;
    const instruction = isExecutable(section) ? code.covering(section, offset) : undefined;
    if (instruction !== undefined && fieldOf(instruction, rela)?.kind === 'branch') continue;
    const target = instruction === undefined ? targetInData(module, rela) : targetInCode(module, rela, instruction);
    const replaced = target.in === 'module' ? replacements.get(`${target.section.index}:${target.offset}`) : undefined;
    if (replaced !== undefined) findings.add('verify-function-address', { section, offset }, `the address of ${describe(module, target)} is kept, which takes the place of ${replaced.name}: the original's is meant`);
  }
}

/** Two klp_func of one address, under two names that stand there: the core registers both, and which body runs is chance. */
function checkAddresses({ kernel, findings, replacements }: Context): void {
  const seen = new Map<string, string>();
  for (const { object, name, sympos, place } of replacements.values()) {
    const old = kernel?.at(object, name, sympos);
    if (old === undefined || old === null || typeof old === 'string') continue;
    const key = `${object}:${old.address}`;
    const other = seen.get(key);
    if (other !== undefined && other !== name) findings.add('verify-klp-func', place, `${name} stands at the address of ${other}, which is redirected, too`);
    seen.set(key, name);
  }
}
