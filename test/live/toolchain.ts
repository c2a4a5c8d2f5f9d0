/** Compiles units, links objects and programs. What was compiled once is taken again. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Target } from './target';

/** A unit that does not compile is a fault of the trial. */
export class BuildError extends Error {}

function run(program: string, argv: readonly string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(program, argv, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new BuildError(`${program} ${argv.join(' ')}: ${stderr.slice(0, 2000)}`);
}

/** klpflow waits until a file is older than a clock tick; these are never written again. */
function old(path: string): string {
  const then = Date.now() / 1000 - 60;
  utimesSync(path, then, then);
  return path;
}

export class Toolchain {
  private readonly runtime: string;
  private readonly objects: string;

  /** `sources`: the folder of the runtime. */
  constructor(
    private readonly folder: string,
    private readonly sources: string,
    private readonly target: Target,
  ) {
    this.objects = join(folder, 'objects');
    mkdirSync(this.objects, { recursive: true });
    this.runtime = join(folder, 'runtime.o');
    const flags = [
      '-O1',
      '-Wall',
      '-ffreestanding',
      '-fno-pic',
      '-fno-pie',
      '-fno-stack-protector',
      '-fno-asynchronous-unwind-tables',
      '-Wno-unused-parameter',
      ...target.runtime,
      '-I',
      sources,
      '-I',
      join(sources, target.name),
    ];
    const parts = readdirSync(sources)
      .filter((name) => name.endsWith('.c'))
      .sort()
      .concat(join(target.name, 'arch.c'));
    const objects = parts.map((name) => `runtime-${basename(name)}.o`);
    parts.forEach((name, i) => run(target.gcc, [...flags, '-c', join(sources, name), '-o', objects[i]!], folder));
    run(target.linkers.gcc, ['-r', ...objects, '-o', this.runtime], folder);
  }

  /** A module of the kernel of the trial. */
  template(path: string): void {
    run(this.target.gcc, ['-O1', '-c', join(this.sources, this.target.name, 'template.c'), '-o', path], this.folder);
    old(path);
  }

  /** The object of one unit, under the path that its symbols tell. */
  compile(cc: string, flags: readonly string[], path: string, text: string): string {
    const key = createHash('sha1')
      .update(JSON.stringify([cc, flags, path, text]))
      .digest('hex')
      .slice(0, 20);
    const object = join(this.objects, `${key}.o`);
    if (existsSync(object)) return object;
    const tree = join(this.folder, 'tree');
    mkdirSync(join(tree, dirname(path)), { recursive: true });
    writeFileSync(join(tree, path), text);
    run(cc, [...flags, '-I', this.sources, '-c', path, '-o', object], tree);
    return object;
  }

  forget(): void {
    rmSync(this.objects, { recursive: true, force: true });
    mkdirSync(this.objects, { recursive: true });
  }

  /** One object of all units, and the program that it runs as. */
  link(objects: readonly string[], object: string, image: string, cc: string): void {
    const ld = this.target.linkers[basename(cc).includes('clang') ? 'clang' : 'gcc'];
    run(ld, ['-r', '-o', object, ...objects], this.folder);
    run(ld, ['-T', join(this.sources, 'kernel.lds'), '-o', image, object, this.runtime], this.folder);
    old(object);
    old(image);
  }

  /** Module.symvers: what rt.h declares. */
  symvers(path: string): string {
    const text = readFileSync(join(this.sources, 'rt.h'), 'utf8');
    const names = [
      '__fentry__',
      'klp_enable_patch',
      ...[...text.matchAll(/^extern [^;(]*?(\w+)(?:\(|;)/gm)].map((match) => match[1]!),
    ];
    writeFileSync(path, names.map((name) => `0x00000000\t${name}\tvmlinux\tEXPORT_SYMBOL\t\n`).join(''));
    return old(path);
  }
}
