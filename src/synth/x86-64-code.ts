import { R_X86_64_32S, R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PLT32 } from '../elf/constants';
import { CodeBuffer } from './code-buffer';
import type { EncodedFunction } from './encoded';
import type { Op, SynthFunction } from './model';
import { trampolineName } from './static-calls';

/** Prefix bytes before each function (CONFIG_CALL_PADDING), and their alignment. */
export const PADDING = 16;
/** objtool names these NOPs `__pfx_`. */
const NOPS = new Uint8Array(PADDING).fill(0x90);

export const ENDBR64 = [0xf3, 0x0f, 0x1e, 0xfa];
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

/** The machine code of a function as objtool leaves it: fentry call and static branches already NOPs. */
export function encodeX8664(fn: SynthFunction): EncodedFunction {
  const code = new CodeBuffer(NOPS, (view, at, to) => view.setInt32(at + 2, to - at - 6, true));
  const { sites } = code;
  if (fn.endbr) code.put(ENDBR64);
  if (fn.traced) {
    // The relocation of the call that stood here stays, with type NONE.
    sites.fentry = code.at;
    code.refer(1, R_X86_64_NONE, { name: '__fentry__' }, -4);
    code.put(NOP5);
  }
  code.body(fn, PROLOGUE, EPILOGUE, step);
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
      return code.jump([0x0f, op.condition, 0, 0, 0, 0], op.over);
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
