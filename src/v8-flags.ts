import { setFlagsFromString } from 'node:v8';

/**
 * V8's flags are the process's, for all of its threads: who calls klpflow as a library has other code there, for which they may be wrong, and on a V8
 * whose usual settings are not known they could not be put back. So only klpflow's own command line sets them.
 */
let own = false;

/** Says that this process (or the one whose thread this is) does nothing but klpflow's work. */
export function ownProcess(): void {
  own = true;
}

export function isOwnProcess(): boolean {
  return own;
}

/** What was measured, and whose usual settings are known, is the V8 of Node 20: no program can ask a V8 what they were. */
const KNOWN = process.versions.v8.startsWith('11.3.');

/**
 * Each thread compiles the same hot loops anew, in the background but on the same cores. With V8's usual appetite that takes a third of
 * all processor time of a run. With less inlining, and only for code that has run four times as long, it takes less than a quarter,
 * and the code is hardly slower.
 *
 * To be called when all threads have started: V8 takes a code cache, that of Node's own modules too, only under the flags that it was
 * made with. A thread that starts later compiles everything anew, 7 ms for Node and 17 for klpflow.
 */
export function compileLess(): void {
  if (!own) return;
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=100');
  // Bytes of bytecode.
  setFlagsFromString('--interrupt-budget=300000');
}

/** For the threads of the next run in this process. */
export function compileAsUsual(): void {
  if (!own || !KNOWN) return;
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=920');
  setFlagsFromString('--interrupt-budget=67584');
}

/**
 * Loads a WebAssembly module whose functions are large and seldom called: three of iced-x86's take V8 35 ms to optimize, which a
 * thousand instructions bring about and a million do not pay back. V8 keeps the budget that a module had when it was loaded.
 */
export function loadForLittleUse<T>(load: () => T): T {
  if (!own || !KNOWN) return load();
  // Bytes of WebAssembly that a function executes before V8 optimizes it.
  setFlagsFromString('--wasm-tiering-budget=2000000000');
  try {
    return load();
  } finally {
    setFlagsFromString('--wasm-tiering-budget=1800000');
  }
}
