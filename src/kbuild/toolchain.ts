/** What compiles the kernel: the compiler that the image names, and the programs and headers that the kernel's build needs. */
import { diagnostic, type Diagnostic } from '../diagnostics';
import { programInPath } from '../files/shell';
import { run } from './command';
import type { Config } from './config';
import { distribution } from './kernel-files';

/** A program, or a header by a probe, and its package at Debian, Fedora, SUSE and Arch. */
interface Tool {
  name: string;
  header?: string;
  when?: (config: Config) => boolean;
  packages: readonly [debian: string, fedora: string, suse: string, arch: string];
}

const all = (name: string): Tool['packages'] => [name, name, name, name];

const TOOLS: readonly Tool[] = [
  { name: 'make', packages: all('make') },
  { name: 'gcc', packages: all('gcc') },
  { name: 'ld', packages: all('binutils') },
  { name: 'flex', packages: all('flex') },
  { name: 'bison', packages: all('bison') },
  { name: 'bc', packages: all('bc') },
  { name: 'perl', packages: all('perl') },
  { name: 'tar', packages: all('tar') },
  {
    name: 'pahole',
    when: (config) => config.get('DEBUG_INFO_BTF') === 'y',
    packages: ['dwarves', 'dwarves', 'dwarves', 'pahole'],
  },
  {
    name: 'libelf',
    header: 'gelf.h',
    when: (config) => config.get('OBJTOOL') === 'y' || config.get('STACK_VALIDATION') === 'y',
    packages: ['libelf-dev', 'elfutils-libelf-devel', 'libelf-devel', 'libelf'],
  },
  {
    name: 'openssl',
    header: 'openssl/opensslv.h',
    when: (config) => config.get('MODULE_SIG_FORMAT') === 'y' || config.get('SYSTEM_TRUSTED_KEYRING') === 'y',
    packages: ['libssl-dev', 'openssl-devel', 'libopenssl-devel', 'openssl'],
  },
];

const INSTALLERS: ReadonlyArray<[id: RegExp, command: string]> = [
  [/debian|ubuntu/, 'apt-get install'],
  [/fedora|rhel|centos/, 'dnf install'],
  [/suse/, 'zypper install'],
  [/arch/, 'pacman -S'],
];

/** One diagnostic for all that is missing, with the command that installs it. @returns `build-tool-missing` or nothing */
export async function missingTools(config: Config): Promise<Diagnostic[]> {
  const missing: Tool[] = [];
  for (const tool of TOOLS) {
    if (tool.when?.(config) === false) continue;
    const there = tool.header === undefined ? programInPath(tool.name) !== undefined : await hasHeader(tool.header);
    if (!there) missing.push(tool);
  }
  if (missing.length === 0) return [];
  const id = distribution();
  const at = Math.max(
    0,
    INSTALLERS.findIndex(([pattern]) => pattern.test(id)),
  );
  const packages = missing.map((tool) => tool.packages[at]!).join(' ');
  return [
    diagnostic(
      'build-tool-missing',
      `the kernel's build needs ${missing.map(({ name, header }) => header ?? name).join(', ')}, not found here: ${INSTALLERS[at]![1]} ${packages}`,
    ),
  ];
}

/** Without a compiler nothing can be said of headers: that is told of the compiler. */
async function hasHeader(header: string): Promise<boolean> {
  if (programInPath('gcc') === undefined) return true;
  const { status } = await run({ program: 'gcc', args: ['-E', '-include', header, '-x', 'c', '/dev/null'], cwd: '/' });
  return status === 0;
}

/** Variables for make that choose the compiler, and what that says of itself. */
export interface Compiler {
  variables: string[];
  text: string;
}

/**
 * The compiler for a kernel, by its banner (`x86_64-linux-gnu-gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0`): what the user chose; else of the
 * programs that it may be here the first that says the same of itself.
 * @returns `build-compiler` beside the nearest where none does
 */
export async function chooseCompiler(
  kernel: string | null,
  chosen: readonly string[],
): Promise<{ compiler: Compiler | undefined; diagnostics: Diagnostic[] }> {
  const wanted = (kernel ?? '').replace(/, (?:GNU ld|LLD|Debian LLD|Ubuntu LLD).*$/, '');
  const own = chosen.filter((variable) => /^(?:CC|LLVM)=/.test(variable));
  const clang = /\bclang\b/i.test(wanted);
  const candidates = own.length > 0 ? [own] : clang ? llvms(wanted) : gccs(wanted);
  let nearest: Compiler | undefined;
  for (const variables of candidates) {
    const text = await versionOf(programOf(variables));
    if (text === undefined) continue;
    const compiler = { variables: own.length > 0 ? [] : variables, text };
    if (kernel === null || same(text, wanted)) return { compiler, diagnostics: [] };
    nearest ??= compiler;
  }
  const what =
    nearest === undefined
      ? `the kernel was compiled by ${wanted}, and no such compiler is here (${candidates.map(programOf).join(', ')})`
      : `the kernel was compiled by ${wanted}, here it would be ${nearest.text}`;
  return { compiler: nearest, diagnostics: [diagnostic('build-compiler', what)] };
}

function gccs(wanted: string): string[][] {
  const program = /^\S*gcc\S*/.exec(wanted)?.[0];
  const major = /\b(\d+)\.\d+\.\d+\b/.exec(wanted)?.[1];
  return [...new Set([program, 'gcc', major && `gcc-${major}`])].filter(Boolean).map((name) => [`CC=${name}`]);
}

function llvms(wanted: string): string[][] {
  const major = /version (\d+)/.exec(wanted)?.[1];
  return [['LLVM=1'], ...(major === undefined ? [] : [[`LLVM=-${major}`]])];
}

function programOf(variables: readonly string[]): string {
  for (const variable of variables) {
    if (variable.startsWith('CC=')) return variable.slice(3);
    if (variable.startsWith('LLVM=-')) return `clang${variable.slice(5)}`;
    if (/^LLVM=.*\/$/.test(variable)) return `${variable.slice(5)}clang`;
  }
  return 'clang';
}

async function versionOf(command: string): Promise<string | undefined> {
  const [program = '', ...args] = command.split(' ');
  try {
    const { status, stdout } = await run({ program, args: [...args, '--version'], cwd: '/' });
    return status === 0 ? stdout.split('\n')[0]!.trim() : undefined;
  } catch {
    return undefined;
  }
}

/** GCC's text begins with what it was called by. */
function same(text: string, wanted: string): boolean {
  const bare = (said: string): string => said.replace(/^\S*gcc\S* /, '').trim();
  return bare(text) === bare(wanted);
}
