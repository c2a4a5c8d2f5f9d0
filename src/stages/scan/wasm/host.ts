/** What the thread does for this code; see ../host.ts. Those that report an error do not return. */

/** Copies `length` bytes of the file from `offset` on to `frame`. */
export declare function fetch(offset: u32, length: u32, frame: usize): void;
/** A rela section's records in offset order, as little-endian words; made once. Returns where they lie. */
export declare function sortRelas(relaSection: u32): usize;
/** Takes `words` words of uses away, from `at` on. */
export declare function takeUses(at: usize, words: u32): void;

/** `Arch.bias` of a relocation type that is relative to its place; NOT_RELATIVE for others. */
export declare function bias(type: u32): i32;
export const NOT_RELATIVE: i32 = i32.MIN_VALUE;
/** How far from the place that the relocated field at an offset of a section names the object number `index` is that it reaches; NO_OBJECT behind the last one (../anchors.ts). */
export declare function anchor(section: u32, offset: u32, index: u32): i32;
export const NO_OBJECT: i32 = i32.MIN_VALUE;
/** `Arch.tail`: file offsets. */
export declare function tail(from: u32, field: u32): i32;
/** `Arch.touches`: file offsets. */
export declare function touches(from: u32, field: u32, type: u32): u32;
/** Calls the export `branch` for every `Arch.forEachPossibleBranch` of [from, to), file offsets. */
export declare function forEachBranch(from: u32, to: u32): void;
/** `record` of a section's row (kernel/sections.ts): the offset, -1 for none; and the mask. */
export declare function lineOffset(section: u32): i32;
export declare function lineMask(section: u32): u32;

/** `classByName` of a section with these flags; fills in its special-section number, too. */
export declare function classOfName(section: u32, flags: u32): u32;
/** What the rules of kernel/symbol-rules.ts say of a symbol's name, of this length; bits in ./symbols.ts. */
export declare function nameRules(symbol: u32, length: u32): u32;

export declare function twoRelas(target: u32, first: u32, second: u32): void;
export declare function symbolNameOutside(symbol: u32): void;
export declare function symbolNameLong(symbol: u32, bytes: u32): void;
export declare function symbolIndexMissing(symbol: u32): void;
export declare function symbolSection(symbol: u32, section: u32): void;
export declare function symbolExtent(symbol: u32, section: u32, end: f64): void;
export declare function functionNowhere(symbol: u32): void;
export declare function symbolWide(symbol: u32): void;
export declare function relaOutside(relaSection: u32, index: u32, offset: f64, section: u32): void;
export declare function relaSymbol(relaSection: u32, index: u32, symbol: u32): void;
export declare function endless(section: u32, most: u32): void;
export declare function overlapping(section: u32, symbol: u32, most: u32): void;
export declare function nameOutside(section: u32): void;
/** A read outside of the file: a bug here, never the file's fault. */
export declare function readOutside(offset: f64): void;
