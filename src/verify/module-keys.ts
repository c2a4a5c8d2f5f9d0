/**
 * Keys of the patched module itself, and of others that it needs (tracepoint nvme_sq of nvme_core, in nvme): the livepatch core fills their addresses in only after
 * jump labels and static calls of the livepatch have been set up, so that it has no entries for them. Its tracepoints and pr_debug() then stay off, and a call goes through the trampoline, which leads to the same.
 */
import { SHN_LIVEPATCH } from '../elf';
import type { Instruction } from './code';
import type { Context } from './context';
import { parseKlpSymbol } from './klp-name';
import type { ModuleSection } from './module';
import type { TableKind } from './tables';

/** Nothing is lost by these but a trace. Any other key decides what code does. */
const TRACES = /^__tracepoint_|^__SCK__tp_func_|__UNIQUE_ID_ddebug/;

/** Where an entry's key is. */
export const KEY_FIELDS: Partial<Record<TableKind, number>> = { jumpLabels: 8, staticCalls: 4 };

/** Whether an entry with this key is none that a livepatch of a module could have: vmlinux's keys are there before any. */
export function isLate({ exports }: Pick<Context, 'exports'>, key: string): boolean {
  const exported = exports?.get(key);
  return TRACES.test(key) && (exported === undefined || exported.module !== undefined);
}

/** Whether a call leads to the trampoline of a module's static call. */
export function callsModule(
  { module }: Pick<Context, 'module'>,
  section: ModuleSection,
  { offset, fields }: Instruction,
): boolean {
  const field = fields.find(({ kind }) => kind === 'branch');
  const symbol = field && module.relaAt(section, offset + field.at)?.symbol;
  const name = symbol?.section === SHN_LIVEPATCH ? parseKlpSymbol(symbol.name) : undefined;
  return name !== undefined && name.object !== 'vmlinux' && name.name.startsWith('__SCT__tp_func_');
}
