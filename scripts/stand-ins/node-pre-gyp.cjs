// Stands in for `@mapbox/node-pre-gyp` in the bundles. mmap-io asks that package for one thing, the path of its addon, and
// it takes 30 ms to load for it. Here is where mmap-io's own package.json says the addon is.
const { dirname, join } = require('node:path');

exports.find = () => {
  const binding = `node-v${process.versions.modules}-${process.platform}-${process.arch}`;
  return join(dirname(require.resolve('mmap-io/package.json')), 'build/binding/Release', binding, 'mmap_io.node');
};
