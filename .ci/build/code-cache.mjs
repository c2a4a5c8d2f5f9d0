/** Writes dist/cli.cache: V8's compiled code of what the command line executes up to a command's own work. See src/main.ts. */
import { createRequire } from 'node:module';
import { replace, root } from './bundle.mjs';

const require = createRequire(`${root}/`);
const { cli, script, digest } = require('./dist/main.js').load();
for (const id of Object.keys(cli.COMMANDS)) void cli.COMMANDS[id];
await cli.start(['doctor', '--help']);
replace(`${root}/dist/cli.cache`, Buffer.concat([Buffer.from(digest), script.createCachedData()]));
