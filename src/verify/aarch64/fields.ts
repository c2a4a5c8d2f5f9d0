import { SHN_LIVEPATCH, SHN_UNDEF } from '../../elf';
import type { Context } from '../context';
import { isExecutable, type ModuleRela, type ModuleSection } from '../module';
import { describe, targetInData } from '../references';
import { SCALED, fits, wordAt } from './words';

/** Named by the kernel's module.lds.h; the loader makes room in them. */
const LOADERS = ['.plt', '.init.plt', '.text.ftrace_trampoline', '.init.text.ftrace_trampoline'];

/** A module without them is refused: by module_frob_arch_sections() and by module_init_ftrace_plt(). */
export function checkLoaderSections({ module, findings }: Context): void {
  for (const name of LOADERS)
    if (module.section(name) === undefined)
      findings.add(
        'verify-elf-form',
        undefined,
        `there is no section ${name}: the module loader refuses such a module`,
      );
}

/** LD_PREL_LO19, ADR_PREL_LO21, TSTBR14, CONDBR19: a mebibyte at most, and the kernel is further away. */
const NEARBY = new Set([273, 274, 279, 280]);
/** ABS32 and ABS16: no address fits. */
const NUMBERS = new Set([258, 259]);
const BRIDGED = new Set([282, 283]);
/** ADRP at these offsets of a page: Cortex-A53 erratum 843419, for which the loader changes the instruction. */
const AWKWARD = 0xff8;

/** Each relocation stands in the instruction that it is for, and where the kernel can apply it when it is due. */
export function checkFields(context: Context): void {
  const { module } = context;
  for (const rela of module.relas) {
    const { section, offset, type } = rela;
    const add = (message: string): void => context.findings.add('verify-relocation', { section, offset }, message);
    const what = describe(module, targetInData(module, rela));
    if (isExecutable(section)) {
      if (offset % 4 !== 0) add('it is not at an instruction');
      if (fits(type, wordAt(section, offset)) !== true)
        add(`the relocation of type ${type} against ${what} is not one of the instruction there`);
    } else if (fits(type, 0) !== undefined)
      add(`the relocation of type ${type} against ${what} is one of instructions`);
    const outside = rela.symbol.section === SHN_LIVEPATCH || rela.symbol.section === SHN_UNDEF;
    if (outside && NEARBY.has(type)) add(`${what} is too far for the instruction`);
    if (NUMBERS.has(type) && rela.symbol.section !== 0xfff1) add(`the address of ${what} has more bits than the field`);
    checkScale(context, rela);
    if (rela.livepatch !== null && !rela.livepatch.name.startsWith('.klp.rela.vmlinux.')) checkLate(context, rela);
  }
}

/** The low bits of a target that is no multiple are dropped without a word. */
function checkScale({ module, findings }: Context, rela: ModuleRela): void {
  const scale = SCALED.get(rela.type);
  const target = targetInData(module, rela);
  if (scale === undefined || target.in === 'nowhere') return;
  const own = target.in === 'module' ? target.section.align : scale;
  if (target.offset % scale !== 0 || own < scale)
    findings.add(
      'verify-target',
      { section: rela.section, offset: rela.offset },
      `${scale} bytes are accessed at ${describe(module, target)}, which is not aligned to them`,
    );
}

/** What is applied when a module comes is written into read-only code by text poking, and a bridge (PLT) for a branch is not: that is an oops. */
function checkLate({ module, findings }: Context, { section, offset, type, livepatch }: ModuleRela): void {
  const add = (message: string): void =>
    findings.add('verify-late-relocation', { section, offset }, `${livepatch!.name} ${message}`);
  if (BRIDGED.has(type))
    add('fills in a branch: one that does not reach would make the kernel write to read-only memory');
  const width = module.machine.widths[type] ?? 4;
  if (offset % 4 !== 0 || width % 4 !== 0 || section.align % 4 !== 0)
    add('has a field that does not lie in words, which the kernel passes over without an error');
  if (type === 275 && (offset & 0xfff) >= AWKWARD)
    add('has an ADRP at the end of a page, which the loader may have changed');
  if (isUsedEarly(section)) add(`is applied when the kernel has used ${section.name}`);
}

function isUsedEarly({ name }: ModuleSection): boolean {
  return name === '__bug_table' || name === '__patchable_function_entries';
}
