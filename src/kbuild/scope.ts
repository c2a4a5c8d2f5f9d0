/** How much of a kernel is compiled for a patch: the units that it touches, or vmlinux.o and the touched modules. */
import { ltoOf, type Config } from './config';
import type { NoImage } from './kernel';

export type ScopeName = 'units' | 'whole';

export interface Scope {
  name: ScopeName;
  /** Why this one, for people. */
  why: string;
}

/** The flags that the user's command line has a say in. */
interface ScopeWishes {
  scope?: ScopeName | undefined;
  /** A built tree, which is adopted. */
  objects?: string | undefined;
}

export function chooseScope({ scope, objects }: ScopeWishes, config: Config, noImage: NoImage | null): Scope {
  if (scope !== undefined) return { name: scope, why: `--scope ${scope}` };
  const lto = ltoOf(config);
  if (lto !== undefined)
    return { name: 'whole', why: `CONFIG_${lto} is set: single units have no machine code before the link` };
  if (objects !== undefined) return { name: 'whole', why: `the objects of ${objects} are taken over` };
  if (noImage !== null)
    return { name: 'whole', why: `${noImage.why}: what single units refer to, all of vmlinux.o has to tell` };
  return { name: 'units', why: "the kernel's image tells what single units refer to" };
}
