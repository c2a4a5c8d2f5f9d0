/** The lines of create-diff-object that kpatch-build shows to its user, and that the unit tests compare. */

/** What stands before each line: the path behind the first `/` (`orig/fs/a.o` gives `fs/a.o`). */
export function childName(path: string): string {
  return path.slice(path.indexOf('/') + 1);
}

export class Messages {
  private readonly child: string;

  /** `orig` is the argument ORIG.o as it was typed; `print` gets each line without its end. */
  constructor(orig: string, private readonly print: (line: string) => void) {
    this.child = childName(orig);
  }

  ignoringSection(name: string): void {
    this.tell(`ignoring section: ${name}`);
  }

  ignoringFunction(name: string, changed: boolean): void {
    this.tell(`ignoring function: ${name}`);
    if (!changed) this.tell(`NOTICE: no change detected in function ${name}, unnecessary KPATCH_IGNORE_FUNCTION()?`);
  }

  newStaticLocal(name: string, user: string): void {
    this.tell(`WARNING: unable to correlate static local variable ${name} used by ${user}, assuming variable is new`);
  }

  callback(name: string): void {
    this.tell(`found callback: ${name}`);
  }

  forced(name: string): void {
    this.tell(`function '${name}' marked with KPATCH_FORCE_UNSAFE!`);
  }

  changedFunction(name: string): void {
    this.tell(`changed function: ${name}`);
  }

  newFunction(name: string): void {
    this.tell(`new function: ${name}`);
  }

  /** A caller of a changed function that the kernel cannot redirect: it goes in with that function in its place. */
  carriedFunction(name: string, via: readonly string[]): void {
    this.tell(`carried function: ${name} (for ${via.join(', ')} without an ftrace site)`);
  }

  private tell(text: string): void {
    this.print(`${this.child}: ${text}`);
  }
}
