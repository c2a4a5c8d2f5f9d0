import type { Filling } from './filling';
import type { Disassembler, Instruction } from './instructions';
import type { ModuleRules } from './module-rules';

/** A relocation within a function's code. */
export interface CodeRela {
  /** Bytes from the section's start. */
  offset: number;
  type: number;
  /** Name of the symbol. */
  name: string;
}

/** A function as ftrace looks at it. */
export interface FunctionCode {
  /** Bytes of its section. */
  content: Uint8Array;
  /** Where the symbol stands in the section, and where its function ends. */
  start: number;
  end: number;
  /** st_other of the symbol. */
  other: number;
  /** Whether `__patchable_function_entries` has an entry for it; null where the object has no such section. */
  patchable: boolean | null;
  /** Its relocations in offset order. */
  relas: readonly CodeRela[];
}

/** A relocation of a field, apart from what it refers to. */
export interface FieldReference {
  /** Offset in the section. */
  field: number;
  type: number;
  addend: number;
}

/** An address that a relocation names in code. */
export interface PointerMade {
  /** Of the instruction, from the function's start. */
  offset: number;
  type: number;
}

/** A call of ftrace whose relocation stayed, with type NONE. */
export interface ErasedCall {
  /** The NOP's first byte. */
  nop: number;
  code: readonly number[];
  /** Where in it the relocation stands, with the type and addend that it has. */
  field: number;
  type: number;
  addend: number;
}

export interface NearRelocation {
  type: number;
  at: number;
  addend: number;
}

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
  /** The same of a reference in data. */
  dataBias(type: number): number;
  /** The bytes that linking may write for a relocation of this type: [from, to) counted from its offset. */
  linked(type: number): readonly [from: number, to: number];
  /**
   * The address of the symbol for which a linker filled in the field at `at` of `code`, which runs at address `place`; undefined where the
   * field alone does not tell. Addresses are signed: a kernel's lie at the top.
   */
  linkedAddress(type: number, code: DataView, at: number, place: number, addend: number): number | undefined;
  /** Fills in a field as a linker does, for the address that symbol and addend give; what `linkedAddress` does not read is left alone. */
  fill(type: number, code: DataView, at: number, place: number, address: number): void;
  /**
   * The branch with the relocated field at `field` as an assembler writes it that knows the target to be near: opcode, then a byte of distance.
   * Undefined where there is no such form.
   */
  shortBranch(bytes: Uint8Array, start: number, field: number): { at: number; opcode: number } | undefined;
  /**
   * Bytes of the instruction that follow the relocated field at `field`: the processor counts from the instruction's
   * end, so `cmpb $0, x(%rip)` has an addend of -5. Returns -1 where the bytes before the field do not tell; then the
   * instruction must be decoded from its function's start. [start, end) is the range that may be looked at.
   */
  tail(bytes: Uint8Array, start: number, field: number): number;
  /**
   * How the instruction around the field is known to use the place that the field names: 2 it reads or writes memory there, which is in an
   * object, never at its end; 1 memory that it counts from there, with an index; 0 in another way, or the bytes before the field do not tell.
   */
  touches(bytes: Uint8Array, start: number, field: number, type: number): number;
  /** Tails that occur where `tail` cannot tell. */
  readonly tails: readonly number[];
  /** Whether the relocated field at `field` is that of a call or jump, direct or through the GOT, not an address somebody keeps. */
  isBranch(bytes: Uint8Array, start: number, field: number, type: number): boolean;
  /**
   * Calls `visit` with the target of everything in [start, end) that may be a direct branch without a relocation. All are file
   * offsets. May name targets that no instruction has, never leaves one out.
   */
  forEachPossibleBranch(bytes: Uint8Array, start: number, end: number, visit: (target: number) => void): void;
  /**
   * The relocation that says what an instruction says that the assembler resolved: its type, its field's place in the instruction, and what to
   * add to the distance from a symbol. Undefined where no relocation can.
   */
  nearRelocation(bytes: Uint8Array, instruction: Instruction): NearRelocation | undefined;
  /**
   * Turns what goes through the GOT, and whose field stands at `at` of `bytes`, into what goes without, and returns the reference of that; undefined where
   * there is nothing to turn. A module has no GOT.
   */
  withoutGot<T extends FieldReference>(bytes: Uint8Array, at: number, reference: T): T | undefined;
  relocationName(type: number): string;
  /** Of those whose livepatch objects and modules are written: what the module loader does; null for others. */
  readonly modules: ModuleRules | null;
  /** Where instructions begin: at multiples of so many bytes. */
  readonly instructionAlign: number;
  /** The bit of an alternative's feature that makes its second field a function, which writes the code itself; 0 where there are none. */
  readonly alternativeCallback: number;
  /** `__patchable_function_entries` lists the places that ftrace rewrites, as `__mcount_loc` does elsewhere; on x86-64 it lists padding. */
  readonly patchableSites: boolean;
  /**
   * How far from each address that a function makes it uses memory, or hands the address on, for compilers that name several variables by one address
   * (-fsection-anchors); null for an address where nothing tells. Null where compilers do not.
   */
  readonly distancesUsed:
    | ((code: Uint8Array, pointers: readonly PointerMade[]) => ReadonlyArray<ReadonlySet<number> | null>)
    | null;
  /** The call that old recordmcount made a NOP of and did not list, as the kernel expects it in a module; null where there were none. */
  readonly erasedCall: ErasedCall | null;
  /** Whether the relocated word at `field` jumps to another function, and so leaves behind what only calls restore. */
  isSiblingCall(bytes: Uint8Array, field: number): boolean;
  /** Whether every module has a function of this name for itself, so that none is looked up in the kernel. */
  isModulesOwn(name: string): boolean;
  /** Whether a relocation of this type refers to nothing and changes nothing: advice to a linker, which may be left out. */
  isHint(type: number): boolean;
  /** The relocation that stores a 64-bit address. */
  readonly address64: number;
  /** How many of the bytes before a function's symbol, the first one of its section, belong to the function: NOPs, or the distance to its TOC. */
  leadIn(content: Uint8Array, start: number): number;
  /** What fills a gap before a function. */
  readonly gapByte: number;
  /** Bytes of a type's hash (kCFI) that stand right before a function and have no symbol; 0 where they have one, or there are none. */
  readonly namelessHash: number;
  /** Whether code may be entered by an indirect branch where the processor checks such branches (IBT, BTI). */
  isLandingPad(code: Uint8Array): boolean;
  /** What fills gaps between functions. */
  readonly filling: Filling;
  /** Where from its symbol a function that can be traced has its site, by kernels' builds. */
  readonly siteOffsets: readonly number[];
  /** Offset in its section of the place that ftrace rewrites, undefined where the function has none. */
  ftraceSite(code: FunctionCode): number | undefined;
  /** Bytes from a function's symbol to where callers of its own module enter, by st_other; 0 but on ppc64. */
  localEntry(other: number): number;
  /** Whether a relocation of this type may store the address of a function to be called through it (where it is no branch's); `inToc`: it is one of .toc's. */
  isFunctionPointer(type: number, inToc: boolean): boolean;
  /** Whether a relocation of this type is the module loader's business whatever it names (distances to the TOC). */
  isLoadersOwn(type: number): boolean;
  /** A decoder; heavy, so made once and only where instructions have to be looked at. */
  disassembler(): Disassembler;
}
