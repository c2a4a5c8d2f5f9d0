import type { Context } from './context';
import { hex } from './findings';
import { isExecutable } from './module';
import { describe, fieldOf, targetInCode, type Target } from './references';

/**
 * Stores to what the kernel keeps read-only once it has booted (`.rodata`, `.data..ro_after_init`): a variable that nothing wrote before the
 * patch lies there, whether it was declared const or not, and the store is an oops.
 */
export function checkStores(context: Context): void {
  const { module, code, findings, kernel } = context;
  if (kernel === null) return;
  for (const rela of module.relas) {
    const { section, offset } = rela;
    if (!isExecutable(section)) continue;
    const instruction = code.covering(section, offset);
    const field = instruction && fieldOf(instruction, rela);
    if (
      instruction === undefined ||
      field === undefined ||
      !instruction.writes ||
      field.kind === 'immediate' ||
      field.kind === 'branch'
    )
      continue;
    const target = targetInCode(module, rela, instruction);
    const address = addressOf(context, target);
    if (address !== undefined && kernel.isReadOnly(address))
      findings.add(
        'verify-placement',
        { section, offset },
        `${describe(module, target)} is written, which the kernel keeps read-only at ${hex(address)}`,
      );
  }
}

function addressOf({ kernel }: Context, target: Target): number | undefined {
  if (target.in !== 'klp' && target.in !== 'import') return undefined;
  const found =
    target.in === 'klp'
      ? kernel!.at(target.name.object, target.name.name, target.name.sympos)
      : kernel!.at('vmlinux', target.name, 0);
  return found === null || typeof found === 'string' ? undefined : found.address;
}
