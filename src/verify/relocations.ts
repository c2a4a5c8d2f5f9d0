import { SHN_LIVEPATCH, SHT_NOBITS } from '../elf';
import type { Context } from './context';
import { isExecutable, type ModuleRela, type ModuleSection } from './module';
import { describe, fieldOf, targetInData } from './references';

/** Each relocation fills a field of the right width that holds zeros, is filled by no other, and in code is an operand. */
export function checkRelocations(context: Context): void {
  const { module, findings } = context;
  for (const section of module.sections) {
    let end = 0;
    let before: ModuleRela | undefined;
    for (const rela of module.relasOf(section)) {
      const place = { section, offset: rela.offset };
      const width = module.machine.widths[rela.type];
      if (width === undefined) {
        findings.add(
          'verify-relocation',
          place,
          `relocation type ${rela.type} is not one that the module loader knows`,
        );
        continue;
      }
      if (section.type === SHT_NOBITS || rela.offset + width > section.size) {
        findings.add(
          'verify-relocation',
          place,
          `a field of ${width} bytes ends past the section's ${section.type === SHT_NOBITS ? 0 : section.size} bytes`,
        );
        continue;
      }
      if (before !== undefined && rela.offset < end)
        findings.add(
          'verify-relocation',
          place,
          `${name(rela)} overlaps ${name(before)} at +0x${before.offset.toString(16)}`,
        );
      before = rela;
      end = rela.offset + width;
      if (module.machine.zeros && section.bytes.subarray(rela.offset, end).some((byte) => byte !== 0))
        findings.add('verify-relocation', place, 'the field is not zero, which the kernel refuses');
      if (rela.livepatch === null && rela.symbol.section === SHN_LIVEPATCH)
        findings.add(
          'verify-relocation',
          place,
          `an ordinary relocation against ${rela.symbol.name}, which the module loader does not resolve`,
        );
      if (isExecutable(section)) checkOperand(context, section, rela, width);
      if (rela.livepatch !== null) checkLate(context, section, rela);
    }
  }
}

function name({ livepatch, symbol }: ModuleRela): string {
  return `${livepatch === null ? 'a relocation' : 'a klp relocation'} against ${symbol.name || 'a section'}`;
}

function checkOperand(
  { module, code, findings }: Context,
  section: ModuleSection,
  rela: ModuleRela,
  width: number,
): void {
  const place = { section, offset: rela.offset };
  const instruction = code.covering(section, rela.offset);
  const against = describe(module, targetInData(module, rela));
  if (instruction === undefined || instruction.kind === 'invalid') {
    findings.add('verify-relocation', place, `the relocation against ${against} lies in no instruction`);
    return;
  }
  const field = fieldOf(instruction, rela);
  const relative = module.machine.relative.has(rela.type);
  if (field === undefined) {
    findings.add(
      'verify-relocation',
      place,
      `the relocation against ${against} does not start at an operand of the instruction at +0x${instruction.offset.toString(16)}`,
    );
  } else if (field.size !== width) {
    findings.add(
      'verify-relocation',
      place,
      `the relocation against ${against} fills ${width} bytes, the operand has ${field.size}`,
    );
  } else if (module.machine.zeros && relative !== (field.kind === 'branch' || field.kind === 'relative')) {
    findings.add(
      'verify-relocation',
      place,
      `the relocation against ${against} is ${relative ? 'relative, the operand is not' : 'absolute, the operand is relative'}`,
    );
  }
}

/** Relocations of a module's object come after all that `module_finalize()` and the COMING notifiers read. */
function checkLate({ findings }: Context, section: ModuleSection, { livepatch, offset }: ModuleRela): void {
  if (livepatch!.name.startsWith('.klp.rela.vmlinux.')) return;
  const late =
    /^(\.init|\.altinstr|__jump_table$|\.static_call_sites$|__ex_table$|\.(return|retpoline|call|cfi)_sites$|\.orc_)/;
  if (late.test(section.name))
    findings.add(
      'verify-late-relocation',
      { section, offset },
      `${livepatch!.name} is applied when its module is there; by then the kernel has used ${section.name}`,
    );
}
