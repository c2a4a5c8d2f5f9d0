/**
 * ThinLTO compiles a kernel when it is linked, for minutes. The linker can keep what it compiled, by content: it is called so by a program of its name that stands before it
 * in PATH. So no command of the build changes, nothing that was built is built again for it, and the next patch compiles its own unit and those that took functions of it.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { programInPath, quoted } from '../files/shell';

/** The linker that make calls by these variables; undefined where it is none of PATH. */
export function linkerOf(variables: readonly string[]): string | undefined {
  const value = (wanted: string): string | undefined =>
    variables.findLast((variable) => variable.startsWith(`${wanted}=`))?.slice(wanted.length + 1);
  const llvm = value('LLVM');
  const name = value('LD') ?? (llvm === undefined ? undefined : `ld.lld${llvm.startsWith('-') ? llvm : ''}`);
  return name === undefined || /[/\s]/.test(name + (llvm ?? '')) ? undefined : name;
}

/** Writes the program into a folder. @returns what PATH is with it; undefined where there is no such linker */
export function cachingLinker(linker: string, folder: string, cache: string): string | undefined {
  const real = programInPath(linker);
  if (real === undefined) return undefined;
  mkdirSync(folder, { recursive: true });
  const program = join(folder, linker);
  writeFileSync(program, `#!/bin/sh\nexec ${quoted(real)} --thinlto-cache-dir=${quoted(cache)} "$@"\n`);
  chmodSync(program, 0o755);
  return `${folder}${delimiter}${process.env['PATH']}`;
}
