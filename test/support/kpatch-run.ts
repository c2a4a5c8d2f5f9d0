import { writeFileSync } from 'node:fs';
import { createDiffObject, type CreateDiffObjectRequest, type Diagnostic } from '../../src/index';
import { parentSymtab } from './kpatch-units';

/** Runs create-diff-object on two objects of `parent`, whose symbols are told; nothing is exported. */
export async function kpatchDiff(
  orig: string,
  patched: string,
  parent: string,
  output: string,
  more: Partial<CreateDiffObjectRequest> = {},
): Promise<{ exit: number; lines: string[]; diagnostics: Diagnostic[] }> {
  const lines: string[] = [];
  const symvers = `${output}.symvers`;
  writeFileSync(symvers, '');
  const { exit, diagnostics } = await createDiffObject({
    orig,
    patched,
    parentName: 'vmlinux',
    parentSymtab: parentSymtab(parent, `${output}.symtab`),
    symvers,
    output,
    klpArch: false,
    structSizes: {},
    print: (line) => lines.push(line.replace(/^[^:]*: /, '')),
    ...more,
  });
  return { exit, lines, diagnostics };
}
