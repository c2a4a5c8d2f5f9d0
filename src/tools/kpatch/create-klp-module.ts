import { ElfObject } from '../../elf';
import { writeAtomically } from '../../files/output-file';
import { klpModule } from './klp-module';
import { structSizesFrom } from './struct-sizes';
import { checkOutput } from '../../pipeline/files';

export interface CreateKlpModuleRequest {
  input: string;
  output: string;
  /** Make `.klp.arch` sections (kernels before 5.8). */
  archSections: boolean;
  /** For PARA_STRUCT_SIZE. */
  environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Turns a patch module that kpatch-build linked into a livepatch module.
 * @throws KlpflowError for files that cannot be read, are no such module, or cannot be written
 */
export async function createKlpModule({
  input,
  output,
  archSections,
  environment,
}: CreateKlpModuleRequest): Promise<void> {
  // In place is fine: the input is mapped, and its file is replaced when all is written.
  checkOutput(output, []);
  const { PARA_STRUCT_SIZE } = environment;
  const { paravirt_patch_site: paraSize } = structSizesFrom({ PARA_STRUCT_SIZE });
  await writeAtomically(output, klpModule(ElfObject.open(input), { archSections, paraSize }).chunks());
}
