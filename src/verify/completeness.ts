import type { Instruction } from './code';
import type { Context } from './context';
import { opcode } from './entries';
import { callsModule } from './module-keys';
import { isExecutable, isFunction, type ModuleSection } from './module';
import { branchName, isIndirectThunk, isReplacement } from './special';
import type { Sites, TableKind } from './tables';

/** Symbols of a linked vmlinux around the tables that say how the kernel was built. */
const KERNEL_TABLES: Partial<Record<TableKind, readonly [string, string]>> = {
  returns: ['__return_sites', '__return_sites_end'],
  retpolines: ['__retpoline_sites', '__retpoline_sites_end'],
  calls: ['__call_sites', '__call_sites_end'],
  staticCalls: ['__start_static_call_sites', '__stop_static_call_sites'],
  // Gone in 7.3, with all patching of lock prefixes.
  locks: ['__smp_locks', '__smp_locks_end'],
};

/** Every instruction that the kernel would rewrite has its entry, as far as the instruction alone tells. */
export function checkCompleteness(context: Context, sites: Sites): void {
  const { module, code } = context;
  for (const section of module.sections) {
    // Replacements get no entries: it is the code at the site that counts.
    if (!isExecutable(section) || isReplacement(section)) continue;
    for (const instruction of code.of(section)) checkInstruction(context, sites, section, instruction);
    checkFtraceSites(context, sites, section);
  }
}

function checkInstruction(context: Context, sites: Sites, section: ModuleSection, instruction: Instruction): void {
  const { findings, kernel } = context;
  const { offset, kind } = instruction;
  const isUsed = (table: TableKind): boolean => {
    const around = KERNEL_TABLES[table];
    return sites.any(table) || (around !== undefined && kernel?.hasTable(...around) === true);
  };
  const wanted = (table: TableKind, what: string, name: string): void => {
    if (isUsed(table) && !sites.has(table, section, offset))
      findings.add('verify-missing-entry', { section, offset }, `${what} has no entry in ${name}`);
  };
  if (kind === 'call' || kind === 'jump' || kind === 'conditional') {
    const called = branchName(context, { section, instruction });
    if (called === '__x86_return_thunk') wanted('returns', 'a return', '.return_sites');
    else if (isIndirectThunk(called))
      wanted('retpolines', `an indirect ${kind === 'call' ? 'call' : 'jump'} (${called})`, '.retpoline_sites');
    else if (called?.startsWith('__SCT__') === true && !callsModule(context, section, instruction))
      wanted('staticCalls', `a static call (${called})`, '.static_call_sites');
    else if (
      kind === 'call' &&
      called !== undefined &&
      !called.startsWith('__SCT__') &&
      called !== '__fentry__' &&
      opcode(section, instruction) === 0xe8
    )
      wanted('calls', `a call of ${called}`, '.call_sites');
  }
  // Trampolines of static calls end in a trap that is never reached. A compiler's own trap has no entry either, but stands in few functions.
  if (
    kind === 'undefined' &&
    !context.compared &&
    section.name !== '.static_call.text' &&
    opcode(section, instruction) === 0x0f &&
    !sites.has('bugs', section, offset) &&
    !sites.has('traps', section, offset) &&
    sites.any('bugs')
  ) {
    findings.add('verify-missing-entry', { section, offset }, 'a trap has no entry in __bug_table');
  }
  // smp_mb() is a lock prefix that needs none: lock addl $0,-4(%rsp).
  if (instruction.lock && isUsed('locks') && !sites.has('locks', section, offset) && !isBarrier(section, instruction))
    findings.add('verify-lock', { section, offset }, 'a lock prefix has no entry in .smp_locks');
}

function isBarrier({ bytes }: ModuleSection, { offset }: Instruction): boolean {
  return (
    bytes[offset] === 0xf0 && bytes[offset + 1] === 0x83 && bytes[offset + 2] === 0x44 && bytes[offset + 3] === 0x24
  );
}

/** A call of __fentry__, or where the module has ftrace sites the 5-byte NOP that took its place, is listed. */
function checkFtraceSites({ module, code, findings }: Context, sites: Sites, section: ModuleSection): void {
  for (const symbol of module.functionsIn(section).filter(isFunction)) {
    const first = code.at(section, symbol.value);
    const entry = first?.kind === 'endbr' ? code.at(section, first.offset + first.length) : first;
    if (entry === undefined || entry.length !== 5 || sites.has('ftrace', section, entry.offset)) continue;
    const calls = entry.kind === 'call' && branchName({ module }, { section, instruction: entry }) === '__fentry__';
    const site = { section, offset: entry.offset };
    if (calls) findings.add('verify-missing-entry', site, 'a call of __fentry__ has no entry in __mcount_loc');
    else if (
      entry.kind === 'nop' &&
      sites.any('ftrace') &&
      !sites.has('jumpLabels', section, entry.offset) &&
      !sites.has('alternatives', section, entry.offset)
    ) {
      findings.add('verify-missing-entry', site, 'the NOP of an ftrace site has no entry in __mcount_loc');
    }
  }
}
