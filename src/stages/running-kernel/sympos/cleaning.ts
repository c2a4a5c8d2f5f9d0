import type { NameCleaning } from '../../../kernel/listing';
import { SectionClass } from '../../../kernel/section-class';
import type { Side } from '../../side/side';
import { Trait } from '../../scan/traits';

const LITERAL = Buffer.from('\0.llvm.\0', 'latin1');
const CLEANER = 'cleanup_symbol_name';
const BY_NAME = 'kallsyms_seqs_of_names';

/**
 * What the livepatch look-up of the kernel that ORIG is does to names, told by its own code, as stable branches took the
 * changes over and a version proves little: kernels of 6.6 to 6.10 cut at the string ".llvm.", which nothing else of a kernel
 * holds. Before, kallsyms had a function that cuts at the first dot; the look-up by name has used it since there is an
 * index by name (6.2). Without LTO there is nothing to cut.
 */
export function nameCleaning({ object, table }: Side): NameCleaning {
  let promoted = false;
  for (let symbol = 1; symbol < table.symbols && !promoted; symbol++) promoted = table.has(symbol, Trait.PROMOTED);
  if (!promoted) return 'none';
  for (let section = 1; section < table.sections; section++) {
    if (
      (table.sectionClass[section]! & (SectionClass.STRING | SectionClass.ALLOC)) !==
      (SectionClass.STRING | SectionClass.ALLOC)
    )
      continue;
    const content = object.content(section);
    if (Buffer.from(content.buffer, content.byteOffset, content.length).includes(LITERAL) || startsWithLiteral(content))
      return 'llvm';
  }
  let cleaner = false;
  let byName = false;
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    const length = table.nameLength[symbol];
    if (length === CLEANER.length) cleaner ||= object.symbolName(symbol) === CLEANER;
    if (length === BY_NAME.length) byName ||= object.symbolName(symbol) === BY_NAME;
  }
  return cleaner && byName ? 'first-dot' : 'none';
}

function startsWithLiteral(content: Uint8Array): boolean {
  return LITERAL.subarray(1).every((byte, i) => content[i] === byte);
}
