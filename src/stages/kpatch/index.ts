/**
 * The dialect of kpatch's create-diff-object, on the stages that every dialect shares: what its markers say, which verdicts count,
 * which functions it tells of, and how references leave the object.
 */
export { assessKpatch, type KpatchAssessment } from './assess';
export type { KpatchPlan } from './plan';
export { extractKpatch, type KpatchInput } from './extract';
export type { ReportedFunction } from './judge';
export { reportUnlikeMake } from './make';
export { reportRemarks } from './remarks';
