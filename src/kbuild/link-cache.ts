/**
 * ThinLTO compiles a kernel when it is linked, for minutes. The linker can keep what it compiled, by content: it is called so by a program of its name that stands before it
 * in PATH. So no command of the build changes, nothing that was built is built again for it, and the next patch compiles its own unit and those that took functions of it.
 *
 * By content of the bitcode, that is: files that inline assembly takes in (`.incbin`, kernel/kheaders.c) are read when that is compiled, and the linker does not look at
 * them. So what they hold chooses the folder in which it keeps what it compiled.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { programInPath, quoted } from '../files/shell';
import { run, type Command } from './command';

/** Bytes that are kept of one kernel; what was longest not used goes first. */
const MOST = '4g';

/** The linker that make calls by these variables; undefined where it is none of PATH. */
export function linkerOf(variables: readonly string[]): string | undefined {
  const value = (wanted: string): string | undefined =>
    variables.findLast((variable) => variable.startsWith(`${wanted}=`))?.slice(wanted.length + 1);
  const llvm = value('LLVM');
  const name = value('LD') ?? (llvm === undefined ? undefined : `ld.lld${llvm.startsWith('-') ? llvm : ''}`);
  return name === undefined || /[/\s]/.test(name + (llvm ?? '')) ? undefined : name;
}

/** Paths that a text takes in, as they stand in it; undefined where one is not named. */
export function takenIn(text: string): string[] | undefined {
  const paths = [...text.matchAll(/\.incbin(?:\s+\\?"([^"\\]+)\\?")?/g)].map(([, path]) => path);
  return paths.some((path) => path === undefined) ? undefined : (paths as string[]);
}

/** Lines of a tree's C files that take files in; undefined where they could not all be read. @throws KlpflowError `interrupted` */
export async function takingIn(tree: string, own: Omit<Command, 'program' | 'args'>): Promise<string | undefined> {
  const args = ['-rhF', '--include=*.[ch]', '.incbin', tree];
  const { status, stdout } = await run({ ...own, program: 'grep', args });
  // 1 is for no line.
  return status === 0 || status === 1 ? stdout : undefined;
}

/** Writes the program into a folder. `taken`: paths as links find them. @returns what PATH is with it; undefined where there is no such linker */
export function cachingLinker(
  linker: string,
  folder: string,
  cache: string,
  taken: readonly string[],
): string | undefined {
  const real = programInPath(linker);
  if (real === undefined) return undefined;
  mkdirSync(folder, { recursive: true });
  mkdirSync(cache, { recursive: true });
  const program = join(folder, linker);
  const lines = [
    '#!/bin/sh',
    `key=$(cat /dev/null ${taken.map(quoted).join(' ')} 2>/dev/null | sha256sum | cut -c 1-24)`,
    `exec ${quoted(real)} --thinlto-cache-dir=${quoted(cache)}/"$key" --thinlto-cache-policy=cache_size_bytes=${MOST} "$@"`,
    '',
  ];
  writeFileSync(program, lines.join('\n'));
  chmodSync(program, 0o755);
  return `${folder}${delimiter}${process.env['PATH']}`;
}
