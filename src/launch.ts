/**
 * Loads a bundle that lies beside this one through V8's code cache: for a command that takes a second, compiling is start-up time.
 *
 * The build writes the cache (`cli.cache` for `cli.js`) and ends bundle and cache's head in one digest: V8 itself would take the
 * cache of any source of equal length. Made by another V8, or missing, it is left aside, and the bundle is compiled as usual.
 */
// Named imports of Node's modules only: a default import makes the bundle copy every property of the module at start.
import { readFileSync } from 'node:fs';
import { createRequire, Module } from 'node:module';
import { join } from 'node:path';
import { constants, Script } from 'node:vm';

/** Hex digits of the digest. */
const DIGEST = 16;

/** Loads `NAME.js`: what it exports, and the script for who wants to know whether V8 took the cache. */
export function loadBundle<T>(name: string): { exports: T; script: Script } {
  const file = join(__dirname, `${name}.js`);
  const source = readFileSync(file, 'latin1');
  const script = new Script(Module.wrap(source), {
    filename: file,
    cachedData: codeCache(name, source.slice(-DIGEST - 1, -1)),
    importModuleDynamically: constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  // Registered before it runs, as `require` does it: oclif asks for this file by name again.
  const bundle = new Module(file, module);
  bundle.filename = file;
  bundle.loaded = true;
  require.cache[file] = bundle;
  script.runInThisContext().call(bundle.exports, bundle.exports, createRequire(file), bundle, file, __dirname);
  return { exports: bundle.exports as T, script };
}

function codeCache(name: string, digest: string): Buffer | undefined {
  try {
    const cache = readFileSync(join(__dirname, `${name}.cache`));
    return cache.toString('latin1', 0, DIGEST) === digest ? cache.subarray(DIGEST) : undefined;
  } catch {
    return undefined;
  }
}
