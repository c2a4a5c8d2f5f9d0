import type { ElfObject } from '../../../elf';
import type { Chunks } from './chunks';
import type { References } from './reference';
import type { Relocations } from './relocations';
import type { ChecksumSymbols } from './symbols';

/** Adds an object's identity: size, bytes, and what each of its fields refers to. `tell` is told each part after it was added. */
export function addData(
  chunks: Chunks,
  symbol: number,
  {
    elf,
    symbols,
    relocations,
    references,
  }: { elf: ElfObject; symbols: ChecksumSymbols; relocations: Relocations; references: References },
  tell: (offset: number, what: string) => void,
): void {
  const [section, start, size] = [symbols.section[symbol]!, symbols.value(symbol), symbols.size(symbol)];
  const part = (offset: number, what: string, content: () => void): void => {
    chunks.at(offset, content);
    tell(offset, what);
  };
  part(0, 'len', () => chunks.u32(size));
  if (references.hasBytes(symbol))
    part(0, 'data', () => chunks.bytes(elf.content(section), start, Math.min(start + size, elf.size(section))));
  for (const { offset, symbol: target, addend } of relocations.within(section, start, start + size)) {
    const at = offset - start;
    if (references.isString(target)) {
      part(at, 'reloc string', () => references.string(chunks, target, addend));
      continue;
    }
    const named = references.named(target, addend);
    if (named === undefined) continue;
    part(at, 'reloc name', () => chunks.bytes(symbols.demangled(named.symbol)));
    part(at, 'reloc addend', () => chunks.u64(named.offset));
  }
}
