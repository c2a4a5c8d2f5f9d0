/**
 * The dialect of kpatch's create-diff-object, on the stages that every dialect shares: what its markers say, which verdicts count,
 * which functions it tells of, and how references leave the object.
 */
export { extractKpatch, newGlobalsOf, type KpatchInput } from './extract';
export { FtraceSites } from './ftrace-sites';
export { changedConstants, raiseParents, reportedFunctions, tellMarkers, tellNewStatic, untraceable, verdictsThatCount, type ReportedFunction } from './judge';
export { readMarkers, type Markers } from './markers';
