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

/** The name that was given, else what ORIG's own `.modinfo` says, else `vmlinux`. */
export function objectName(
  module: string | undefined,
  { path, module: own }: Pick<Identified, 'path' | 'module'>,
): ObjectName {
  if (module !== undefined) return { name: givenName(module), diagnostics: [] };
  if (own.name !== null) return { name: own.name, diagnostics: [] };
  const nameless = own.module
    ? [
        diagnostic(
          'nameless-module',
          `${path} is a module's object (its .modinfo has license= without a prefix), and no --module says of which: it was taken for vmlinux`,
          { object: path, section: '.modinfo' },
        ),
      ]
    : [];
  return { name: 'vmlinux', diagnostics: nameless };
}
