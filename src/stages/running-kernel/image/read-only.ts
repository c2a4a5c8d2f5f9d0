import { RELA_WORDS, R_OFFSET, R_SYM, u64, type SymbolIndex } from '../../../elf';
import { diagnostic, type Diagnostic } from '../../../diagnostics';
import { Kind } from '../../scan';
import type { Side } from '../../side/side';
import type { KernelCode } from './kernel-code';

export interface StoresInput {
  orig: Side;
  patched: Side;
  kernel: KernelCode;
  /** Functions of PATCHED that go in, with what they stand for in ORIG, 0 for nothing. */
  included: ReadonlyArray<{ symbol: SymbolIndex; origin: SymbolIndex }>;
}

/**
 * Stores of included functions to variables of other units that the kernel keeps read-only. A unit by itself does not tell: `extern` has no section, and who declares
 * `rodata_enabled` or `nr_cpu_ids` sees a plain variable that is `__ro_after_init` where it is defined. Such a store faults. What ORIG's function writes as well
 * it does where it may, before the kernel protects it.
 */
export function storesToReadOnly({ orig, patched, kernel, included }: StoresInput): Diagnostic[] {
  const known = new Map<string, Protection>();
  const protectionOf = (name: string): Protection => {
    if (!known.has(name)) known.set(name, protectionByName(kernel, name));
    return known.get(name);
  };
  const found: Diagnostic[] = [];
  for (const { symbol, origin } of included) {
    const stored = storedTo(patched, symbol, protectionOf);
    if (stored.size === 0) continue;
    const before = origin === 0 ? NOTHING : storedTo(orig, origin, protectionOf);
    for (const [name, at] of stored) {
      if (before.has(name)) continue;
      found.push(
        diagnostic(
          'changed-placement',
          `${patched.name(symbol)} writes to ${name}, which is ${protectionOf(name)} in ${kernel.listing.path}`,
          {
            object: patched.object.path,
            section: patched.sectionName(symbol),
            symbol: name,
            offset: at,
          },
        ),
      );
    }
  }
  return found;
}

const NOTHING: ReadonlyMap<string, number> = new Map();

type Protection = ReturnType<KernelCode['protectionOf']>;

/** Of a name that the kernel has once: of several nothing tells which is meant. */
function protectionByName(kernel: KernelCode, name: string): Protection {
  const bytes = Buffer.from(name, 'utf8');
  const [address, ...others] = kernel.addressesOf(bytes, 0, bytes.length);
  return address === undefined || others.length > 0 ? undefined : kernel.protectionOf(address);
}

/** Undefined names of protected variables that a function's instructions write to, each with its first field. Only what refers to one is decoded. */
function storedTo(side: Side, symbol: SymbolIndex, protectionOf: (name: string) => Protection): Map<string, number> {
  const { table, object, identity } = side;
  const { section, start, end } = side.rangeOf(symbol);
  const code = object.content(section).subarray(start, end);
  const found = new Map<string, number>();
  const { words, at: first, stop } = identity.relas.select(section, start, end);
  for (let i = first; i < stop; i += RELA_WORDS) {
    const offset = u64(words, i + R_OFFSET);
    const target = words[i + R_SYM]!;
    if (offset < start || offset >= end || target >= table.symbols || table.kind[target] !== Kind.UNDEFINED) continue;
    const name = side.name(target);
    if (found.has(name) || protectionOf(name) === undefined) continue;
    if (side.disassembler.access(code, offset - start) === 'write') found.set(name, offset - start);
  }
  return found;
}
