/** The objects that are compared: the changed units of vmlinux linked into one, those of each module into one, and what objtool makes of them. */
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { run, failure, succeed } from './command';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

/** Makes one object of units of vmlinux or of a whole module, unless it is there. @throws KlpflowError `make-failed`, `interrupted` */
export async function linkUnits(
  work: WorkTree,
  units: readonly Unit[],
  inputs: readonly string[],
  out: string,
): Promise<void> {
  if (existsSync(out)) return;
  mkdirSync(dirname(out), { recursive: true });
  const made = `${out}.new`;
  // Of vmlinux sections of one name stay apart, as each unit's lie apart in the image.
  const apart = units[0]?.owners[0] === 'vmlinux' ? ['--unique'] : [];
  if (inputs.length === 1) copyFileSync(inputs[0]!, made);
  else
    await succeed(
      { ...work.own('link'), program: 'ld', args: ['-r', ...apart, '-o', made, ...inputs] },
      'ld -r of the units',
    );
  const objtool = units.find((unit) => unit.objtool !== null)?.objtool;
  if (objtool !== null && objtool !== undefined) await runObjtool(work, objtool, made);
  renameSync(made, out);
}

/** objtool refuses to look for indirect targets (--ibt) in anything that it is not told to be linked: the tree's build runs it then on linked objects only. */
async function runObjtool(work: WorkTree, [program = '', ...args]: readonly string[], object: string): Promise<void> {
  const linked = args.includes('--ibt') && !args.includes('--link') ? ['--link'] : [];
  const command = { ...work.own('objtool'), program, args: [...args, ...linked, object] };
  const ended = await run(command);
  if (ended.status !== 0) throw failure(ended, command, 'objtool', 'make-failed');
}
