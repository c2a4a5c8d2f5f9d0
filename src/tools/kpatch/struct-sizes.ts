import { KlpflowError } from '../../diagnostics';

/** Environment variables that kpatch-build sets, and the kernel struct whose size each holds. */
const STRUCT_SIZES: Readonly<Record<string, string>> = {
  ALT_STRUCT_SIZE: 'alt_instr',
  BUG_STRUCT_SIZE: 'bug_entry',
  EX_STRUCT_SIZE: 'exception_table_entry',
  FIXUP_STRUCT_SIZE: 'fixup_entry',
  JUMP_STRUCT_SIZE: 'jump_entry',
  ORC_STRUCT_SIZE: 'orc_entry',
  PARA_STRUCT_SIZE: 'paravirt_patch_site',
  PRINTK_INDEX_STRUCT_SIZE: 'pi_entry',
  STATIC_CALL_STRUCT_SIZE: 'static_call_site',
};

/** Far above every such struct (44 bytes and less). */
const LARGEST = 4096;

/**
 * Struct sizes in bytes from an environment, by kernel struct; those that are not set are left out.
 * @throws KlpflowError `usage` for what is no size
 */
export function structSizesFrom(environment: Readonly<Record<string, string | undefined>>): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const [variable, struct] of Object.entries(STRUCT_SIZES)) {
    const text = environment[variable];
    if (text === undefined) continue;
    const size = /^[0-9]+$/.test(text.trim()) ? Number(text) : 0;
    if (size <= 0 || size > LARGEST)
      throw new KlpflowError('usage', `${variable} is '${text}', not the size of struct ${struct} in bytes`);
    sizes[struct] = size;
  }
  return sizes;
}
