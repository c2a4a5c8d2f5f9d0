/** Static calls there are (`__SCT__synth_N`). */
export const STATIC_CALLS = 16;

/** Name of the trampoline of static call `call`. */
export const trampolineName = (call: number): string => `__SCT__synth_${call}`;

export const keyName = (call: number): string => `__SCK__synth_${call}`;
