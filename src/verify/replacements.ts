import type { Context, Replacement } from './context';
import { isExecutable, type ModuleSection } from './module';
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
    if (target.in !== 'module') continue;
    const replaced = replacements.get(`${target.section.index}:${target.offset}`);
    if (replaced !== undefined && isIndirectTarget(context, replaced, target))
      findings.add(
        'verify-function-address',
        { section, offset },
        `the address of ${describe(module, target)} is kept, which takes the place of ${replaced.name}: the original's is meant`,
      );
  }
}

const ENDBR = [0xf3, 0x0f, 0x1e, 0xfa];

/** Whether the original can be called indirectly, as far as the kernel tells: without ENDBR it cannot, and nobody has its address. */
function isIndirectTarget(
  { kernel }: Context,
  { object, name, sympos }: Replacement,
  { section, offset }: { section: ModuleSection; offset: number },
): boolean {
  const old = kernel?.at(object, name, sympos);
  if (old === undefined || old === null || typeof old === 'string') return true;
  if (kernel!.isSealed(old.address)) return false;
  const before = kernel!.bytesAt(old.address, ENDBR.length);
  return (
    before === undefined ||
    !ENDBR.every((byte, i) => section.bytes[offset + i] === byte) ||
    ENDBR.every((byte, i) => before[i] === byte)
  );
}

/** Two klp_func of one address, under two names that stand there: the core registers both, and which body runs is chance. */
function checkAddresses({ kernel, findings, replacements }: Context): void {
  const seen = new Map<string, string>();
  for (const { object, name, sympos, place } of replacements.values()) {
    const old = kernel?.at(object, name, sympos);
    if (old === undefined || old === null || typeof old === 'string') continue;
    const key = `${object}:${old.address}`;
    const other = seen.get(key);
    if (other !== undefined && other !== name)
      findings.add('verify-klp-func', place, `${name} stands at the address of ${other}, which is redirected, too`);
    seen.set(key, name);
  }
}
