/** The lines of create-diff-object that kpatch-build shows to its user, and that the unit tests compare. */

/** What stands before each line: the path behind the first `/` (`orig/fs/a.o` gives `fs/a.o`). */
function childName(path: string): string {
  return path.slice(path.indexOf('/') + 1);
}

/** What a report says besides the functions; names. */
export interface Remarks {
  /** The first static local variable that only PATCHED has, and who uses it: a function, or a section. */
  newStatic: { name: string; user: string } | null;
  /** By KPATCH_IGNORE_SECTION and KPATCH_IGNORE_FUNCTION. */
  ignoredSections: readonly string[];
  ignoredFunctions: ReadonlyArray<{ name: string; changed: boolean }>;
  /** Functions of the callback macros, and of KPATCH_FORCE_UNSAFE. */
  callbacks: readonly string[];
  forced: readonly string[];
}

export class Messages {
  private readonly child: string;

  /** `orig` is the argument ORIG.o as it was typed; `print` gets each line without its end. */
  constructor(
    orig: string,
    private readonly print: (line: string) => void,
  ) {
    this.child = childName(orig);
  }

  /** What is told before anything is judged. */
  beforehand({ newStatic, ignoredSections, ignoredFunctions }: Remarks): void {
    if (newStatic !== null)
      this.tell(
        `WARNING: unable to correlate static local variable ${newStatic.name} used by ${newStatic.user}, assuming variable is new`,
      );
    for (const name of ignoredSections) this.tell(`ignoring section: ${name}`);
    for (const { name, changed } of ignoredFunctions) {
      this.tell(`ignoring function: ${name}`);
      if (!changed) this.tell(`NOTICE: no change detected in function ${name}, unnecessary KPATCH_IGNORE_FUNCTION()?`);
    }
  }

  hooks({ callbacks, forced }: Remarks): void {
    for (const name of callbacks) this.tell(`found callback: ${name}`);
    for (const name of forced) this.tell(`function '${name}' marked with KPATCH_FORCE_UNSAFE!`);
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
