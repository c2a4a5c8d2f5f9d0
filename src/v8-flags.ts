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

/** Bytes of WebAssembly that a function executes before V8 optimizes it. Node 20's own number, and one for code that does not pay back what that costs. */
const TIERING_BUDGET = 1_800_000;
const LARGE_BUDGET = 2_000_000_000;

/**
 * Loads a WebAssembly module whose functions are large and seldom called: three of iced-x86's take V8 90 ms to optimize, which a few
 * thousand instructions are enough to bring about and 100,000 to pay back. V8 keeps the budget that a module had when it was loaded.
 */
export function loadForLittleUse<T>(load: () => T): T {
  setFlagsFromString(`--wasm-tiering-budget=${LARGE_BUDGET}`);
  try {
    return load();
  } finally {
    setFlagsFromString(`--wasm-tiering-budget=${TIERING_BUDGET}`);
  }
}
