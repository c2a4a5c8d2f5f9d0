import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kernelFiles, livepatchModule } from './livepatch-module';
import { smallPair } from './small-pair';

const root = join(__dirname, '../..');

/** The examples of a document, in the order in which they stand. */
export function examplesOf(document: string): string[] {
  return [...readFileSync(join(root, document), 'utf8').matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code!);
}

/** A folder with the files that docs/library.md names, its examples (`example-N.mts`), and the package where programs look for it. */
export async function exampleFolder(folder: string, document: string): Promise<string[]> {
  await smallPair(folder);
  mkdirSync(join(folder, 'kernel'), { recursive: true });
  const { symvers, btf } = kernelFiles(join(folder, 'kernel'));
  // What the synthetic kernel takes from outside.
  const more = '0x00000001\t__ref_stack_chk_guard\tvmlinux\tEXPORT_SYMBOL\t\n';
  writeFileSync(join(folder, 'Module.symvers'), readFileSync(symvers, 'utf8') + more);
  copyFileSync(btf, join(folder, 'vmlinux.btf'));
  writeFileSync(join(folder, 'livepatch.ko'), livepatchModule().module.bytes());
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  symlinkSync(root, join(folder, 'node_modules/klpflow'));
  return examplesOf(document).map((code, i) => {
    const name = `example-${i + 1}`;
    writeFileSync(join(folder, `${name}.mts`), code);
    return name;
  });
}
