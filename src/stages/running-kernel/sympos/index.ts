/**
 * sympos: which of the running kernel's symbols of a name is ORIG's?
 */
export { TrustedPositions } from './trusted';
export { SymbolPositions, type NoPosition, type Position } from './positions';
