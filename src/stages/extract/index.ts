export { extract } from './extract';
export { rehearse, type Rehearsal } from './rehearse';
export type { ExtractInput, Extraction, KlpSymbolReport } from './types';
