#!/usr/bin/env node
/** The launcher: answers `--version`, `version` and `-v` by itself, else loads the bundle beside it. */
import { name, version } from '../package.json';
import { loadBundle } from './launch';

type Cli = typeof import('./cli');

const VERSION = new Set(['--version', 'version', '-v']);

/** Loads `cli.js`. */
export function load(): { cli: Cli; script: ReturnType<typeof loadBundle>['script'] } {
  const { exports: cli, script } = loadBundle<Cli>('cli');
  return { cli, script };
}

if (require.main === module) {
  const argv = process.argv.slice(2);
  if (argv.length === 1 && VERSION.has(argv[0]!)) {
    console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
  } else {
    void load().cli.start(argv);
  }
}
