import { link as linkObjects, type LinkResult } from '../pipeline/link';
import { defaultRunDir } from '../files/cache-folder';
import { moduleOf, type ModuleOptions } from './output';
import { withPlain } from './unpacked';
import { unpackedInto } from '../pipeline/unpacked-folder';

/** Livepatch objects, and the files that tell what their kernel is like. */
export interface LinkOptions extends ModuleOptions {
  /** What `diff` wrote as `.o`, one for each patched object. */
  objects: readonly string[];
  /** The module to write. */
  output: string;
  /** The kernel's image; else `symvers`, and `btf` or `template`, must be there. */
  vmlinux?: string | undefined;
  symvers?: string | undefined;
  btf?: string | undefined;
}

/** Makes one module of livepatch objects. */
export function link(options: LinkOptions): Promise<LinkResult> {
  return withPlain(unpackedInto(defaultRunDir()), options, (given) => {
    const { objects, output: path, vmlinux, symvers, btf } = given;
    return linkObjects({ objects, path, vmlinux, symvers, btf, ...moduleOf(given) });
  });
}
