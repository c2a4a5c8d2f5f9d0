// Stands in for `wsl-utils` in the bundles: oclif only wants to call the platform "wsl" there, and loads three more packages for it.
exports.isWsl = false;
