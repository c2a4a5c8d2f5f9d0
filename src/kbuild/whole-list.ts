/** All units of a kernel: listed before anything is built, for of what is built make has nothing to say; or by what a built tree has noted. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { failure, run, succeed } from './command';
import { unitsOf, type Unit } from './units';
import type { WorkTree } from './work-tree';

export class WholeList {
  private constructor(private readonly units: ReadonlyMap<string, Unit>) {}

  /** @throws KlpflowError `make-failed`, `interrupted` */
  static async of(work: WorkTree): Promise<WholeList> {
    const kept = join(work.folder, 'units', 'kernel.json');
    if (existsSync(kept))
      return new WholeList(new Map(JSON.parse(readFileSync(kept, 'utf8')) as Array<[string, Unit]>));
    const units = unitsOf(work.adopted ? await noted(work) : await printed(work));
    work.keep(kept, JSON.stringify([...units]));
    return new WholeList(units);
  }

  async find(source: string): Promise<Unit | undefined> {
    return this.units.get(source);
  }

  async findAll(sources: readonly string[]): Promise<Unit[]> {
    return sources.flatMap((source) => this.units.get(source) ?? []);
  }

  /** How many are linked into vmlinux, or into a module. */
  countOf(owner: string): number {
    return [...this.units.values()].filter(({ owners }) => owners.includes(owner)).length;
  }

  /** Any of them, to see what they are compiled with. */
  get some(): Unit | undefined {
    return this.units.values().next().value;
  }
}

/** Make cannot print the link of what is not there, and fails when all units are listed. */
async function printed(work: WorkTree): Promise<string> {
  const command = work.command(['-n', 'delay-objtool=', 'vmlinux', 'modules'], 'list');
  const ended = await run(command);
  if (!ended.stdout.includes(' -c -o ')) throw failure(ended, command, 'make -n vmlinux modules', 'make-failed');
  return ended.stdout;
}

/** Lines `savedcmd_fs/pipe.o := gcc ...` of kbuild's files, `cmd_` before Linux 6.3. */
async function noted(work: WorkTree): Promise<string> {
  const args = ['-rhE', '--include=.*.o.cmd', '^(saved)?cmd_[^ ]+ := ', '.'];
  const { stdout } = await succeed({ ...work.own('list'), program: 'grep', args }, 'grep for commands');
  return stdout
    .replace(/^(?:saved)?cmd_\S+ := /gm, '')
    .replaceAll('$$', '$')
    .replaceAll('\\#', '#');
}
