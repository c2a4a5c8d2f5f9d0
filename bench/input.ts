/** What a benchmark runs on: a pair, and a second patched object of the same original. */
export interface Input {
  name: string;
  /** Whether objtool's steps can be asked of it: they are for one processor. */
  peer: boolean;
  orig: string;
  patched: string;
  /** Another patch's object; its run leaves the original's scan behind for the second patch. */
  otherPatched: string;
  /** Files of the target kernel, where the input has them. */
  vmlinux?: string | undefined;
  /** What tells its symbols: vmlinux, else /proc/kallsyms or System.map. */
  listing?: string | undefined;
  symvers?: string | undefined;
  /** A module of that kernel, whose layout a livepatch module takes over. */
  template?: string | undefined;
}
