/** Fills the section columns: places, class bits, special-section number, the rela section of each section. */
import { relaSection, relasOf, sectionCell, sectionClass } from './columns';
import { byteAt, header, keepPlace, longOf, sectionName, startsWith, wordOf } from './file';
import {
  CLASS_ALLOC,
  CLASS_DERIVED,
  CLASS_EXEC,
  CLASS_HOT,
  CLASS_NOBITS,
  CLASS_ODD,
  CLASS_READONLY,
  CLASS_STRING,
  CLASS_UNLIKELY,
  CLASS_WRITE,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_MERGE,
  SHF_STRINGS,
  SHF_WRITE,
  SHT_NOBITS,
  SHT_RELA,
} from '../generated/constants';
import { classOfName, twoRelas } from './host';

/**
 * With one section a function 100,000 names are `.text.X`, `.data.X` and the like, which need no look at X, and 44,243 are
 * `__patchable_function_entries`; only the rest is decoded, by the thread.
 */
export function classifySections(from: u32, to: u32): void {
  for (let section = from; section < to; section++) {
    const at = header(section);
    keepPlace(section, at);
    const type = wordOf(at + 4);
    const flags = <u32>longOf(at + 8);
    if (type == SHT_RELA) {
      // ElfObject.open has compared it with the count of sections. A second rela section for one target would be read as the only one: refuse instead.
      const target = wordOf(at + 44);
      if (relasOf(target) != 0) twoRelas(target, relasOf(target), section);
      store<u32>(sectionCell(relaSection, target, 2), section);
      continue;
    }
    let bits: u32 = 0;
    if ((flags & SHF_ALLOC) != 0) bits |= CLASS_ALLOC;
    if ((flags & SHF_EXECINSTR) != 0) bits |= CLASS_EXEC;
    if ((flags & SHF_WRITE) != 0) bits |= CLASS_WRITE;
    if (type == SHT_NOBITS) bits |= CLASS_NOBITS;
    if ((flags & SHF_MERGE) != 0 && (flags & SHF_STRINGS) != 0) bits |= CLASS_STRING;
    if ((flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR)) == SHF_ALLOC) bits |= CLASS_READONLY;

    const name = sectionName(section);
    if (isNamed(name, '.text.hot')) bits |= CLASS_HOT;
    if (isNamed(name, '.text.unlikely')) bits |= CLASS_UNLIKELY;
    if (startsWith(name, '__patchable_function_entries')) bits |= CLASS_DERIVED;
    else if (!isPlain(name)) {
      if (isOdd(name)) bits |= CLASS_ODD;
      if ((flags & SHF_ALLOC) != 0 || startsWith(name, '.')) bits |= classOfName(section, flags);
    }
    store<u32>(sectionCell(sectionClass, section, 2), bits);
  }
}

/** Fills the places alone, of a table that was recorded. */
export function placeSections(from: u32, to: u32): void {
  for (let section = from; section < to; section++) keepPlace(section, header(section));
}

/** Whether the name is `text` or begins with it and a dot. */
function isNamed(name: u32, text: string): bool {
  if (!startsWith(name, text)) return false;
  const next = byteAt(name + text.length);
  return next == 0 || next == 0x2e;
}

/** Whether the name is of a kind whose flags say it all: `.text.X`, `.bss.X`, `.data.X`, `.rodata.X`. */
function isPlain(name: u32): bool {
  if (startsWith(name, '.text.')) return true;
  if (startsWith(name, '.bss.')) return !startsWith(name, '.bss..');
  if (startsWith(name, '.data.')) return !startsWith(name, '.data..') && !startsWith(name, '.data.rel.ro');
  return startsWith(name, '.rodata.') && !startsWith(name, '.rodata.cst');
}

/** Whether a name that is not plain is one of its own: a table that is read entry by entry, a note for tools. */
function isOdd(name: u32): bool {
  const first = byteAt(name);
  if (first != 0x2e) return first != 0;
  const second = byteAt(name + 1);
  // `.text`, `.rela` and `.rodata`, `.data` and `.debug`, `.bss`
  return second != 0x74 && second != 0x72 && second != 0x64 && second != 0x62;
}
