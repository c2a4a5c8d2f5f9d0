import { R_X86_64_32S, R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PLT32 } from '../elf/constants';
import type { ObjectRef, Op, SynthFunction, SynthTarget } from './model';

/** A relocation in code; `offset` counts from the function's start, `addend` from the target's. */
export interface CodeRef {
  offset: number;
  type: number;
  target: SynthTarget;
  addend: number;
}

/** What tables say about places in a function. All offsets count from its start. */
export interface Sites {
  fentry: number | null;
  returns: number[];
  calls: number[];
  retpolines: number[];
  locks: number[];
  /** Where the stack's layout changes (.orc_unwind_ip). */
  unwinds: number[];
  annotations: number[];
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

const ENDBR64 = [0xf3, 0x0f, 0x1e, 0xfa];
const NOP5 = [0x0f, 0x1f, 0x44, 0x00, 0x00];
const PROLOGUE = [0x55, 0x48, 0x89, 0xe5, 0x53]; // push %rbp; mov %rsp,%rbp; push %rbx
const EPILOGUE = [0x5b, 0x5d]; // pop %rbx; pop %rbp
const RETURN = [0xe9, 0, 0, 0, 0, 0xcc]; // jmp __x86_return_thunk; int3 stops straight-line speculation
const CALL = [0xe8, 0, 0, 0, 0];
const UD2 = [0x0f, 0x0b];
const LEA_RDI = [0x48, 0x8d, 0x3d, 0, 0, 0, 0];
const MOV_RAX = [0x48, 0x8b, 0x05, 0, 0, 0, 0];
const MOV_IMM_RDX = [0x48, 0xc7, 0xc2, 0, 0, 0, 0];
const MOV_IMM_MEMORY = [0xc7, 0x05, 0, 0, 0, 0];
const MOV_IMM_ESI = [0xbe];
const LOCK_INC = [0xf0, 0xff, 0x07];
const MOV_RDI_EAX = [0x8b, 0x07];
/** movabs $0x123456789abcdef,%r9: the placeholder that the kernel's runtime_const_ptr() leaves. */
const RUNTIME_CONSTANT = [0x49, 0xb9, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01];
/** Name of the trampoline of static call `call`. */
export const trampolineName = (call: number): string => `__SCT__synth_${call}`;

/** The machine code of a function as objtool leaves it: fentry call and static branches already NOPs. */
export function encodeFunction(fn: SynthFunction): EncodedFunction {
  const code = new CodeBuffer();
  const { sites } = code;
  if (fn.endbr) code.put(ENDBR64);
  if (fn.traced) {
    // The relocation of the call that stood here stays, with type NONE.
    sites.fentry = code.at;
    code.refer(1, R_X86_64_NONE, { name: '__fentry__' }, -4);
    code.put(NOP5);
  }
  if (!fn.leaf) code.put(PROLOGUE);
  for (const op of fn.ops) {
    code.places.push(code.at);
    step(code, op, fn.line);
  }
  code.places.push(code.at);
  if (!fn.leaf) code.put(EPILOGUE);
  sites.returns.push(code.at);
  code.refer(1, R_X86_64_PLT32, { name: '__x86_return_thunk' }, -4);
  code.put(RETURN);
  sites.unwinds = code.spread(fn.unwinds);
  sites.annotations = code.spread(fn.annotations);
  return code.finish();
}

function step(code: CodeBuffer, op: Op, line: number): void {
  const { sites } = code;
  switch (op.kind) {
    case 'plain':
      return code.put(op.bytes);
    case 'immediate':
      code.put(MOV_IMM_ESI);
      return code.word(op.value);
    case 'call':
      if (op.site) sites.calls.push(code.at);
      code.refer(1, op.direct === true ? R_X86_64_PC32 : R_X86_64_PLT32, op.target, -4);
      return code.put(CALL);
    case 'string':
      code.refer(3, R_X86_64_PC32, { string: op.text }, -4);
      return code.put(LEA_RDI);
    case 'load':
      code.refer(3, R_X86_64_PC32, { object: op.object }, op.offset - 4);
      return code.put(MOV_RAX);
    case 'store':
      // PC-relative to the end of the instruction, which is four bytes of immediate further on.
      code.refer(2, R_X86_64_PC32, { object: op.object }, op.offset - 8);
      code.put(MOV_IMM_MEMORY);
      return code.word(op.value);
    case 'address':
      code.refer(3, R_X86_64_32S, op.target, 0);
      return code.put(MOV_IMM_RDX);
    case 'load-name':
      code.refer(3, R_X86_64_PC32, { name: op.name }, -4);
      return code.put(MOV_RAX);
    case 'branch':
      return code.jump(op.opcode, op.over);
    case 'retpoline':
      sites.retpolines.push(code.at);
      code.refer(1, R_X86_64_PLT32, { name: '__x86_indirect_thunk_rax' }, -4);
      return code.put(CALL);
    case 'locked':
      sites.locks.push(code.at);
      return code.put(LOCK_INC);
    case 'bug':
      sites.bugs.push({ at: code.at, line: line + op.line, flags: op.flags });
      return code.put(UD2);
    case 'static-branch':
      code.branchToEnd(op.key);
      return code.put(NOP5);
    case 'static-call':
      sites.staticCalls.push({ at: code.at, call: op.call });
      code.refer(1, R_X86_64_PLT32, { name: trampolineName(op.call) }, -4);
      return code.put(CALL);
    case 'alternative': {
      const { feature, replacement, call } = op;
      const length = replacement.length + (call === undefined ? 0 : 5);
      sites.alternatives.push({ at: code.at, length, feature, replacement, ...(call === undefined ? {} : { call }) });
      return code.put(length === 5 ? NOP5 : new Array<number>(length).fill(0x90));
    }
    case 'user-read':
      sites.faults.push({ at: code.at, fixup: code.at + 2 });
      return code.put(MOV_RDI_EAX);
    case 'runtime-constant':
      sites.runtimeConstants.push(code.at + 2);
      return code.put(RUNTIME_CONSTANT);
  }
}

/** Code under construction, in a buffer that all functions share. */
class CodeBuffer {
  private static readonly scratch = new Uint8Array(1 << 16);
  private static readonly view = new DataView(CodeBuffer.scratch.buffer);

  at = 0;
  readonly sites: Sites = {
    fentry: null,
    returns: [],
    calls: [],
    retpolines: [],
    locks: [],
    unwinds: [],
    annotations: [],
    bugs: [],
    branches: [],
    staticCalls: [],
    alternatives: [],
    faults: [],
    runtimeConstants: [],
  };
  private readonly refs: CodeRef[] = [];
  /** Where each op starts, and behind them the end. */
  readonly places: number[] = [];
  private readonly jumps: Array<{ field: number; op: number }> = [];

  put(bytes: readonly number[]): void {
    for (let i = 0; i < bytes.length; i++) CodeBuffer.scratch[this.at++] = bytes[i]!;
  }

  word(value: number): void {
    CodeBuffer.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  /** A relocation `ahead` bytes from here. */
  refer(ahead: number, type: number, target: SynthTarget, addend: number): void {
    this.refs.push({ offset: this.at + ahead, type, target, addend });
  }

  /** A conditional jump with a 32-bit distance, which `finish` fills in. */
  jump(opcode: number, over: number): void {
    CodeBuffer.scratch[this.at] = 0x0f;
    CodeBuffer.scratch[this.at + 1] = opcode;
    this.jumps.push({ field: this.at + 2, op: this.places.length + over });
    this.at += 6;
  }

  branchToEnd(key: ObjectRef): void {
    this.sites.branches.push({ at: this.at, to: -1, key });
  }

  /** `count` places, spread over the code. */
  spread(count: number): number[] {
    const { places } = this;
    return Array.from({ length: Math.min(count, places.length) }, (_, i) =>
      i === 0 ? 0 : places[Math.floor((i * places.length) / count)]!,
    );
  }

  finish(): EncodedFunction {
    const { places } = this;
    const end = places[places.length - 1]!;
    for (const { field, op } of this.jumps) CodeBuffer.view.setInt32(field, (places[op] ?? end) - field - 4, true);
    for (const branch of this.sites.branches) branch.to = end;
    return { bytes: CodeBuffer.scratch.slice(0, this.at), refs: this.refs, sites: this.sites };
  }
}
