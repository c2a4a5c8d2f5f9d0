import { existsSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { KlpflowError } from '../../diagnostics';
import { ElfObject } from '../../elf';
import { hasChecksums } from './checksum/section';
import { moduleName } from './module-name';
import { diff, type DiffResult } from '../../pipeline/diff';
import { checkOutput } from '../../pipeline/files';
import type { RunOptions } from '../../pipeline/flow';

export interface ObjtoolDiffRequest extends RunOptions {
  orig: string;
  patched: string;
  /** What ORIG is called, where that is compressed: what lies beside it is looked for there. */
  given?: string;
  /** Where the livepatch object goes. */
  out: string;
  /** Whether the objects may lack the checksums that objtool demands. */
  withoutChecksums?: boolean | undefined;
}

/**
 * `objtool klp diff`: `diff` with what objtool finds by itself. Module.symvers is that of the working directory, else of the
 * nearest directory above it, which is the kernel's for klp-build; vmlinux lies beside vmlinux.o; a module is named by its
 * `.modinfo`, else by its file. Afterwards there is a file at `out` if and only if the result has an `output`.
 * @throws KlpflowError `missing-checksums`, `unreadable`, `usage` (`out` is one of the inputs), and as `diff`
 */
export async function objtoolDiff({
  orig,
  patched,
  given = orig,
  out,
  withoutChecksums = false,
  ...options
}: ObjtoolDiffRequest): Promise<DiffResult> {
  checkOutput(out, [orig, patched]);
  let result: DiffResult | undefined;
  try {
    const objects = [orig, patched].map((path) => ElfObject.open(path));
    for (const elf of objects)
      if (!withoutChecksums && !hasChecksums(elf))
        throw new KlpflowError('missing-checksums', `'${elf.path}' has no section .discard.sym_checksum`, {
          object: elf.path,
        });
    const [, vmlinux] = /^(.*vmlinux)\.o(?:\.\w+)?$/.exec(given) ?? [];
    result = await diff({
      ...options,
      orig,
      patched,
      module: moduleName(objects[0]!),
      output: { path: out, format: 'klp', symvers: findSymvers(), vmlinux },
    });
    return result;
  } finally {
    // A file of an earlier run would pass for this one's.
    if ((result?.output ?? null) === null) rmSync(out, { force: true });
  }
}

/** @throws KlpflowError `unreadable` */
function findSymvers(): string {
  for (let folder = resolve('.'); ; folder = dirname(folder)) {
    const path = join(folder, 'Module.symvers');
    if (existsSync(path)) return path;
    if (folder === dirname(folder))
      throw new KlpflowError('unreadable', 'there is no Module.symvers, neither here nor in a directory above', {
        object: 'Module.symvers',
      });
  }
}
