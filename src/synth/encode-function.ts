import { R_X86_64_32S, R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PLT32 } from '../elf/constants';
import type { ObjectRef, Op, SynthFunction, Target } from './model';

/** A relocation in code; `offset` counts from the function's start, `addend` from the target's. */
export interface CodeRef {
  offset: number;
  type: number;
  target: Target;
  addend: number;
}

/** What tables say about places in a function. All offsets count from its start. */
export interface Sites {
  fentry: number | null;
  returns: number[];
  bugs: Array<{ at: number; line: number; flags: number }>;
  branches: Array<{ at: number; to: number; key: ObjectRef }>;
  staticCalls: Array<{ at: number; call: number }>;
  alternatives: Array<{ at: number; length: number; feature: number; replacement: readonly number[]; call?: string }>;
  faults: Array<{ at: number; fixup: number }>;
  runtimeConstants: number[];
}

export interface EncodedFunction {
  bytes: Uint8Array;
  refs: CodeRef[];
  sites: Sites;
}

const NOP5 = [0x0f, 0x1f, 0x44, 0x00, 0x00];
const PROLOGUE = [0x55, 0x48, 0x89, 0xe5, 0x53]; // push %rbp; mov %rsp,%rbp; push %rbx
const EPILOGUE = [0x5b, 0x5d]; // pop %rbx; pop %rbp
/** movabs $0x123456789abcdef,%r9: the placeholder that the kernel's runtime_const_ptr() leaves. */
const RUNTIME_CONSTANT = [0x49, 0xb9, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01];
/** Name of the trampoline of static call `call`. */
export const trampolineName = (call: number): string => `__SCT__synth_${call}`;

/** The machine code of a function as objtool leaves it: fentry call and static branches already NOPs. */
export function encodeFunction(fn: SynthFunction): EncodedFunction {
  const code = new Code();
  const { sites } = code;
  if (fn.endbr) code.put(0xf3, 0x0f, 0x1e, 0xfa);
  if (fn.traced) {
    // The relocation of the call that stood here stays, with type NONE.
    sites.fentry = code.at;
    code.refer(1, R_X86_64_NONE, { name: '__fentry__' }, -4);
    code.put(...NOP5);
  }
  code.put(...PROLOGUE);
  for (const op of fn.ops) {
    code.place(op);
    step(code, op, fn.line);
  }
  code.place(null);
  code.put(...EPILOGUE);
  sites.returns.push(code.at);
  code.refer(1, R_X86_64_PLT32, { name: '__x86_return_thunk' }, -4);
  code.put(0xe9, 0, 0, 0, 0, 0xcc); // jmp __x86_return_thunk; int3 stops straight-line speculation
  return code.finish();
}

function step(code: Code, op: Op, line: number): void {
  const { sites } = code;
  switch (op.kind) {
    case 'plain':
      return code.put(...op.bytes);
    case 'immediate':
      return code.put(0xbe, ...word(op.value));
    case 'call':
      code.refer(1, R_X86_64_PLT32, op.target, -4);
      return code.put(0xe8, 0, 0, 0, 0);
    case 'string':
      code.refer(3, R_X86_64_PC32, { string: op.text }, -4);
      return code.put(0x48, 0x8d, 0x3d, 0, 0, 0, 0);
    case 'load':
      code.refer(3, R_X86_64_PC32, { object: op.object }, op.offset - 4);
      return code.put(0x48, 0x8b, 0x05, 0, 0, 0, 0);
    case 'store':
      // PC-relative to the end of the instruction, which is four bytes of immediate further on.
      code.refer(2, R_X86_64_PC32, { object: op.object }, op.offset - 8);
      return code.put(0xc7, 0x05, 0, 0, 0, 0, ...word(op.value));
    case 'address':
      code.refer(3, R_X86_64_32S, op.target, 0);
      return code.put(0x48, 0xc7, 0xc2, 0, 0, 0, 0);
    case 'branch':
      code.jumpTo(code.at + 2, op.to);
      return code.put(0x0f, op.opcode, 0, 0, 0, 0);
    case 'bug':
      sites.bugs.push({ at: code.at, line: line + op.line, flags: op.flags });
      return code.put(0x0f, 0x0b);
    case 'static-branch':
      code.branchToEnd(op.key);
      return code.put(...NOP5);
    case 'static-call':
      sites.staticCalls.push({ at: code.at, call: op.call });
      code.refer(1, R_X86_64_PLT32, { name: trampolineName(op.call) }, -4);
      return code.put(0xe8, 0, 0, 0, 0);
    case 'alternative': {
      const { feature, replacement, call } = op;
      const length = replacement.length + (call === undefined ? 0 : 5);
      sites.alternatives.push({ at: code.at, length, feature, replacement, ...(call === undefined ? {} : { call }) });
      return code.put(...(length === 5 ? NOP5 : new Array<number>(length).fill(0x90)));
    }
    case 'user-read':
      sites.faults.push({ at: code.at, fixup: code.at + 2 });
      return code.put(0x8b, 0x07);
    case 'runtime-constant':
      sites.runtimeConstants.push(code.at + 2);
      return code.put(...RUNTIME_CONSTANT);
  }
}

function word(value: number): [number, number, number, number] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

/** Code under construction, in a buffer that all functions share. */
class Code {
  private static readonly scratch = new Uint8Array(1 << 16);
  private static readonly view = new DataView(Code.scratch.buffer);

  at = 0;
  readonly sites: Sites = { fentry: null, returns: [], bugs: [], branches: [], staticCalls: [], alternatives: [], faults: [], runtimeConstants: [] };
  private readonly refs: CodeRef[] = [];
  /** Where each op starts; the end, which stands for `null`, included. */
  private readonly places = new Map<Op | null, number>();
  private readonly jumps: Array<{ field: number; to: Op | null }> = [];

  put(...bytes: number[]): void {
    Code.scratch.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** A relocation `ahead` bytes from here. */
  refer(ahead: number, type: number, target: Target, addend: number): void {
    this.refs.push({ offset: this.at + ahead, type, target, addend });
  }

  place(op: Op | null): void {
    this.places.set(op, this.at);
  }

  jumpTo(field: number, to: Op | null): void {
    this.jumps.push({ field, to });
  }

  branchToEnd(key: ObjectRef): void {
    this.sites.branches.push({ at: this.at, to: -1, key });
  }

  finish(): EncodedFunction {
    for (const { field, to } of this.jumps) Code.view.setInt32(field, (this.places.get(to) ?? this.places.get(null)!) - field - 4, true);
    for (const branch of this.sites.branches) branch.to = this.places.get(null)!;
    return { bytes: Code.scratch.slice(0, this.at), refs: this.refs, sites: this.sites };
  }
}
