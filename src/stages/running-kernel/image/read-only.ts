import { RELA_WORDS, R_OFFSET, R_SYM, u64 } from '../../../elf';
import { diagnostic, type Diagnostic } from '../../../diagnostics';
import { Kind } from '../../scan';
import type { Side } from '../../side/side';
import type { KernelCode } from './kernel-code';

export interface StoresInput {
  orig: Side;
  patched: Side;
  kernel: KernelCode;
  /** Functions of PATCHED that go in, with what they stand for in ORIG, 0 for nothing. */
  included: ReadonlyArray<{ symbol: number; origin: number }>;
}

/**
 * Stores of included functions to variables of other units that the kernel keeps read-only. A unit by itself does not tell: `extern` has no section, and who declares
 * `rodata_enabled` or `nr_cpu_ids` sees a plain variable that is `__ro_after_init` where it is defined. Such a store faults. What ORIG's function writes as well
 * it does where it may, before the kernel protects it.
 */
export function storesToReadOnly({ orig, patched, kernel, included }: StoresInput): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const { symbol, origin } of included) {
    const before = origin === 0 ? new Set<string>() : new Set(storedTo(orig, origin).map(({ name }) => name));
    for (const { name, at } of storedTo(patched, symbol)) {
      const bytes = Buffer.from(name, 'utf8');
      const [address, ...others] = kernel.addressesOf(bytes, 0, bytes.length);
      if (before.has(name) || address === undefined || others.length > 0) continue;
      const how = kernel.protectionOf(address);
      if (how === undefined) continue;
      found.push(
        diagnostic(
          'changed-placement',
          `${patched.name(symbol)} writes to ${name}, which is ${how} in ${kernel.listing.path}`,
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

/** Undefined names that a function's instructions write to, each once. */
function storedTo(side: Side, symbol: number): Array<{ name: string; at: number }> {
  const { table, object, identity, disassembler } = side;
  const { section, start, end } = side.rangeOf(symbol);
  const found = new Map<string, number>();
  const { words, at: first, stop } = identity.relas.select(section, start, end);
  const fields: Array<[symbol: number, at: number]> = [];
  for (let i = first; i < stop; i += RELA_WORDS) {
    const offset = u64(words, i + R_OFFSET);
    const target = words[i + R_SYM]!;
    if (offset >= start && offset < end && target < table.symbols && table.kind[target] === Kind.UNDEFINED)
      fields.push([target, offset - start]);
  }
  if (fields.length === 0) return [];
  const code = object.content(section).subarray(start, end);
  for (const [target, at] of fields)
    if (disassembler.access(code, at) === 'write' && !found.has(side.name(target))) found.set(side.name(target), at);
  return [...found].map(([name, at]) => ({ name, at }));
}
