// Stands in for `@mapbox/node-pre-gyp` in the bundles. mmap-io asks that package for one thing, the path of its addon, and
// it takes 30 ms to load for it. The package klpflow has the addon's source in dist/addon (scripts/addon.mjs), which its installation compiles; a
// working tree has it where mmap-io's own package.json says.
const { existsSync } = require('node:fs');
const { dirname, join } = require('node:path');

exports.find = () => {
  const own = join(__dirname, 'addon');
  if (existsSync(own)) return join(own, 'build/Release/mmap_io.node');
  const binding = `node-v${process.versions.modules}-${process.platform}-${process.arch}`;
  return join(dirname(require.resolve('mmap-io/package.json')), 'build/binding/Release', binding, 'mmap_io.node');
};
