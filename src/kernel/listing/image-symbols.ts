import {
  SHF_ALLOC,
  STB_LOCAL,
  STT_FILE,
  STT_SECTION,
  ST_INFO,
  ST_NAME,
  ST_SIZE,
  ST_VALUE,
  SHN_ABS,
  SYM_WORDS,
  u64,
  type ElfImage,
} from '../../elf';
import { Columns } from './columns';
import { isLeftOut } from './kallsyms';

/**
 * The symbols of a linked image that its kallsyms lists: defined, in loaded sections or absolute and global, without those
 * that the kernel's build leaves out.
 * @throws KlpflowError `malformed-elf`
 */
export function imageColumns(image: ElfImage): Columns {
  const { symbols, symbolCount, strings, bytes } = image;
  const columns = new Columns(bytes, symbolCount);
  const loaded = Array.from(
    { length: image.sectionCount },
    (_, section) => (image.sectionFlags(section) & SHF_ALLOC) !== 0,
  );
  for (let symbol = 1, at = SYM_WORDS; symbol < symbolCount; symbol++, at += SYM_WORDS) {
    const word = symbols[at + ST_INFO]!;
    const type = word & 0xf;
    if (type === STT_SECTION || type === STT_FILE) continue;
    const section = image.sectionOf(symbol);
    if (section === undefined ? word >>> 16 !== SHN_ABS || ((word >>> 4) & 0xf) === STB_LOCAL : !loaded[section])
      continue;
    const start = strings.start + symbols[at + ST_NAME]!;
    if (start >= strings.end)
      image.malformed(
        image.offset(image.symtabSection) + at * 4,
        `symbol ${symbol}: st_name lies outside the string table`,
      );
    let end = start;
    while (bytes[end] !== 0) end++;
    if (end === start || end - start > 0xffff || isLeftOut(bytes, start, end)) continue;
    columns.add(
      start,
      end - start,
      symbols[at + ST_VALUE]!,
      symbols[at + ST_VALUE + 1]!,
      u64(symbols, at + ST_SIZE),
      0,
      symbol,
    );
  }
  return columns;
}
