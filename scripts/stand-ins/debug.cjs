// Stands in for `debug` in the bundles: that package opens stderr and asks for its colours before anything is said.
const { format } = require('node:util');
const on = Boolean(process.env.DEBUG);
module.exports =
  (name) =>
  (...args) => {
    if (on) console.error(`${name} ${format(...args)}`);
  };
// As `debug` has it, for modules that TypeScript compiled (ioredis).
module.exports.default = module.exports;
