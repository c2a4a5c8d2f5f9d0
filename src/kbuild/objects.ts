/** The objects that are compared: the changed units of vmlinux or of a module as one, and what objtool makes of them. */
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { failure, run, succeed } from './command';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

/** Code and data of one name stay apart, as each unit's lie apart in the image; tables become one, as in vmlinux.o. */
const APART = ['.text', '.data', '.rodata', '.bss'].flatMap((name) => [`--unique=${name}`, `--unique=${name}.*`]);

/**
 * Makes one object of units, unless it is there. objtool runs on each unit before they are linked, for what it is meant to be run on is all of vmlinux or
 * of a module. With tables apart, too, it read the first `__jump_table` only: jumps of other units stayed (`map_files_get_link` of fs/proc/base.c behind
 * array.c), which the image showed. @throws KlpflowError `make-failed`, `interrupted`
 */
export async function linkUnits(
  work: WorkTree,
  units: readonly Unit[],
  inputs: readonly string[],
  out: string,
): Promise<void> {
  if (existsSync(out)) return;
  mkdirSync(dirname(out), { recursive: true });
  const made = `${out}.new`;
  const parts = inputs.map((_, i) => `${out}.${i}.o`);
  for (const [i, part] of parts.entries()) {
    copyFileSync(inputs[i]!, part);
    await runObjtool(work, units[i]!.objtool, part);
  }
  if (parts.length === 1) copyFileSync(parts[0]!, made);
  else
    await succeed(
      { ...work.own('link'), program: 'ld', args: ['-r', ...APART, '-o', made, ...parts] },
      'ld -r of the units',
    );
  for (const part of parts) rmSync(part, { force: true });
  renameSync(made, out);
}

/** objtool refuses to look for indirect targets (--ibt) in anything that it is not told to be linked: the tree's build runs it then on linked objects only. */
async function runObjtool(work: WorkTree, objtool: readonly string[] | null, object: string): Promise<void> {
  if (objtool === null) return;
  const [program = '', ...args] = objtool;
  const linked = args.includes('--ibt') && !args.includes('--link') ? ['--link'] : [];
  const command = { ...work.own('objtool'), program, args: [...args, ...linked, object] };
  const ended = await run(command);
  if (ended.status !== 0) throw failure(ended, command, 'objtool', 'make-failed');
}
