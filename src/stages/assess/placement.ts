import type { SymbolIndex } from '../../elf';
import type { Access } from '../../arch';
import { SectionClass } from '../../kernel/section-class';
import type { Side } from '../side/side';
import { Trait } from '../scan';
import { guaranteedAlignment, neededAlignment } from './alignment';

/** Memory of a kind that code relies on: a variable of one is never a variable of another. */
const KINDS: ReadonlyArray<readonly [bit: number, what: string]> = [
  [SectionClass.PERCPU, 'one copy a processor'],
  [SectionClass.DECRYPTED, 'memory that the hypervisor can read'],
];

export interface Misplaced {
  code: 'changed-placement' | 'raised-alignment';
  /** Completes "f refers to". */
  message: string;
}

/**
 * Why code that counts on PATCHED's variable cannot have the running kernel's in its place: a klp relocation leads to where the variable
 * lies, with the protection, the kind of memory and the alignment that it has there. GCC puts a static that nothing writes into
 * `.rodata`, no `const` needed, so one new store is enough.
 *
 * What is read-only in both builds may still be written to in PATCHED, which then faults as the livepatch would. That is refused, too, unless
 * ORIG's code does so already: what boot code alone calls writes to `.data..ro_after_init`, and is never called again.
 *
 * @param access what the code does with it
 * @param wroteBefore whether the same code of ORIG writes to it
 */
export function misplaced(
  orig: Side,
  patched: Side,
  twin: SymbolIndex,
  symbol: SymbolIndex,
  access: () => Access,
  wroteBefore: () => boolean,
): Misplaced | undefined {
  const [a, b] = [bitsOf(orig, twin), bitsOf(patched, symbol)];
  if (a === undefined || b === undefined) return undefined;
  const name = orig.name(twin);
  const places = `${name}, which lies in ${orig.sectionName(twin)} of the running kernel and in ${patched.sectionName(symbol)} of PATCHED`;
  for (const [bit, what] of KINDS)
    if (((a ^ b) & bit) !== 0) return { code: 'changed-placement', message: `${places}: only one of them is ${what}` };
  if (writability(b) > writability(a) && access() !== 'read') {
    return {
      code: 'changed-placement',
      message: `${places}: it is read-only${writability(a) === 1 ? ' after boot' : ''}, and this may write to it`,
    };
  }
  if (writability(a) < 2 && writability(b) < 2 && access() === 'write' && !wroteBefore()) {
    return {
      code: 'changed-placement',
      message: `${name}, which is read-only${writability(a) === 1 ? ' after boot' : ''} in ${orig.sectionName(twin)}, and this writes to it`,
    };
  }
  const [given, needed] = [guaranteedAlignment(orig, twin), neededAlignment(patched, symbol)];
  if (needed > given)
    return {
      code: 'raised-alignment',
      message: `${name}, which is aligned to ${given} bytes in the running kernel and to ${needed} in PATCHED`,
    };
  return undefined;
}

function bitsOf({ table }: Side, symbol: SymbolIndex): number | undefined {
  const section = table.section[symbol]!;
  return table.has(symbol, Trait.OBJECT) && section < table.sections ? table.sectionClass[section]! : undefined;
}

/** 0: never written; 1: by boot code; 2: at any time. */
function writability(bits: number): number {
  return (bits & SectionClass.READONLY) !== 0 ? 0 : (bits & SectionClass.RO_AFTER_INIT) !== 0 ? 1 : 2;
}
