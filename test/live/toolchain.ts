/** Compiles units, links objects and programs. What was compiled once is taken again. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

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

/** Whether what the trial needs is here; the reason if not. */
export function missing(compilers: readonly string[]): string | undefined {
  const absent = ['gcc', ...compilers, 'ld'].filter((program) => spawnSync(program, ['--version']).error !== undefined);
  if (absent.length > 0)
    return `no ${absent.join(', no ')} here (Debian packages gcc, clang-19 and the like, binutils)`;
  return process.arch === 'x64' ? undefined : `programs of the trial are for x86-64, this is ${process.arch}`;
}

export class Toolchain {
  private readonly runtime: string;
  private readonly objects: string;

  /** `sources`: the folder of the runtime. */
  constructor(
    private readonly folder: string,
    private readonly sources: string,
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
      '-mno-sse',
      '-fno-asynchronous-unwind-tables',
      '-fcf-protection=none',
      '-Wno-unused-parameter',
    ];
    const parts = readdirSync(sources)
      .filter((name) => name.endsWith('.c'))
      .sort();
    for (const name of parts)
      run('gcc', [...flags, '-c', join(sources, name), '-o', join(folder, `runtime-${name}.o`)], folder);
    run('ld', ['-r', ...parts.map((name) => `runtime-${name}.o`), '-o', this.runtime], folder);
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
  link(objects: readonly string[], object: string, image: string): void {
    run('ld', ['-r', '-o', object, ...objects], this.folder);
    run('ld', ['-T', join(this.sources, 'kernel.lds'), '-o', image, object, this.runtime], this.folder);
    old(object);
    old(image);
  }

  /** Module.symvers: what rt.h declares. */
  symvers(path: string): string {
    const text = readFileSync(join(this.sources, 'rt.h'), 'utf8');
    const names = ['__fentry__', ...[...text.matchAll(/^extern [^;(]*?(\w+)(?:\(|;)/gm)].map((match) => match[1]!)];
    writeFileSync(path, names.map((name) => `0x00000000\t${name}\tvmlinux\tEXPORT_SYMBOL\t\n`).join(''));
    return old(path);
  }
}
