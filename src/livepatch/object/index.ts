export { LivepatchObject, NO_FACTS, type PlatformFacts, type Provenance } from './object';
export { OutputSection, type OutputRela, type SectionAttributes } from './section';
export { CALLBACKS, type Callback, type KlpFunc, type KlpRela, type KlpSymbol } from './symbol';
export type { OutputSymbol } from './section';
export { OutputSymbols } from './symbols';
