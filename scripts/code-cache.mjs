/** Writes dist/cli.cache: V8's compiled code of what a run of the command line executes. See src/main.ts. */
import { createRequire } from 'node:module';
import { replace, root } from './bundle.mjs';

const require = createRequire(`${root}/`);
const { cli, script } = require('./dist/main.js').load();
await cli.start(['doctor', '--help']);
replace(`${root}/dist/cli.cache`, script.createCachedData());
