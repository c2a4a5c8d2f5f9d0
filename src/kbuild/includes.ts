/** Which units a patched header, or a C file that others include, reaches: first by a scan of #include lines, which finds too many, then by the compiler's own word. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { KlpflowError } from '../diagnostics';
import { run } from './command';
import { commandFor } from './compile';
import { codeFolders } from './folders';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

/** Included on the command line of every unit. */
const EVERYWHERE = /^include\/linux\/(?:kconfig|compiler_types|compiler-version|compiler_attributes)\.h$/;

/** One `#include`: where it stands, what it says, and whether in quotes: then a file beside the one that says it is meant, where there is one. */
type Inclusion = readonly [from: string, what: string, quoted: boolean];

const FILES = { all: 'includes.json', code: 'code-includes.json' } as const;

/** The second is a tenth of the work: few C files are included by others. */
const PATTERNS = {
  all: ['-E', '-o', '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<][^">]+[">]'],
  code: ['-F', '-e', '.c"', '-e', '.c>'],
} as const;

export class Includes {
  private readonly byName = new Map<string, Inclusion[]>();

  private constructor(
    private readonly tree: string,
    inclusions: readonly Inclusion[],
  ) {
    for (const inclusion of inclusions) {
      const name = basename(inclusion[1]);
      const known = this.byName.get(name);
      if (known === undefined) this.byName.set(name, [inclusion]);
      else known.push(inclusion);
    }
  }

  /** Scans the tree once for what is included: all, or C files only; what was found is kept with it. @throws KlpflowError `make-failed` */
  static async of(work: WorkTree, what: 'all' | 'code'): Promise<Includes> {
    const kept = join(work.folder, FILES[what]);
    if (existsSync(kept)) return new Includes(work.tree, JSON.parse(readFileSync(kept, 'utf8')) as Inclusion[]);
    const args = ['-r', '--include=*.c', '--include=*.h', ...PATTERNS[what], ...codeFolders(work.tree)];
    const { status, stdout, stderr } = await run({ cwd: work.tree, signal: work.signal, program: 'grep', args });
    // 1: there is none.
    if (status !== 0 && status !== 1) throw new KlpflowError('make-failed', `grep for #include failed: ${stderr}`);
    const found = [...stdout.matchAll(/^([^:\n]+):\s*#\s*include\s*(["<])([^">\n]+)[">]/gm)].map(
      ([, from, quote, path]): Inclusion => [from!, path!, quote === '"'],
    );
    writeFileSync(`${kept}.new`, JSON.stringify(found));
    renameSync(`${kept}.new`, kept);
    return new Includes(work.tree, found);
  }

  /** C files that may include a file, directly or through others; null where all do. By the ends of names, so some do not. */
  reached(file: string): string[] | null {
    const reached = this.includers(file);
    return reached.some((path) => EVERYWHERE.test(path)) ? null : reached.filter((path) => path.endsWith('.c')).sort();
  }

  /** Whether a header includes it, so that only the graph of all says who does. */
  inHeaders(file: string): boolean {
    return this.includers(file).some((path) => !path.endsWith('.c'));
  }

  private includers(file: string): string[] {
    const reached = new Set([file]);
    for (const target of reached)
      for (const inclusion of this.byName.get(basename(target)) ?? [])
        if (this.mayMean(inclusion, target)) reached.add(inclusion[0]);
    // A file that everything includes may be the one itself.
    return [...reached].filter((path) => path !== file || EVERYWHERE.test(path));
  }

  private mayMean([from, what, quoted]: Inclusion, target: string): boolean {
    const beside = join(dirname(from), what);
    if (beside === target) return true;
    if (!`/${target}`.endsWith(`/${what.replace(/^(?:\.{1,2}\/)+/, '')}`)) return false;
    return !quoted || !existsSync(join(this.tree, beside));
  }
}

/** Whether the compiler reads a file for a unit. @throws KlpflowError `interrupted` */
export async function includes(work: WorkTree, unit: Unit, files: readonly string[]): Promise<boolean> {
  const list = join(work.folder, 'objects', unit.object.replaceAll('/', '__'), 'includes.d');
  if (!existsSync(list)) {
    mkdirSync(dirname(list), { recursive: true });
    const [program = '', ...args] = commandFor(unit, `${list}.new`, ['-M']);
    const { status } = await run({
      cwd: work.tree,
      env: work.env,
      signal: work.signal,
      watch: work.watch,
      program,
      args,
    });
    // What does not even get so far is compiled, which tells why.
    if (status !== 0) return true;
    renameSync(`${list}.new`, list);
  }
  const words = new Set(
    readFileSync(list, 'utf8')
      .split(/[\s\\]+/)
      .map((word) => word.replace(/^\.\//, '')),
  );
  return files.some((file) => words.has(file) || [...words].some((word) => word.includes('..') && join(word) === file));
}
