/**
 * Numbers that count different things, told apart by the compiler.
 *
 * A symbol, a section, an offset and the word where a record begins are all small numbers, and one in another's place
 * is a read of something else that raises no error. The brand is optional: a plain number (a literal, a sum, an element
 * of a list) becomes any of them without a cast, and what was named once as one kind is refused as another.
 */
declare const counts: unique symbol;

type Counting<What extends string> = number & { readonly [counts]?: What };

/** Index into an object's symbol table; 0 is none. */
export type SymbolIndex = Counting<'symbols'>;
/** Index into an object's section headers; 0 is none. */
export type SectionIndex = Counting<'sections'>;
/** Bytes from the start of a section, a symbol or a file. */
export type Offset = Counting<'bytes'>;
/** Index into a table that is read as 32-bit words; where a record begins. */
export type WordIndex = Counting<'words'>;
