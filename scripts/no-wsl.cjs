// Stands in for `wsl-utils` in the bundles: oclif only wants to call the platform "wsl" there, and asks three more packages for it.
exports.isWsl = false;
