/** What the thread does for this code; see ../code.ts. Those that report an error do not return. */

/** Zeroed memory. Returns where it begins. */
export declare function grow(bytes: u32): usize;
/** The numbers of a section's relas in the order of their places, as words in memory. Returns where they lie. */
export declare function orderRelas(relaSection: u32): usize;
/** Reports what the hash of the symbol under way is, after a part of its identity: which part, and where; see ../tell.ts. */
export declare function told(part: u32, section: u32, offset: f64, low: u32, high: u32): void;

export declare function nameOutside(section: u32): void;
export declare function symbolNameOutside(symbol: u32): void;
export declare function symbolSection(symbol: u32, section: u32): void;
export declare function relaSymbol(relaSection: u32, index: u32, symbol: u32): void;
/** Sections of code lie over each other: together they are more than the file. */
export declare function overlapping(section: u32): void;
export declare function unevenTable(section: u32, entry: u32): void;
/** An entry names no instruction (0) or no target (1). */
export declare function entryWithout(section: u32, offset: u32, what: u32): void;
