import type { Disassembler } from './instructions';

/** What the differ must know about a processor. One file a processor implements it. */
export interface Arch {
  readonly machine: number;
  readonly name: string;
  /** Whether a relocation's value is relative to its own place. */
  isPcRelative(type: number): boolean;
  /** Relocation that does nothing (a site that boot code rewrites keeps one). */
  readonly none: number;
  /** What to add to the addend of a PC-relative code reference at `field`, apart from the bytes after the field. */
  bias(type: number): number;
  /** The bytes that linking may write for a relocation of this type: [from, to) counted from its offset. */
  linked(type: number): readonly [from: number, to: number];
  /**
   * Bytes of the instruction that follow the relocated field at `field`: the processor counts from the instruction's
   * end, so `cmpb $0, x(%rip)` has an addend of -5. Returns -1 where the bytes before the field do not tell; then the
   * instruction must be decoded from its function's start. [start, end) is the range that may be looked at.
   */
  tail(bytes: Uint8Array, start: number, field: number): number;
  /** Tails that occur where `tail` cannot tell. */
  readonly tails: readonly number[];
  /** Whether the relocated field at `field` is the displacement of a direct call or jump, not an address somebody keeps. */
  isBranch(bytes: Uint8Array, start: number, field: number, type: number): boolean;
  /**
   * Calls `visit` with the target of everything in [start, end) that may be a direct branch without a relocation. All are file
   * offsets. May name targets that no instruction has, never leaves one out.
   */
  forEachPossibleBranch(bytes: Uint8Array, start: number, end: number, visit: (target: number) => void): void;
  relocationName(type: number): string;
  /** A decoder; heavy, so made once and only where instructions have to be looked at. */
  disassembler(): Disassembler;
}
