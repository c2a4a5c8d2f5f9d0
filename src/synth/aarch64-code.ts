import { R_AARCH64 } from './aarch64-relocations';
import { CodeBuffer, type JumpWriter } from './code-buffer';
import type { EncodedFunction } from './encoded';
import { word } from './halves';
import type { Op, SynthFunction, SynthTarget } from './model';
import { append } from '../lists';
import { mix } from './random';
import { trampolineName } from './static-calls';

export const NOP = word(0xd503201f);
const NOTHING = new Uint8Array(0);
/** paciasp; stp x29,x30,[sp,#-32]!; str x19,[sp,#16]; mov x29,sp */
const PROLOGUE = [0xd503233f, 0xa9be7bfd, 0xf9000bf3, 0x910003fd].flatMap(word);
/** ldr x19,[sp,#16]; ldp x29,x30,[sp],#32; autiasp */
const EPILOGUE = [0xf9400bf3, 0xa8c27bfd, 0xd50323bf].flatMap(word);
export const RET = word(0xd65f03c0);
const BL = word(0x94000000);
/** adrp with the register that what follows uses; add, loads by x8 and a store by x10. */
const ADRP = (register: number): number[] => word(0x90000000 | register);
const ADD = (register: number): number[] => word(0x91000000 | (register << 5) | register);
const LDR_X8 = word(0xf9400108);
const LDR_W8 = word(0xb9400108);
const LDRB_W8 = word(0x39400108);
const STR_W9 = word(0xb9000149);
/** brk #0x800, of which the handler knows that it is a WARN or a BUG. */
const BRK = word(0xd4210000);
/** ldtr w8,[x0] */
const LDTR = word(0xb8400808);
/** movz and three movk into x8: the placeholder 0x0123456789abcdef that runtime_const_ptr() leaves. */
const RUNTIME_CONSTANT = [0xd299bde8, 0xf2b13568, 0xf2c8ace8, 0xf2e02468].flatMap(word);

/** kCFI's hash of `int (void)`, which initcalls have, and of some other types. */
const INT_VOID = 0x36b1c5a6;
const TYPES = [INT_VOID, 0xa540670c, 0xde073954, 0xc83d1a17];

/** b.cond */
const writeJump: JumpWriter = (view, at, to) =>
  view.setUint32(at, view.getUint32(at, true) | ((((to - at) >> 2) & 0x7ffff) << 5), true);

/** The machine code of a function as the compiler leaves it: no tool goes over it before kernels boot. */
export function encodeAarch64(fn: SynthFunction): EncodedFunction {
  const code = new CodeBuffer(fn.hashed ? Uint8Array.from(word(typeHash(fn))) : NOTHING, writeJump);
  if (fn.traced) code.put([...NOP, ...NOP]);
  code.body(fn, PROLOGUE, EPILOGUE, step);
  code.put(RET);
  return code.finish();
}

/** Of what type it is does not matter, as long as it stays so. */
function typeHash({ name, placed }: SynthFunction): number {
  return placed === 'init' ? INT_VOID : TYPES[mix(name.length, name.charCodeAt(name.length >> 1)) % TYPES.length]!;
}

function step(code: CodeBuffer, op: Op, line: number): void {
  const { sites } = code;
  switch (op.kind) {
    case 'plain':
      return code.put(op.bytes);
    case 'immediate':
      return code.word(move(1, op.value));
    case 'call':
      code.refer(0, R_AARCH64.CALL26, op.target, 0);
      return code.put(BL);
    case 'string':
      return pair(code, 0, { string: op.text }, 0, R_AARCH64.ADD_ABS_LO12_NC, ADD(0));
    case 'load':
      return load(code, { object: op.object }, op.offset, op.size);
    case 'store':
      code.word(move(9, op.value));
      return pair(code, 10, { object: op.object }, op.offset, R_AARCH64.LDST32_ABS_LO12_NC, STR_W9);
    case 'address':
      return pair(code, 2, op.target, 0, R_AARCH64.ADD_ABS_LO12_NC, ADD(2));
    case 'load-name':
      return load(code, { name: op.name }, 0, 8);
    case 'branch':
      return code.jump(word(0x54000000 | op.condition), op.over);
    case 'bug':
      sites.bugs.push({ at: code.at, line: line + op.line, flags: op.flags });
      return code.put(BRK);
    case 'static-branch':
      code.branchToEnd(op.key);
      return code.put(NOP);
    case 'static-call':
      code.refer(0, R_AARCH64.CALL26, { name: trampolineName(op.call) }, 0);
      return code.put(BL);
    case 'alternative':
      return alternative(code, op);
    case 'user-read':
      sites.faults.push({ at: code.at, fixup: code.at + LDTR.length });
      return code.put(LDTR);
    case 'runtime-constant':
      sites.runtimeConstants.push(code.at);
      return code.put(RUNTIME_CONSTANT);
    // Indirect calls and atomic instructions are in no table here: `runs` have them.
    case 'retpoline':
    case 'locked':
      return;
  }
}

/** movz of a 32-bit register */
function move(register: number, value: number): number {
  return (0x52800000 | ((value & 0xffff) << 5) | register) >>> 0;
}

/** An address in two parts: its page into the register, and what `second` does with the rest. */
function pair(
  code: CodeBuffer,
  register: number,
  target: SynthTarget,
  addend: number,
  type: number,
  second: readonly number[],
): void {
  code.refer(0, R_AARCH64.ADR_PREL_PG_HI21, target, addend);
  code.put(ADRP(register));
  code.refer(0, type, target, addend);
  code.put(second);
}

/** As wide as the object allows: the offset of a wide one counts in units of its width. */
function load(code: CodeBuffer, target: SynthTarget, offset: number, size: number): void {
  if (size >= 8) return pair(code, 8, target, offset, R_AARCH64.LDST64_ABS_LO12_NC, LDR_X8);
  if (size >= 4) return pair(code, 8, target, offset, R_AARCH64.LDST32_ABS_LO12_NC, LDR_W8);
  return pair(code, 8, target, offset, R_AARCH64.LDST8_ABS_LO12_NC, LDRB_W8);
}

/** The replacement stands behind the function, in its section; a function of the kernel's writes what has none. */
function alternative(code: CodeBuffer, op: Extract<Op, { kind: 'alternative' }>): void {
  const { feature, replacement, call, original = NOP } = op;
  code.sites.alternatives.push({
    at: code.at,
    length: original.length,
    feature,
    replacement,
    ...(call === undefined ? { behind: code.tail.length } : { call }),
  });
  append(code.tail, replacement);
  code.put(original);
}
