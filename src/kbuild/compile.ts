/** One unit compiled: by the kernel's own command, with a section for each function and variable. */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { failure, run } from './command';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

/** A section for each function and variable. */
export const SECTIONS = ['-ffunction-sections', '-fdata-sections'];
/** Debugging information tells of lines, so that a moved one would make every unit differ; code does not depend on it, and is proven anyway. */
const NO_DEBUG = '-g0';

/**
 * Compiles a unit as it stands in the tree to `out`.
 * @throws KlpflowError `compile-failed`, `interrupted`
 */
export async function compileUnit(
  work: WorkTree,
  unit: Unit,
  out: string,
  flags: readonly string[] = SECTIONS,
): Promise<void> {
  mkdirSync(dirname(out), { recursive: true });
  const made = `${out}.new`;
  const [program = '', ...args] = commandFor(unit, made, flags);
  const command = { ...work.own(`compile-${unit.object.replaceAll('/', '-')}`), program, args };
  let ended = await run(command);
  // What the folder's Makefile generates first (lib/crc32table.h) is no part of `make prepare`.
  if (ended.status !== 0 && /No such file or directory/.test(ended.stderr)) {
    await work.make([unit.object], `make-${unit.object.replaceAll('/', '-')}`);
    rmSync(`${work.tree}/${unit.object}`, { force: true });
    ended = await run(command);
  }
  if (ended.status !== 0) throw failure(ended, command, `compiling ${unit.source}`, 'compile-failed');
  renameSync(made, out);
}

/** The words of the unit's command with another output and further flags. */
export function commandFor({ compile }: Unit, out: string, flags: readonly string[]): string[] {
  const words = compile.slice(0, -4);
  const [source] = compile.slice(-1);
  // Which headers it reads is asked where that is wanted.
  const own = words.filter((word) => !/^-Wp,-MM?D,/.test(word) && !SECTIONS.includes(word));
  return [...own, ...flags, NO_DEBUG, '-c', '-o', out, source!];
}
