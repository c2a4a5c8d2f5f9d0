#!/usr/bin/env node
/**
 * The launcher: answers `--version` by itself, else loads the bundle beside it through V8's code cache.
 *
 * The build writes the cache (`cli.cache`) and ends bundle and cache's head in one digest: V8 itself would take the cache
 * of any source of equal length. Made by another V8, or missing, it is left aside, and the bundle is compiled as usual.
 */
// Named imports of Node's modules only: a default import makes the bundle copy every property of the module at start.
import { readFileSync } from 'node:fs';
import { createRequire, Module } from 'node:module';
import { join } from 'node:path';
import { constants, Script } from 'node:vm';
import { name, version } from '../package.json';

type Cli = typeof import('./cli');

/** Hex digits of the digest. */
const DIGEST = 16;

/** Loads `cli.js`. `script` and `digest` are what the build makes the cache from. */
export function load(): { cli: Cli; script: Script; digest: string } {
  const file = join(__dirname, 'cli.js');
  const source = readFileSync(file, 'latin1');
  const digest = source.slice(-DIGEST - 1, -1);
  const script = new Script(Module.wrap(source), {
    filename: file,
    cachedData: codeCache(digest),
    importModuleDynamically: constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  // Registered before it runs, as `require` does it: oclif asks for this file by name again.
  const cli = new Module(file, module);
  cli.filename = file;
  cli.loaded = true;
  require.cache[file] = cli;
  script.runInThisContext().call(cli.exports, cli.exports, createRequire(file), cli, file, __dirname);
  return { cli: cli.exports as Cli, script, digest };
}

function codeCache(digest: string): Buffer | undefined {
  try {
    const cache = readFileSync(join(__dirname, 'cli.cache'));
    return cache.toString('latin1', 0, DIGEST) === digest ? cache.subarray(DIGEST) : undefined;
  } catch {
    return undefined;
  }
}

if (require.main === module) {
  const argv = process.argv.slice(2);
  if (argv.length === 1 && argv[0] === '--version') {
    console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
  } else {
    void load().cli.start(argv);
  }
}
