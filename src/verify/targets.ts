import { SHF_ALLOC, SHF_MERGE, SHF_STRINGS, STT_FUNC, STT_OBJECT } from '../elf';
import type { Instruction, OperandField } from './code';
import type { Context } from './context';
import { signed } from './findings';
import type { KernelSymbol } from './kernel-list';
import { isExecutable, isFunction, type ModuleRela, type ModuleSection } from './module';
import { covering, describe, fieldOf, sameFunction, targetInCode, targetInData, type Target } from './references';
import { isTable } from './tables';

/** How a field uses what it refers to. */
type Use =
  | { kind: 'call' }
  | { kind: 'jump' }
  /** Reads or writes `size` bytes exactly there. */
  | { kind: 'access'; size: number }
  /** Forms an address, or adds a register to it. */
  | { kind: 'address'; indexed: boolean };

/** What each field refers to must make sense for the instruction or pointer that it is in. */
export function checkTargets(context: Context): void {
  const { module, code } = context;
  for (const section of module.sections) {
    if (isTable(section.name)) continue;
    const executable = isExecutable(section);
    for (const rela of module.relasOf(section)) {
      if (!executable) {
        checkTarget(context, rela, targetInData(module, rela), { kind: 'address', indexed: false });
        continue;
      }
      const instruction = code.covering(section, rela.offset);
      const field = instruction && fieldOf(instruction, rela);
      if (instruction !== undefined && field !== undefined)
        checkTarget(context, rela, targetInCode(module, rela, instruction), useOf(instruction, field));
    }
    if (executable) checkUnrelocated(context, section);
  }
}

function useOf(instruction: Instruction, field: OperandField): Use {
  if (field.kind === 'branch') return { kind: instruction.kind === 'call' ? 'call' : 'jump' };
  if (field.kind !== 'immediate' && instruction.fixedAccess) return { kind: 'access', size: instruction.accessSize };
  return { kind: 'address', indexed: field.kind === 'displacement' && instruction.indexed };
}

function checkTarget(context: Context, rela: ModuleRela, target: Target, use: Use): void {
  const { findings, kernel } = context;
  const place = { section: rela.section, offset: rela.offset };
  if (target.in === 'nowhere') {
    if (rela.livepatch === null)
      findings.add(
        'verify-target',
        place,
        `it refers to ${target.name}, which is no symbol of the module or the kernel`,
      );
    return;
  }
  if (target.in === 'module') {
    checkOwn(context, rela, target, use);
    return;
  }
  const found =
    target.in === 'klp'
      ? kernel?.at(target.name.object, target.name.name, target.name.sympos)
      : imported(context, target.name);
  const symbol = typeof found === 'object' && found !== null ? found : null;
  checkForeign(context, rela, target, use, symbol);
}

/** The kernel symbol that an import means; of several equal names it is the exported one, which the list does not tell. */
function imported({ kernel }: Context, name: string): KernelSymbol | null {
  const list = kernel?.find('vmlinux', name) ?? [];
  return list.length === 1 ? list[0]! : null;
}

function checkForeign(
  { module, findings, kernel }: Context,
  rela: ModuleRela,
  target: Target,
  use: Use,
  symbol: KernelSymbol | null,
): void {
  const place = { section: rela.section, offset: rela.offset };
  const add = (message: string): void => findings.add('verify-target', place, message);
  const what = describe(module, target);
  const { offset } = target;
  if (use.kind === 'call' || use.kind === 'jump') {
    if (symbol?.kind === 'data') add(`a ${use.kind} to ${what}, which is data in the kernel`);
    else if (offset !== 0)
      add(`a ${use.kind} to ${what}: only the start of a function of another object can be entered`);
    return;
  }
  // Without the kernel the symbol's own type tells: PATCHED's is kept.
  if (symbol?.kind === 'code' || (symbol === null && rela.symbol.type === STT_FUNC)) {
    if (use.kind === 'access' && !DATA_IN_TEXT.has(nameIn(target)))
      add(`data is read or written at ${what}, which is code in the kernel`);
    else if (use.kind !== 'access' && offset !== 0) add(`the address ${what} is inside a function`);
    else if (use.kind !== 'access' && symbol !== null && kernel?.isSealed(symbol.address) === true)
      findings.add('verify-sealed-target', place, `the address of ${what} is taken, whose ENDBR the kernel removed`);
    return;
  }
  const size = symbol?.size ?? null;
  if (use.kind === 'access') {
    if (offset < 0 || (size !== null && offset + use.size > size))
      add(
        `${use.size} bytes at ${what} are ${offset < 0 ? 'before' : `past the end of`} the object${size === null ? '' : ` of ${size} bytes`}`,
      );
  } else if (!use.indexed && (offset < 0 || (size !== null && offset > size))) {
    findings.add(
      'verify-target-range',
      place,
      `the address ${what} lies outside the object${size === null ? '' : ` of ${size} bytes`}`,
    );
  }
}

/** Operands of VERW, which stand beside the code that uses them. */
const DATA_IN_TEXT = new Set(['x86_verw_sel', 'mds_verw_sel']);

const nameIn = (target: Target): string =>
  target.in === 'klp' ? target.name.name : target.in === 'module' ? '' : target.name;

function checkOwn(context: Context, rela: ModuleRela, target: Target & { in: 'module' }, use: Use): void {
  const { module, code, findings } = context;
  const place = { section: rela.section, offset: rela.offset };
  const add = (message: string): void => findings.add('verify-target', place, message);
  const { section, offset } = target;
  const what = describe(module, target);
  if ((section.flags & SHF_ALLOC) === 0) {
    add(`it refers to ${what} in ${section.name}, which is not loaded`);
    return;
  }
  if (use.kind === 'call' || use.kind === 'jump') {
    checkBranch(context, rela.section, rela.offset, section, offset, use.kind);
    return;
  }
  if (isExecutable(section)) {
    if (use.kind === 'access') add(`data is read or written at ${what}, which is code`);
    else if (!use.indexed && code.at(section, offset) === undefined && offset !== section.size)
      add(`the address ${what} is inside an instruction`);
    return;
  }
  const size = use.kind === 'access' ? use.size : 0;
  if (offset < 0 || offset + size > section.size) {
    // Compilers leave accesses past an array's end in code that is never reached (kvm-intel's evmcs fields).
    if (use.kind === 'access' && offset < section.size)
      add(`${size} bytes at ${section.name}${signed(offset)} are not all in the section's ${section.size}`);
    else if (use.kind === 'access' || !use.indexed)
      findings.add(
        'verify-target-range',
        place,
        `the address ${section.name}${signed(offset)} lies outside the section's ${section.size} bytes`,
      );
    return;
  }
  const object = covering(module, section, offset);
  if (use.kind === 'access' && object?.type === STT_OBJECT && offset + size > object.value + object.size)
    add(`${size} bytes at ${what} go past its ${object.size} bytes`);
  const strings = SHF_MERGE | SHF_STRINGS;
  if ((section.flags & strings) === strings && section.entsize > 1 && offset % section.entsize !== 0)
    add(`the address ${what} is not at a character of ${section.entsize} bytes`);
}

/** Where a branch within the module leads: a function's start, or an instruction of the same function. */
function checkBranch(
  { module, code, findings }: Context,
  from: ModuleSection,
  at: number,
  section: ModuleSection,
  offset: number,
  kind: 'call' | 'jump',
): void {
  const add = (message: string): void => findings.add('verify-target', { section: from, offset: at }, message);
  const what = describe(module, { in: 'module', section, offset });
  if (!isExecutable(section)) {
    add(`a ${kind} to ${what}, which is not code`);
    return;
  }
  if (code.at(section, offset) === undefined) {
    add(`a ${kind} to ${section.name}${signed(offset)} (${what}), where no instruction starts`);
    return;
  }
  const to = module.covering(section, offset).filter(isFunction);
  if (to.length === 0 || to.some(({ value }) => value === offset)) return;
  const source = covering(module, from, at);
  // Replacements of alternatives are code of the function that they are copied into.
  if (kind === 'jump' && (source === undefined || to.some(({ name }) => sameFunction(name, source.name)))) return;
  add(`a ${kind} into the middle of ${to[0]!.name}${signed(offset - to[0]!.value)}`);
}

/** Fields without relocation: branches stay in the section; a RIP-relative access needs one. */
function checkUnrelocated(context: Context, section: ModuleSection): void {
  const { module, code, findings } = context;
  for (const instruction of code.of(section)) {
    const { offset, length, kind, target } = instruction;
    if (
      kind === 'nop' ||
      instruction.fields.length === 0 ||
      module.relasIn(section, offset, offset + length).length > 0
    )
      continue;
    const place = { section, offset };
    // Taking the address of the code itself needs none (_THIS_IP_ is lea 0(%rip)).
    if (instruction.fixedAccess && instruction.fields.some((field) => field.kind === 'relative'))
      findings.add('verify-relocation', place, 'a RIP-relative access without relocation');
    if (target === undefined || (kind !== 'call' && kind !== 'jump' && kind !== 'conditional')) continue;
    if (kind === 'call' && target === offset + length)
      findings.add('verify-relocation', place, 'a call without relocation: it would call the next instruction');
    else if (section.name !== '.altinstr_replacement')
      checkBranch(context, section, offset, section, target, kind === 'call' ? 'call' : 'jump');
  }
}
