/** What a finished module writes into variables of the kernel, read from the file: the words that callbacks of `--set-data` go by. */
import { diagnostic, type Diagnostic } from '../../diagnostics';
import {
  ElfObject,
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  SHT_RELA,
  ST_SIZE,
  SYM_WORDS,
  s64,
  u64,
  type SectionIndex,
} from '../../elf';
import { TABLE } from './source';

/** `struct klpflow_word` of klpflow_set_data.h. */
const WORD_BYTES = 40;
const AT = 0;
const SIZE = 8;
const TO = 32;

interface Reference {
  name: string;
  addend: number;
  /** It is the module's own. */
  own: boolean;
}

interface Table {
  bytes: Uint8Array;
  /** By offset in the table. */
  references: Map<number, Reference>;
}

/** A function that boot made no target of indirect calls is called by the copy's address, which dangles when the livepatch is gone. @returns `set-data` */
export function danglingData(module: string): Diagnostic[] {
  const tables = tablesOf(ElfObject.open(module));
  const own = tables.flatMap(({ references }) => [...references.values()]).filter((one) => one.own);
  if (tables.length > 0 && own.length === 0) return [];
  const what =
    tables.length === 0
      ? 'the table of what is set is not in the module'
      : `it would be set to ${own.map(({ name }) => name).join(', ')} of the livepatch itself`;
  return [diagnostic('set-data', `the data cannot be set: ${what}`, { object: module })];
}

/** Words that a livepatch sets: where, by the variable's name, and to what. */
export function dataSetBy(object: ElfObject): Map<string, string> {
  const words = new Map<string, string>();
  for (const { bytes, references } of tablesOf(object)) {
    const text = (at: number): string => {
      const reference = references.get(at);
      const number = Buffer.from(bytes.subarray(at, at + 8)).toString('hex');
      return reference === undefined ? number : `${nameOf(reference.name)}+0x${reference.addend.toString(16)}`;
    };
    for (let at = 0; at + WORD_BYTES <= bytes.length; at += WORD_BYTES)
      words.set(text(at + AT), [SIZE, 16, TO].map((member) => text(at + member)).join());
  }
  return words;
}

function tablesOf(object: ElfObject): Table[] {
  const tables: Table[] = [];
  for (let symbol = 1; symbol < object.symbolCount; symbol++) {
    if (object.symbolName(symbol) !== TABLE) continue;
    const section = object.sectionOf(symbol);
    if (section === undefined) continue;
    const start = object.symbolValue(symbol);
    const end = start + u64(object.symbols, symbol * SYM_WORDS + ST_SIZE);
    tables.push({
      bytes: object.content(section).subarray(start, end),
      references: referencesIn(object, section, start, end),
    });
  }
  return tables;
}

function referencesIn(object: ElfObject, section: SectionIndex, start: number, end: number): Table['references'] {
  const references: Table['references'] = new Map();
  for (let relas = 1; relas < object.sectionCount; relas++) {
    if (object.type(relas) !== SHT_RELA || object.info(relas) !== section) continue;
    const words = object.relas(relas);
    for (let i = 0; i < words.length; i += RELA_WORDS) {
      const at = u64(words, i + R_OFFSET);
      const target = words[i + R_SYM]!;
      if (at < start || at >= end) continue;
      const own = object.sectionOf(target) !== undefined;
      references.set(at - start, { name: object.symbolName(target), addend: s64(words, i + R_ADDEND), own });
    }
  }
  return references;
}

/** `.klp.sym.vmlinux.pipe_max_size,0` is pipe_max_size. */
function nameOf(symbol: string): string {
  return /^\.klp\.sym\.[^.]+\.(.+),\d+$/.exec(symbol)?.[1] ?? symbol;
}
