/** How the livepatch core finds a symbol of ORIG in the running kernel. */
export interface Position {
  /** 0 where the name is unique, else the 1-based rank among the kernel's symbols of that name. */
  sympos: number;
  /** The name that the kernel compares: the full one, but on some LTO kernels without what LTO appended. */
  name: string;
  /** What proves it, one phrase for the report. */
  evidence: string;
  /** The listing's entry, of a module that of its file; null where none has been seen. */
  entry: number | null;
}

/** Why a symbol has no position: one sentence, and the diagnostic's code. */
export interface NoPosition {
  refused: string;
  code: 'position-unknown' | 'not-in-kernel';
}

export function unknown(refused: string): NoPosition {
  return { code: 'position-unknown', refused };
}
