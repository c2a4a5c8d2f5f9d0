import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS } from '../../elf';
import type { Module } from '../module';
import { covering, targetInData, type Target } from '../references';
import { identityInModule, identityInObject, refersToSame } from './identity';
import type { ReferenceObject } from './object';

/** The compiler's own data points to data that points to text: `.data..Lubsan_data167` to a type and a file. */
const DEEPEST = 4;

/**
 * Whether a place of writable data without a name is the same in a module, by its initial content up to the end of its section, and what that refers to. GCC
 * describes each checked array index so (CONFIG_UBSAN_BOUNDS, Debian's 7.3): with labels that no symbol table has.
 */
export function sameAnonymous(
  module: Module,
  target: Target,
  object: ReferenceObject,
  place: { symbol: number; offset: number },
  depth = 0,
): boolean {
  if (target.in !== 'module' || depth > DEEPEST) return false;
  const { elf } = object;
  const { section, value } = object.symbol(place.symbol);
  const [at, size, flags] = [value + place.offset, elf.size(section), elf.sectionFlags(section)];
  if ((flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR)) !== (SHF_ALLOC | SHF_WRITE)) return false;
  if (elf.type(section) === SHT_NOBITS || at < 0 || at >= size) return false;
  object.readSymbols(new Set([section]));
  if (object.symbolsIn(section).length > 0) return false;
  const { section: ours, offset } = target;
  const align = elf.align(section) || 1;
  const aligned = ours.align % align === 0 && (offset - at) % align === 0;
  if (!aligned || ours.bytes.length < offset + size - at || covering(module, ours, offset) !== undefined) return false;

  const theirs = object.relas(section, (field) => field >= at && field < size);
  const mine = new Map(module.relasIn(ours, offset, offset + size - at).map((rela) => [rela.offset - offset, rela]));
  if (mine.size !== theirs.length) return false;
  object.readSymbols(new Set(theirs.map(({ symbol }) => object.sectionOf(symbol))));
  const filled = new Uint8Array(size - at);
  for (const { offset: field, type, symbol, addend } of theirs) {
    const rela = mine.get(field - at);
    if (rela === undefined || rela.type !== type) return false;
    filled.fill(1, field - at, field - at + (module.machine.widths[type] ?? 4));
    const pointed = targetInData(module, rela);
    if (
      !refersToSame(identityInObject(object, symbol, addend), identityInModule(module, pointed)) &&
      !sameAnonymous(module, pointed, object, { symbol, offset: addend }, depth + 1)
    )
      return false;
  }
  const content = elf.content(section).subarray(at, size);
  return content.every((byte, i) => filled[i] === 1 || byte === ours.bytes[offset + i]);
}
