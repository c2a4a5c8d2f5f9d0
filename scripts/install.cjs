/**
 * Runs when the package is installed: compiles the mmap addon from dist/addon, with this machine's own Node headers where it has them, and npm's own node-gyp.
 * A working tree has no dist/addon: `.ci/setup` compiles its addon.
 */
const { execFileSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const { join, resolve } = require('node:path');

const addon = resolve(__dirname, '../dist/addon');
if (existsSync(addon)) compile();

function compile() {
  const headers = [process.env.npm_config_nodedir, resolve(process.execPath, '../..')].find(
    (folder) => folder && existsSync(join(folder, 'include/node/node.h')),
  );
  const gyp = [
    process.env.npm_config_node_gyp,
    resolve(process.execPath, '../../lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js'),
  ].find((file) => file && existsSync(file));
  try {
    if (gyp === undefined) throw new Error('npm has no node-gyp: install it, or name it in npm_config_node_gyp');
    // Without headers node-gyp fetches them from nodejs.org.
    const words = ['rebuild', '--loglevel=error', ...(headers === undefined ? [] : [`--nodedir=${headers}`])];
    execFileSync(process.execPath, [gyp, ...words], { cwd: addon, stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (error) {
    console.error(
      `klpflow: the mmap addon did not compile (${error.message.split('\n')[0]}): it needs Python 3, make, a C++ compiler${headers === undefined ? ' and the headers of this Node.js' : ''}`,
    );
    process.exitCode = 1;
  }
}
