import type { Context, Replacement } from './context';
import type { functionAt } from './klp-structs';
import type { Spot } from './module';

export interface PatchedFunction {
  name: string;
  sympos: number;
  /** The function of the module that takes its place; null where there is none. */
  replacement: string | null;
}

export interface PatchedObject {
  /** `vmlinux` or a module. */
  name: string;
  functions: PatchedFunction[];
}

/** Notes which function of the module takes another's place. */
export function noteReplacement(
  { replacements }: Context,
  replacement: ReturnType<typeof functionAt>,
  replaced: Replacement,
): void {
  if (replacement !== undefined) replacements.set(`${replacement.section.index}:${replacement.value}`, replaced);
}

/** The function to patch is there, at its position, and ftrace can redirect it. */
export function checkOld(
  { kernel, findings }: Context,
  object: string,
  name: string,
  sympos: number,
  place: Spot,
): void {
  if (kernel === null) return;
  const old = kernel.at(object, name, sympos);
  const add = (message: string): void => findings.add('verify-klp-func', place, message);
  if (old === null)
    findings.add(
      'verify-not-checked',
      undefined,
      `${name} of module ${object}: ${kernel.path} does not list that module`,
    );
  else if (typeof old === 'string') add(old);
  else if (old.kind === 'data') add(`${name} is not a function in the kernel`);
  else if (kernel.isDiscarded(old.address))
    findings.add('verify-discarded-target', place, `${name} lies in memory that is given back after initialization`);
  else if (old.size !== null && kernel.traceable(old.address, old.size) === false)
    add(`${name} has no ftrace site in the kernel, so it cannot be redirected`);
}
