/** The units of a kernel with the exact command of each, as `make -n` prints them on a prepared tree. */
import { normalize } from 'node:path';
import { shellCommands, shellWords } from './shell-words';

export interface Unit {
  /** Paths in the tree: `fs/proc/meminfo.c`, `fs/proc/meminfo.o`. */
  source: string;
  object: string;
  /** `vmlinux`, or the run-time name of the module. Several names where several modules have it. */
  owners: string[];
  /** The compiler's command, word by word. */
  compile: string[];
  /** objtool's, without the file; null where the build does not run it on this unit. */
  objtool: string[] | null;
}

/** Units that `make -n` lists, by the source's path. */
export function unitsOf(listing: string): Map<string, Unit> {
  const units = new Map<string, Unit>();
  for (const line of listing.split('\n')) {
    // Of 145 MB that make prints for all of Debian's, most is what it would write into .cmd files.
    if (!line.includes(' -c -o ')) continue;
    const commands = shellCommands(line).map((command) => command.replace(/^\{ /, ''));
    const compile = commands.find((command) => / -c -o \S+\.o \S+\.c$/.test(command));
    if (compile === undefined) continue;
    const words = shellWords(compile);
    // Those of amdgpu are `drivers/gpu/drm/amd/amdgpu/../display/...`.
    const [written, source] = words.slice(-2) as [string, string];
    const objtool = commands.find(
      (command) => /(?:^|\/)objtool\/objtool /.test(`${command.split(' ', 1)[0]!} `) && command.endsWith(` ${written}`),
    );
    units.set(normalize(source), {
      source: normalize(source),
      object: normalize(written),
      owners: ownersOf(words),
      compile: words,
      objtool: objtool === undefined ? null : shellWords(objtool).slice(0, -1),
    });
  }
  return units;
}

/** -DMODULE is what kbuild compiles modules with, and KBUILD_MODNAME the name of the module, or of several with `:` between them. */
function ownersOf(words: readonly string[]): string[] {
  if (!words.includes('-DMODULE')) return ['vmlinux'];
  const name = words.find((word) => word.startsWith('-DKBUILD_MODNAME='))?.slice('-DKBUILD_MODNAME='.length) ?? '';
  return name.replaceAll('"', '').split(':');
}
