import {
  RELA_SIZE,
  RELA_WORDS,
  R_OFFSET,
  SYM_SIZE,
  u64,
  type ElfObject,
  type Offset,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import type { SharedMemory } from '../scan';
import base64 from './generated/module';
import { FILE_AT, behindFile, grow } from './memory';

/** The functions of wasm/index.ts. Offsets are numbers, which hold those of any file. */
export interface ChecksumFunctions {
  layOut(): number;
  /** Where two words lie that `layOut` gives room to. */
  readonly shards: { readonly value: number };
  classifySections(from: number, to: number): void;
  placeCode(fileSize: number): void;
  readSymbols(from: number, to: number): void;
  startPlaced(): void;
  placeSymbols(from: number, to: number): void;
  orderPlaced(from: number, to: number): void;
  joinColdParts(): void;
  reachPlaced(from: number, to: number): void;
  readAlternatives(): void;
  shareAlternatives(): void;
  hashSymbols(from: number, to: number): void;
  reportSymbol(symbol: SymbolIndex): void;
  nextNamed(from: number, name: number, length: number): number;
  covering(section: SectionIndex, offset: Offset): number;
  countChecksums(): number;
  writeChecksums(content: number, relas: number): void;
}

/** Told after each part of the symbol under way: the part's number, its section and offset, and the hash so far. */
export type ToldPart = (part: number, section: SectionIndex, offset: Offset, hash: bigint) => void;

let compiled: WebAssembly.Module | undefined;

/** One thread's WebAssembly over an object in memory. `told` is called while `reportSymbol` is. */
export function checksumCode(elf: ElfObject, memory: SharedMemory, told: ToldPart): ChecksumFunctions {
  compiled ??= new WebAssembly.Module(Buffer.from(base64, 'base64'));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory }, host: hostOf(elf, memory, told) });
  const globals = exports as Record<string, WebAssembly.Global>;
  const facts: Record<string, number> = {
    file: FILE_AT,
    columns: behindFile(elf),
    symbols: elf.symbolCount,
    sections: elf.sectionCount,
    headers: elf.headersOffset,
    namesStart: elf.sectionNames.start,
    namesEnd: elf.sectionNames.end,
    symtab: elf.symtabSection === 0 ? 0 : elf.offset(elf.symtabSection),
    extended: elf.extendedOffset,
    stringsStart: elf.strings.start,
    stringsEnd: elf.strings.end,
  };
  for (const [name, value] of Object.entries(facts)) globals[name]!.value = value;
  return exports as unknown as ChecksumFunctions;
}

/** What the WebAssembly imports; see wasm/host.ts. */
function hostOf(elf: ElfObject, memory: SharedMemory, told: ToldPart): Record<string, (...args: number[]) => unknown> {
  const symbolOffset = (symbol: SymbolIndex): number => elf.offset(elf.symtabSection) + symbol * SYM_SIZE;
  return {
    grow: (bytes) => grow(memory, bytes! >>> 0, elf.path),
    orderRelas(section) {
      const words = elf.relas(section!);
      const order = Uint32Array.from({ length: words.length / RELA_WORDS }, (_, i) => i);
      const offset = (i: number): number => u64(words, i * RELA_WORDS + R_OFFSET);
      order.sort((a, b) => offset(a) - offset(b) || a - b);
      const at = grow(memory, order.byteLength, elf.path);
      new Uint32Array(memory.buffer, at, order.length).set(order);
      return at;
    },
    told: (part, section, offset, low, high) =>
      told(part!, section!, offset!, (BigInt(high! >>> 0) << 32n) | BigInt(low! >>> 0)),

    // Errors do not return.
    nameOutside: (section) => elf.nameOffset(section!),
    symbolNameOutside: (symbol) => elf.symbolNameOffset(symbol!),
    symbolSection: (symbol, section) =>
      elf.malformed(
        symbolOffset(symbol!),
        `symbol ${symbol} is defined in section ${section! >>> 0} of ${elf.sectionCount}`,
      ),
    relaSymbol: (section, index, symbol) =>
      elf.malformed(
        elf.offset(section!) + index! * RELA_SIZE,
        `the relocation names symbol ${symbol! >>> 0} of ${elf.symbolCount}`,
      ),
    overlapping: (section) =>
      elf.malformed(elf.offset(section!), `sections of code up to ${section} lie over each other`),
    unevenTable: (section, entry) =>
      elf.malformed(
        elf.offset(section!),
        `${elf.name(section!)} holds ${elf.size(section!)} bytes, not entries of ${entry}`,
      ),
    entryWithout: (section, offset, what) =>
      elf.malformed(
        elf.offset(section!) + offset!,
        `an entry of ${elf.name(section!)} names no ${what === 0 ? 'instruction' : 'target'}`,
      ),
  };
}
