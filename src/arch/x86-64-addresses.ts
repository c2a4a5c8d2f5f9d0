import type * as Iced from 'iced-x86';
import type { Access, AddressQuery, Callee, Kept } from './addresses';
import { RSP, effectsOf, type Effects } from './x86-64-effects';

/** What the instruction at the field does with the variable that the field names. */
export function accessAt(iced: typeof Iced, code: Uint8Array, field: number): Access {
  const found = effectsOf(iced, code).find(({ offset, length }) => field >= offset && field < offset + length);
  if (found === undefined) return 'unknown';
  if (field === found.offset + found.immediate) return 'address';
  if (field !== found.offset + found.displacement) return 'unknown';
  // PREFETCH and long NOPs have an operand and touch nothing.
  return found.memory === 'none' ? 'read' : found.memory;
}

const RAX = 1 << 0;
const RSI = 1 << 6;
/** rdi, rsi, rdx, rcx, r8, r9. */
const ARGUMENTS = (1 << 7) | (1 << 6) | (1 << 2) | (1 << 1) | (1 << 8) | (1 << 9);
/** What a called function may overwrite: the arguments, rax, r10, r11. */
const CLOBBERED = ARGUMENTS | RAX | (1 << 10) | (1 << 11);
/** Stands for the stack among the registers that hold an address. */
const SPILLED = 1 << 16;
const ADDRESS = 8;

/**
 * What becomes of addresses that code takes, followed through its registers, its stack as one place and all its branches: a loop over
 * a table keeps nothing, `ops = &table` does. Errs on the side of keeping.
 */
export function keptAddresses(iced: typeof Iced, code: Uint8Array, { fields, callees, deep }: AddressQuery): Kept[] {
  const list = effectsOf(iced, code);
  const byOffset = new Map(list.map(({ offset }, i) => [offset, i]));
  const stackTaken = list.some(
    (one) => (one.memory === 'address' && (one.base & (1 << RSP)) !== 0) || (one.memory === 'address' && one.fromStack),
  );
  const states = new Int32Array(list.length).fill(-1);
  const kept = new Set<Kept>();
  const open: number[] = [];
  const flow = (to: number, state: number): void => {
    if (to >= list.length) return;
    const joined = states[to] === -1 ? state : states[to]! | state;
    if (joined === states[to]) return;
    states[to] = joined;
    open.push(to);
  };
  const names = ({ offset }: Effects, part: number): boolean => part >= 0 && fields.has(offset + part);
  if (list.length > 0) flow(0, 0);
  for (let i = open.pop(); i !== undefined; i = open.pop()) {
    const one = list[i]!;
    const before = states[i]!;
    const taken = names(one, one.immediate) || (one.memory === 'address' && names(one, one.displacement));
    const direct = one.memory !== 'address' && names(one, one.displacement);
    const loaded =
      one.width === ADDRESS &&
      ((deep && (direct || ((before & one.base) !== 0 && one.memory === 'read'))) ||
        (one.fromStack && (before & SPILLED) !== 0));
    const used = one.memory === 'address' ? one.reads | one.base : one.reads;
    const value = (before & used) !== 0 || taken || loaded;
    let after = before;
    if (one.copies) {
      if (deep && (before & RSI) !== 0) kept.add('memory');
    } else if (one.stores !== 'none' && value && one.result !== 'number' && (one.width === ADDRESS || one.pushes)) {
      if (one.pushes) kept.add('call');
      else if (one.stores === 'stack') after |= SPILLED;
      else kept.add(one.stores === 'variable' ? 'variable' : 'memory');
    }
    if (!one.copies) {
      // The distance between two addresses is no address.
      const distance = one.result === 'difference' && (taken || popcount(before & one.reads) > 1);
      after = value && !distance && one.result !== 'number' ? after | one.writes : after & ~one.writes;
    }
    const callee = calleeOf(one, callees);
    const external = callee !== undefined || one.target < 0 || one.target >= code.length;
    const returns = one.control === 'return' || callee === 'return';
    const leaves =
      !returns &&
      callee !== 'harmless' &&
      (one.control === 'call' ||
        one.control === 'indirect' ||
        ((one.control === 'jump' || one.control === 'branch') && external));
    if (leaves && ((before & ARGUMENTS) !== 0 || ((before & SPILLED) !== 0 && stackTaken))) kept.add('call');
    if (returns && (before & RAX) !== 0) kept.add('return');
    if (one.control === 'call') after &= ~CLOBBERED;
    if (one.control === 'next' || one.control === 'branch' || one.control === 'call') flow(i + 1, after);
    if ((one.control === 'jump' || one.control === 'branch') && !external)
      flow(byOffset.get(one.target) ?? list.length, after);
    // A jump table, which is indexed, leads anywhere in the function; what is read from the targets is functions.
    if (one.control === 'indirect' && (one.memory === 'none' || (one.indexed && !direct)))
      for (let to = 0; to < list.length; to++) flow(to, after);
  }
  return [...kept];
}

/** What is known of the function whose name stands in an instruction; undefined where none does. */
function calleeOf({ offset, length, control }: Effects, callees: AddressQuery['callees']): Callee | undefined {
  if (control === 'next') return undefined;
  for (let at = offset + 1; at < offset + length; at++) {
    const callee = callees.get(at);
    if (callee !== undefined) return callee;
  }
  return undefined;
}

function popcount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** `movb $imm, x(%rip)` (c6 05) and `sete x(%rip)` (0f 94 05), or the same with an absolute address (04 25 in place of 05). */
export function storedByte(instruction: Uint8Array): number[] {
  const rex = (instruction[0]! & 0xf0) === 0x40 ? 1 : 0;
  const [first, second, third, fourth] = instruction.subarray(rex);
  const named = (modrm: number | undefined, sib: number | undefined): boolean =>
    modrm === 5 || (modrm === 4 && sib === 0x25);
  if (first === 0xc6 && named(second, third)) return [instruction.at(-1)!];
  return first === 0x0f && (second! & 0xf0) === 0x90 && named(third! & 0xc7, fourth) ? [0, 1] : [];
}
