/**
 * sympos: which of the running kernel's symbols of a name is ORIG's?
 */
export { TrustedPositions } from './trusted';
export type { ModuleFile, SeenModule } from './in-module';
export type { NoPosition, Position } from './position';
export { SymbolPositions } from './positions';
