/** klpflow's own tree of a source with one configuration and compiler: unpacked, configured, prepared once, and kept for every later patch. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  statfsSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { KlpflowError, fileError } from '../diagnostics';
import { succeed, type Command, type Watch } from './command';
import { parseConfig, type Config } from './config';
import { cachingLinker, linkerOf, takenIn, takingIn } from './link-cache';
import { Lock } from './lock';
import type { ChangedFile } from './patch/apply';
import { copySource, type Source } from './source';
import { Swap } from './swap';
import { ABOUT, REMOVED, type TreeAbout } from './tree-status';

/** All that the tree is made of: another of any of these is another tree. */
export interface TreeRecipe {
  source: Source;
  config: string;
  /** Variables for make: compiler, the user's own, the release. */
  variables: readonly string[];
  /** What the compiler says of itself. */
  compiler: string;
  /** Pinned in the environment: KBUILD_BUILD_*. */
  env: Readonly<Record<string, string>>;
  /** The same in words, for `status`. */
  about: TreeAbout;
}

/** Another number is another layout of the folder. */
const LAYOUT = 1;

/** What is made in the folder. The mark that the tree is prepared goes before the tree. */
const MADE = [
  'prepared',
  'tree',
  'objects',
  'units',
  'includes.json',
  'code-includes.json',
  'pairs',
  'modules',
  'whole',
  'making',
  'linker',
  'taken-in',
  'linked',
];

/** So many trees are kept, of 1.5 GB each; the one that was longest not used goes first. */
const KEPT = 3;

/** A makefile for which everything is made. */
const NOTHING = '# Written by klpflow: no vmlinux is linked in this tree.\nall:\n\t@:\n%:\n\t@:\n';

/** What the kernel's tools take, besides the sources. */
const TOOLS_BYTES = 300e6;

export interface TreeSettings {
  jobs: number;
  signal: AbortSignal | undefined;
  /** Told what is done now. */
  step: (what: string) => void;
}

export class WorkTree {
  readonly tree: string;
  readonly logs: string;
  readonly swap: Swap;
  private path: Readonly<Record<string, string>> = {};

  private constructor(
    readonly folder: string,
    private readonly recipe: TreeRecipe,
    private readonly settings: TreeSettings,
    private readonly lock: Lock,
  ) {
    this.tree = join(folder, 'tree');
    this.logs = join(folder, 'logs');
    this.swap = new Swap(this.tree, folder);
    mkdirSync(this.logs, { recursive: true });
  }

  /** Opens the tree's folder for this run alone; `fresh` forgets what is there. @throws KlpflowError `write-failed`, `no-space`, `interrupted` */
  static async open(builds: string, recipe: TreeRecipe, settings: TreeSettings, fresh: boolean): Promise<WorkTree> {
    const folder = join(builds, keyOf(recipe));
    try {
      mkdirSync(folder, { recursive: true });
    } catch (cause) {
      throw fileError(folder, cause, 'write');
    }
    const lock = await Lock.of(folder, settings.signal, (pid) =>
      settings.step(`waiting for process ${pid}, which works in the same tree`),
    );
    const opened = new WorkTree(folder, recipe, settings, lock);
    // A part of it is gone where somebody's removal was stopped: what is left would be taken for all.
    const damaged = existsSync(opened.tree) && !existsSync(join(opened.tree, 'Makefile'));
    if (fresh || damaged) for (const name of MADE) remove(join(folder, name));
    opened.keep(join(folder, ABOUT), JSON.stringify(recipe.about));
    utimesSync(folder, new Date(), new Date());
    removeOld(builds);
    opened.swap.takeBack();
    return opened;
  }

  /** Whether `prepare` has been done. */
  get prepared(): boolean {
    return existsSync(join(this.folder, 'prepared'));
  }

  /** Unpacks or copies the sources, if that is not done. @throws KlpflowError `not-kernel-source`, `no-space`, `interrupted` */
  async unpack(): Promise<void> {
    if (existsSync(this.tree)) return;
    const { source } = this.recipe;
    const free = statfsSync(this.folder);
    const needed = source.bytes + TOOLS_BYTES;
    if (free.bavail * free.bsize < needed)
      throw new KlpflowError(
        'no-space',
        `${this.folder}: the kernel's tree takes about ${gigabytes(needed)}, and ${gigabytes(free.bavail * free.bsize)} are free`,
        { object: this.folder },
      );
    this.settings.step(source.kind === 'tarball' ? `unpacking ${source.path}` : `copying ${source.path}`);
    const unpacking = join(this.folder, 'unpacking');
    rmSync(unpacking, { recursive: true, force: true });
    mkdirSync(unpacking);
    try {
      await copySource(source, unpacking, this.own('unpack'));
      renameSync(unpacking, this.tree);
    } finally {
      rmSync(unpacking, { recursive: true, force: true });
    }
  }

  /** Gives the tree its configuration; what it takes of it. @throws KlpflowError `make-failed` */
  async configure(): Promise<Config> {
    const path = join(this.tree, '.config');
    if (!this.prepared) {
      this.settings.step('reading the configuration (olddefconfig)');
      // Written anew, it would be newer than all that an adopted tree was built with.
      if (!existsSync(path) || readFileSync(path, 'utf8') !== this.recipe.config)
        writeFileSync(path, this.recipe.config);
      await this.make(['olddefconfig'], 'configure');
    }
    return parseConfig(readFileSync(path, 'utf8'));
  }

  /**
   * What has to be there before any unit is compiled: generated headers, objtool. More than half of that would be resolve_btfids, which writes into a linked vmlinux, and none
   * is made here: a makefile that make prefers to the program's own has nothing to do. @throws KlpflowError `make-failed`
   */
  async prepare(): Promise<void> {
    if (this.prepared) return;
    const program = join(this.tree, 'tools/bpf/resolve_btfids');
    if (existsSync(program)) writeFileSync(join(program, 'GNUmakefile'), NOTHING);
    this.settings.step('preparing the tree (make prepare modules_prepare)');
    const keep = this.adopted ? objtoolTimes(this.tree) : undefined;
    await this.make([`-j${this.settings.jobs}`, 'prepare', 'modules_prepare'], 'prepare');
    keep?.();
    writeFileSync(join(this.folder, 'prepared'), '');
  }

  /** Runs make in the tree. @throws KlpflowError `make-failed` */
  async make(args: readonly string[], log: string): Promise<string> {
    const what = `make ${args.filter((word) => !word.startsWith('-') && !word.includes('=')).join(' ')}`;
    const { stdout } = await succeed(this.command(args, log), what);
    return stdout;
  }

  /** make in the tree, with all that is pinned. */
  command(args: readonly string[], log: string): Command {
    return { ...this.own(log), program: 'make', args: ['-s', ...this.recipe.variables, ...args] };
  }

  /** Whether the tree has objects of somebody else's build. */
  get adopted(): boolean {
    return this.recipe.source.kind === 'built';
  }

  /** Writes a file of klpflow's own below the folder: all of it, or nothing. */
  keep(path: string, content: string): void {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
  }

  /** As commands in the tree are run, with a log of their own. */
  own(log: string): Pick<Command, 'cwd' | 'env' | 'log' | 'signal' | 'watch'> {
    const path = join(this.logs, `${log}.log`);
    rmSync(path, { force: true });
    return {
      cwd: existsSync(this.tree) ? this.tree : this.folder,
      env: this.env,
      log: path,
      signal: this.settings.signal,
      watch: this.watch,
    };
  }

  get env(): Readonly<Record<string, string>> {
    // What the caller's make or build says of itself is not for this one.
    return { MAKEFLAGS: '', KBUILD_OUTPUT: '', KBUILD_VERBOSE: '0', ...this.path, ...this.recipe.env };
  }

  /** Has what a linker compiles kept for the next link, where it is known what that depends on, in the patched files, too. @throws KlpflowError `interrupted` */
  async keepLinked(files: readonly ChangedFile[]): Promise<void> {
    const linker = linkerOf(this.recipe.variables);
    if (linker === undefined || files.some(({ patched }) => patched?.includes('.incbin') === true)) return;
    const known = join(this.folder, 'taken-in');
    // A pass over the whole tree, once.
    if (!existsSync(known)) {
      const lines = await takingIn(this.tree, this.own('taken-in'));
      if (lines === undefined) return;
      this.keep(known, lines);
    }
    const taken = takenIn(readFileSync(known, 'latin1'));
    if (taken === undefined) return;
    const path = cachingLinker(linker, join(this.folder, 'linker'), join(this.folder, 'linked'), taken);
    if (path !== undefined) this.path = { PATH: path };
  }

  get signal(): AbortSignal | undefined {
    return this.settings.signal;
  }

  get watch(): Watch {
    return this.lock;
  }

  close(): void {
    try {
      this.swap.takeBack();
    } finally {
      this.lock.release();
    }
  }
}

function keyOf({ source, config, variables, compiler, env }: TreeRecipe): string {
  const parts = [LAYOUT, source.identity, config, variables, compiler, env];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24);
}

/** Removes trees that were not used for longest. One in which a process works stays. */
function removeOld(builds: string): void {
  const names = readdirSync(builds);
  for (const name of names.filter((one) => one.endsWith(REMOVED)))
    rmSync(join(builds, name), { recursive: true, force: true });
  const folders = names
    .filter((name) => !name.endsWith(REMOVED))
    .map((name) => join(builds, name))
    .map((path) => ({ path, used: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.used - a.used);
  for (const { path } of folders.slice(KEPT)) if (!existsSync(join(path, 'lock'))) remove(path);
}

/** Under another name first: a removal that is killed leaves nothing that is taken for whole. */
function remove(path: string): void {
  const aside = `${path}${REMOVED}`;
  rmSync(aside, { recursive: true, force: true });
  if (!existsSync(path)) return;
  renameSync(path, aside);
  rmSync(aside, { recursive: true, force: true });
}

/**
 * Commands of tools/objtool have absolute paths, so that in a copy make builds it anew; and every unit depends on it. Of the same sources it is the same program: with the
 * time that it had, and all that it is made of no newer, nothing is compiled because of it. @returns what gives it back its time
 */
function objtoolTimes(tree: string): (() => void) | undefined {
  const folder = join(tree, 'tools/objtool');
  const before = statSync(join(folder, 'objtool'), { throwIfNoEntry: false })?.mtime;
  if (before === undefined) return undefined;
  return () => {
    for (const name of readdirSync(folder, { recursive: true }) as string[]) {
      const path = join(folder, name);
      if (lstatSync(path).isFile()) utimesSync(path, before, before);
    }
  };
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
