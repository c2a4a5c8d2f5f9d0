/**
 * How entries of a special section are read. An entry is part of the identity of the function whose code it describes, and follows it into
 * a livepatch.
 *
 * Sizes: kernels name them in several ways and none is always there (Clang 19's assembler writes sh_entsize 0 for
 * "aM" sections, GCC kernels before 7.x set none at all), so each is a candidate that the section itself must confirm.
 */
export interface EntryRules {
  /** Kernel struct whose BTF size is the entry size. */
  struct: string;
  /** Sizes seen in releases, newest first; a size is believed only when the section's relas fit it. */
  sizes: readonly number[];
  /** Offset of the field that holds the code address. */
  site: number;
  /** Byte ranges [from, to) of an entry that decide its meaning; lines and file names are left out. */
  meaning: (size: number) => ReadonlyArray<readonly [number, number]>;
  /** Byte range of a source line, which is told but never counts. */
  line?: (size: number) => readonly [number, number] | undefined;
  /** Fields that refer to something by a relocation and belong to the meaning. */
  references: (size: number) => readonly number[];
  /** Further fields that refer to code and mean nothing of their own: the end of a range, replacement code. */
  code?: readonly number[];
  /** Bytes that the last entry has at least: the assembler pads those before it only. */
  shortest?: number;
  /** Bytes at an entry's site that the kernel writes at most; alternatives say their own (see `replacement`), other entries make it write nothing. */
  writes?: number;
  /** Offset of a reference whose target's code is part of the meaning, with the offset of its u8 length; the site's stands right before that. */
  replacement?: { field: number; length: (size: number) => number };
  /** What the entry's key is of. The kernel sets such entries up when a module is loaded, before the livepatch core relocates to modules. */
  key?: 'static branch' | 'static call';
}
