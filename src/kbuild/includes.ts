/** Which units a patched header, or a C file that others include, reaches: first by a scan of #include lines, which finds too many, then by the compiler's own word. */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { run, succeed } from './command';
import { commandFor } from './compile';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

/** Nothing there is compiled into the kernel. */
const ASIDE = new Set(['Documentation', 'LICENSES', 'scripts', 'tools', 'arch', '.git']);

/** Included on the command line of every unit. */
const EVERYWHERE = /^include\/linux\/(?:kconfig|compiler_types|compiler-version|compiler_attributes)\.h$/;

/** One `#include`: where it stands, what it says, and whether in quotes: then a file beside the one that says it is meant, where there is one. */
type Inclusion = readonly [from: string, what: string, quoted: boolean];

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

  /** Scans the tree once; what was found is kept with it. @throws KlpflowError `make-failed` */
  static async of(work: WorkTree): Promise<Includes> {
    const kept = join(work.folder, 'includes.json');
    if (existsSync(kept)) return new Includes(work.tree, JSON.parse(readFileSync(kept, 'utf8')) as Inclusion[]);
    const folders = readdirSync(work.tree, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !ASIDE.has(entry.name))
      .map(({ name }) => name);
    const pattern = '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<][^">]+[">]';
    const args = [
      '-rEo',
      '--include=*.c',
      '--include=*.h',
      pattern,
      ...folders,
      ...(existsSync(join(work.tree, 'arch/x86')) ? ['arch/x86'] : []),
    ];
    const { stdout } = await succeed(
      { cwd: work.tree, signal: work.signal, program: 'grep', args },
      'grep for #include',
    );
    const found = [...stdout.matchAll(/^([^:\n]+):[^"<\n]*(["<])([^">\n]+)[">]$/gm)].map(
      ([, from, quote, what]): Inclusion => [from!, what!, quote === '"'],
    );
    writeFileSync(`${kept}.new`, JSON.stringify(found));
    renameSync(`${kept}.new`, kept);
    return new Includes(work.tree, found);
  }

  /** C files that may include a file, directly or through others; null where all do. By the ends of names, so some do not. */
  reached(file: string): string[] | null {
    const reached = new Set([file]);
    for (const target of reached) {
      if (EVERYWHERE.test(target)) return null;
      for (const inclusion of this.byName.get(basename(target)) ?? [])
        if (this.mayMean(inclusion, target)) reached.add(inclusion[0]);
    }
    reached.delete(file);
    return [...reached].filter((path) => path.endsWith('.c')).sort();
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
