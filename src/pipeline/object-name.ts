import { basename } from 'node:path';
import { KlpflowError, diagnostic, type Diagnostic } from '../diagnostics';
import { runtimeName } from '../kernel/symvers';
import type { Identified } from './scan';

/** What the kernel calls the patched object, and what has to be said of that. */
export interface ObjectName {
  name: string;
  diagnostics: Diagnostic[];
}

/** A name that was given, as the kernel has it: it is a file's, with `_` for `-`. @throws KlpflowError `usage` for an empty one */
export function givenName(module: string): string {
  const name = runtimeName(module);
  if (name === '') throw new KlpflowError('usage', `--module ${module}: the name is empty`);
  return name;
}

/** What a linker or a user calls objects of whatever module. */
const ANY_NAME = /^(?:orig|original|patched|new|old|a|b|module|built-in)$/;

/**
 * The name that was given; else what ORIG's own `.modinfo` says, which the last step of a module's build adds; else that of the file, where both are
 * called alike: kbuild names a module after it. What is no module's is vmlinux.
 */
export function objectName(
  module: string | undefined,
  { path, module: own }: Pick<Identified, 'path' | 'module'>,
  patched: string,
  /** The finished module's, where one is given. */
  shipped?: string,
): ObjectName {
  if (module !== undefined) return { name: givenName(module), diagnostics: [] };
  if (own.name !== null) return { name: own.name, diagnostics: [] };
  if (shipped !== undefined) return { name: shipped, diagnostics: [] };
  if (!own.module) return { name: 'vmlinux', diagnostics: [] };
  const file = basename(path, '.o');
  if (file === basename(patched, '.o') && !ANY_NAME.test(file)) return { name: runtimeName(file), diagnostics: [] };
  const message = `${path} is a module's object (its .modinfo has license= without a prefix), and no --module says of which: it was taken for vmlinux`;
  return {
    name: 'vmlinux',
    diagnostics: [diagnostic('nameless-module', message, { object: path, section: '.modinfo' })],
  };
}
