#!/usr/bin/env node
/**
 * The launcher: answers `--version` by itself, else loads the bundle beside it through V8's code cache.
 *
 * The build writes the cache (`cli.cache`). V8 takes it only for the very source and V8 version it was made from;
 * with another Node the bundle is compiled as usual.
 */
// Named imports of Node's modules only: a default import makes the bundle copy every property of the module at start.
import { readFileSync } from 'node:fs';
import { createRequire, Module } from 'node:module';
import { join } from 'node:path';
import { constants, Script } from 'node:vm';
import { name, version } from '../package.json';

type Cli = typeof import('./cli');

/** Loads `cli.js`; `script` is what the build makes the cache from. */
export function load(): { cli: Cli; script: Script } {
  const file = join(__dirname, 'cli.js');
  const script = new Script(Module.wrap(readFileSync(file, 'latin1')), {
    filename: file,
    cachedData: readCache(join(__dirname, 'cli.cache')),
    importModuleDynamically: constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  // Registered before it runs, as `require` does it: oclif asks for this file by name again.
  const cli = new Module(file, module);
  cli.filename = file;
  cli.loaded = true;
  require.cache[file] = cli;
  script.runInThisContext().call(cli.exports, cli.exports, createRequire(file), cli, file, __dirname);
  return { cli: cli.exports as Cli, script };
}

function readCache(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
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
