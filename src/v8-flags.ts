import { setFlagsFromString } from 'node:v8';

/**
 * Each thread compiles the same hot loops anew, in the background but on the same cores. With V8's usual appetite that takes a third of
 * all processor time of a run. With less inlining, and only for code that has run four times as long, it takes less than a quarter,
 * and the code is hardly slower.
 *
 * To be called when all threads have started: V8 takes a code cache, that of Node's own modules too, only under the flags that it was
 * made with. A thread that starts later compiles everything anew, 7 ms for Node alone.
 */
export function compileLess(): void {
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=100');
  // Bytes of bytecode; Node 20 has 67584.
  setFlagsFromString('--interrupt-budget=300000');
}

/** Bytes of WebAssembly that a function executes before V8 optimizes it: what Node 20's V8 has, and a number for code that does not pay back what that costs. */
const TIERING = { v8: '11.3.', budget: 1_800_000, large: 2_000_000_000 };

/**
 * Loads a WebAssembly module whose functions are large and seldom called: three of iced-x86's take V8 35 ms to optimize, which a
 * thousand instructions bring about and a million do not pay back. V8 keeps the budget that a module had when it was loaded. Another V8
 * keeps its own: no program can ask what it was.
 */
export function loadForLittleUse<T>(load: () => T): T {
  if (!process.versions.v8.startsWith(TIERING.v8)) return load();
  setFlagsFromString(`--wasm-tiering-budget=${TIERING.large}`);
  try {
    return load();
  } finally {
    setFlagsFromString(`--wasm-tiering-budget=${TIERING.budget}`);
  }
}
