import type { Context } from './context';
import { entriesOf, opcode, type Entry } from './entries';
import { isExecutable, isFunction, type ModuleSection } from './module';
import { covering, describe, fieldOf, nameOf, sameFunction, targetInCode, targetInData } from './references';
import { TABLES, isTable, type Site, type Sites, type TableKind } from './tables';
import { isPreamble } from './type-hash';

type Check = (context: Context, entry: Entry, site: Site) => void;

/** What must stand at the place that an entry names, by table. */
const CHECKS: Partial<Record<TableKind, Check>> = {
  bugs(context, entry, site) {
    // A warning with arguments (6.19 on) is a static call whose function gets the entry in %rdi: `virtio_transport_recv_pkt` of 7.3.
    const { kind } = site.instruction;
    if (kind !== 'undefined' && !(kind === 'call' && branchName(context, site) === '__SCT__WARN_trap'))
      entry.add(`it points at ${entry.name(site)}, which is not ud1, ud2 or a call of __SCT__WARN_trap`);
  },
  exceptions(_, entry) {
    entry.site(4);
  },
  jumpLabels: checkJumpLabel,
  staticCalls: checkStaticCall,
  locks(_, entry, { section, offset, instruction }) {
    if (!instruction.lock) entry.add(`it points at ${entry.name({ section, offset })}, which has no lock prefix`);
  },
  ftrace({ module, code }, entry, site) {
    const { section, offset, instruction } = site;
    const start = [
      ...module.symbolsAt(section, offset),
      ...(code.at(section, offset - 4)?.kind === 'endbr' ? module.symbolsAt(section, offset - 4) : []),
    ].find(isFunction);
    if (start === undefined)
      entry.add(`it points at ${entry.name(site)}, which is not the start of a function, or behind its endbr64`);
    const calls = instruction.kind === 'call' && branchName({ module, code } as Context, site) === '__fentry__';
    if (!calls && !(instruction.kind === 'nop' && instruction.length === 5))
      entry.add(`it points at ${entry.name(site)}, which is neither a call of __fentry__ nor a 5-byte NOP`);
  },
  returns(context, entry, site) {
    const { section, instruction } = site;
    if (opcode(section, instruction) !== 0xe9 || branchName(context, site) !== '__x86_return_thunk')
      entry.add(`it points at ${entry.name(site)}, which is not a jmp to __x86_return_thunk`);
  },
  retpolines(context, entry, site) {
    if (!isIndirectThunk(branchName(context, site)))
      entry.add(`it points at ${entry.name(site)}, which is not a call of or jmp to __x86_indirect_thunk_*`);
  },
  calls({ module }, entry, site) {
    const { section, instruction } = site;
    const traced =
      instruction.kind === 'nop' &&
      instruction.length === 5 &&
      module.wasRelocated(section, instruction.offset, instruction.offset + 5);
    if (!(instruction.kind === 'call' && opcode(section, instruction) === 0xe8) && !traced)
      entry.add(`it points at ${entry.name(site)}, which is not a call`);
  },
  cfi({ module }, entry, site) {
    const preamble = module.symbolsAt(site.section, site.offset).some(({ name }) => name.startsWith('__cfi_'));
    if (!preamble || !isPreamble(opcode(site.section, site.instruction)))
      entry.add(
        `it points at ${entry.name(site)}, which is not a preamble __cfi_* that begins with mov $hash into a register`,
      );
  },
  traps(_, entry, site) {
    if (site.instruction.kind !== 'undefined') entry.add(`it points at ${entry.name(site)}, which is not ud2`);
  },
  seals: checkSeal,
  paravirt({ code }, entry, site) {
    const length = entry.bytes[9]!;
    if (!code.isBoundary(site.section, site.offset + length) || length === 0)
      entry.add(`its ${length} bytes at ${entry.name(site)} are not whole instructions`);
  },
};

/** Every entry of every table points at an instruction of this module that is what the table says. */
export function checkEntries(context: Context, sites: Sites): void {
  for (const kind of Object.keys(CHECKS) as TableKind[]) {
    for (const entry of entriesOf(context, kind)) {
      const site = entry.site(0, TABLES[kind].width);
      if (site === null) continue;
      sites.add(kind, site.section, site.offset);
      CHECKS[kind]!(context, entry, site);
    }
  }
}

/** The function that a direct branch leads to, by name. */
export function branchName(
  { module }: Pick<Context, 'module'>,
  { section, instruction }: Pick<Site, 'section' | 'instruction'>,
): string | undefined {
  const field = instruction.fields.find(({ kind }) => kind === 'branch');
  const rela = field && module.relaAt(section, instruction.offset + field.at);
  if (rela === undefined || (module.machine.zeros && !module.machine.relative.has(rela.type))) return undefined;
  return nameOf(module, targetInCode(module, rela, instruction));
}

export const isIndirectThunk = (name: string | undefined): boolean =>
  name !== undefined && /^__x86_indirect_(its_|call_|jump_)?thunk_/.test(name);

/** The kernel overwrites a sealed endbr64, so that nothing may call the function through a pointer. */
function checkSeal(context: Context, entry: Entry, site: Site): void {
  const { module } = context;
  const starts = module.symbolsAt(site.section, site.offset).some(isFunction);
  if (!starts || site.instruction.kind !== 'endbr')
    entry.add(`it points at ${entry.name(site)}, which is not an endbr64 at a function's start`);
  for (const rela of module.relas) {
    if (
      module.sectionOf(rela.symbol) !== site.section ||
      isTable(rela.section.name) ||
      context.replacementPointers.has(`${rela.section.index}:${rela.offset}`)
    )
      continue;
    const instruction = isExecutable(rela.section) ? context.code.covering(rela.section, rela.offset) : undefined;
    if (instruction !== undefined && fieldOf(instruction, rela)?.kind === 'branch') continue;
    const target = instruction === undefined ? targetInData(module, rela) : targetInCode(module, rela, instruction);
    if (target.offset !== site.offset) continue;
    entry.add(
      `it seals ${entry.name(site)}, whose address is taken at ${rela.section.name}+0x${rela.offset.toString(16)}`,
    );
    return;
  }
}

function checkJumpLabel(context: Context, entry: Entry, site: Site): void {
  const { module } = context;
  const { section, offset, instruction } = site;
  const switchable =
    (instruction.kind === 'nop' || instruction.kind === 'jump') &&
    module.machine.switchable.includes(instruction.length);
  if (!switchable)
    entry.add(
      `it points at ${entry.name(site)}, which is not a NOP or jmp of ${module.machine.switchable.join(' or ')} bytes`,
    );
  const target = entry.site(4);
  if (target !== null) {
    const [from, to] = [covering(module, section, offset), covering(module, target.section, target.offset)];
    if (from !== undefined && to !== undefined && !sameFunction(from.name, to.name))
      entry.add(`its site is in ${from.name}, its target in ${to.name}`, 4);
  }
  const key = module.relaAt(entry.section, entry.offset + 8);
  if (key === undefined || key.type !== module.machine.distance64) {
    entry.add(key === undefined ? 'its key has no relocation' : `its key has a relocation of type ${key.type}`, 8);
    return;
  }
  const refers = targetInData(module, key);
  checkKey(context, entry, { ...refers, offset: refers.offset & ~3 || 0 }, 8);
}

function checkStaticCall(context: Context, entry: Entry, site: Site): void {
  const { module } = context;
  const called = branchName(context, site);
  if (called === undefined || !called.startsWith('__SCT__'))
    entry.add(
      `it points at ${entry.name(site)}, which is not a call of or jmp to a static call's trampoline (__SCT__*)`,
    );
  const key = module.relaAt(entry.section, entry.offset + 4);
  if (key === undefined || key.type !== module.machine.distance) {
    entry.add(key === undefined ? 'its key has no relocation' : `its key has a relocation of type ${key.type}`, 4);
    return;
  }
  const refers = targetInData(module, key);
  // Bits 0 and 1 say tail call and init.
  const start = { ...refers, offset: refers.offset - (refers.offset & 3) };
  const name = nameOf(module, start);
  if (
    called !== undefined &&
    name !== undefined &&
    called.startsWith('__SCT__') &&
    name.replace(/^__SC[KT]__/, '') !== called.slice(7)
  )
    entry.add(`the site calls ${called}, the key is ${name}`, 4);
  if (name?.startsWith('__SCT__') !== true) checkKey(context, entry, start, 4);
}

/** A key is data: of this module, exported, or behind a klp symbol. */
function checkKey(
  { module, kernel }: Context,
  entry: Entry,
  target: ReturnType<typeof targetInData>,
  at: number,
): void {
  const what = describe(module, target);
  if (target.in === 'nowhere') entry.add(`its key is ${what}`, at);
  else if (target.in === 'module') {
    if ((target.section.flags & 0x4) !== 0 || target.offset < 0 || target.offset >= Math.max(1, target.section.size))
      entry.add(`its key ${what} is not data of this module`, at);
  } else {
    const list = target.in === 'klp' ? kernel?.at(target.name.object, target.name.name, target.name.sympos) : null;
    const symbol = typeof list === 'object' ? list : null;
    if (symbol?.kind === 'code') entry.add(`its key ${what} is code in the kernel`, at);
    else if (target.offset < 0 || (symbol?.size != null && target.offset >= symbol.size))
      entry.add(`its key ${what} lies outside the object`, at);
  }
}

/** Sections whose code is only copied to other places. */
export const isReplacement = ({ name }: ModuleSection): boolean => name === '.altinstr_replacement';
