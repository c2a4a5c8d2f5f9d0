/** A variable as a unit's object has it: its bytes, and what its pointers lead to. */
import { archOf } from '../../arch';
import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHF_STRINGS,
  SHT_NOBITS,
  SHT_RELA,
  STT_OBJECT,
  STT_SECTION,
  ST_INFO,
  ST_SIZE,
  SYM_WORDS,
  s64,
  u64,
  type ElfObject,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';

/** What a field refers to. */
export type Target =
  | { kind: 'symbol'; name: string; addend: number }
  | { kind: 'text'; text: string }
  /** Anything that has no name by which the livepatch could find it. */
  | { kind: 'nameless'; what: string };

export interface Variable {
  name: string;
  section: string;
  size: number;
  /** Of its address. */
  align: number;
  bytes: Uint8Array;
  /** By offset in the variable; a field that is no pointer of eight bytes has no target. */
  targets: Map<number, Target | null>;
}

/** Variables of a name; several where a function has a static of it, too. */
export function variablesNamed(object: ElfObject, name: string): Variable[] {
  const found: Variable[] = [];
  for (let symbol = 1; symbol < object.symbolCount; symbol++) {
    if ((infoOf(object, symbol) & 0xf) !== STT_OBJECT || object.symbolName(symbol) !== name) continue;
    const section = object.sectionOf(symbol);
    if (section !== undefined) found.push(variableOf(object, symbol, section));
  }
  return found;
}

/** Whether an object defines a symbol of this name, and not only refers to one. */
export function defines(object: ElfObject, name: string): boolean {
  for (let symbol = 1; symbol < object.symbolCount; symbol++)
    if (object.symbolName(symbol) === name && object.sectionOf(symbol) !== undefined) return true;
  return false;
}

function variableOf(object: ElfObject, symbol: SymbolIndex, section: SectionIndex): Variable {
  const start = object.symbolValue(symbol);
  const size = u64(object.symbols, symbol * SYM_WORDS + ST_SIZE);
  const bytes =
    object.type(section) === SHT_NOBITS ? new Uint8Array(size) : object.content(section).subarray(start, start + size);
  return {
    name: object.symbolName(symbol),
    section: object.name(section),
    size,
    align: lowestBit(start | Math.max(1, object.align(section))),
    bytes,
    targets: targetsOf(object, section, start, start + size),
  };
}

function targetsOf(object: ElfObject, section: SectionIndex, start: number, end: number): Variable['targets'] {
  const targets: Variable['targets'] = new Map();
  const { address64 } = archOf(object.machine, object.path);
  for (let relas = 1; relas < object.sectionCount; relas++) {
    if (object.type(relas) !== SHT_RELA || object.info(relas) !== section) continue;
    const words = object.relas(relas);
    for (let i = 0; i < words.length; i += RELA_WORDS) {
      const at = u64(words, i + R_OFFSET);
      if (at < start || at >= end) continue;
      const wide = words[i + R_TYPE] === address64 && (at - start) % 8 === 0;
      targets.set(at - start, wide ? targetOf(object, words[i + R_SYM]!, s64(words, i + R_ADDEND)) : null);
    }
  }
  return targets;
}

function targetOf(object: ElfObject, symbol: SymbolIndex, addend: number): Target {
  if (symbol >= object.symbolCount) return { kind: 'nameless', what: 'no symbol' };
  const section = object.sectionOf(symbol);
  const info = infoOf(object, symbol);
  if (section === undefined) return { kind: 'symbol', name: object.symbolName(symbol), addend };
  const place = object.symbolValue(symbol) + addend;
  if ((object.sectionFlags(section) & SHF_STRINGS) !== 0) return textAt(object, section, place);
  if ((info & 0xf) !== STT_SECTION && !/^\.L/.test(object.symbolName(symbol)))
    return { kind: 'symbol', name: object.symbolName(symbol), addend };
  // The assembler writes a local symbol as its section and an offset.
  for (let other = 1; other < object.symbolCount; other++) {
    if ((infoOf(object, other) & 0xf) === STT_SECTION || object.sectionOf(other) !== section) continue;
    const from = object.symbolValue(other);
    const size = u64(object.symbols, other * SYM_WORDS + ST_SIZE);
    if (place >= from && place < from + size)
      return { kind: 'symbol', name: object.symbolName(other), addend: place - from };
  }
  return { kind: 'nameless', what: `a place in ${object.name(section)}` };
}

function textAt(object: ElfObject, section: SectionIndex, place: number): Target {
  const content = object.content(section);
  const end = content.indexOf(0, place);
  return {
    kind: 'text',
    text: Buffer.from(content.subarray(place, end < 0 ? content.length : end)).toString('latin1'),
  };
}

function infoOf(object: ElfObject, symbol: SymbolIndex): number {
  return object.symbols[symbol * SYM_WORDS + ST_INFO]! & 0xff;
}

function lowestBit(value: number): number {
  return value & -value;
}
