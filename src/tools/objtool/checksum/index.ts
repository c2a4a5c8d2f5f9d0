import { KlpflowError } from '../../../diagnostics';
import { x86_64 } from '../../../arch/x86-64';
import { EM_X86_64, SHF_STRINGS, STT_FUNC, STT_OBJECT, type ElfObject } from '../../../elf';
import { Alternatives } from './alternatives';
import { Chunks } from './chunks';
import { Code, type Site } from './code';
import { addData } from './data';
import { addFunction } from './functions';
import { C_JUMP_TABLES } from './jump-tables';
import { References } from './reference';
import { Relocations } from './relocations';
import { ChecksumSymbols } from './symbols';

export interface SymbolChecksum {
  /** Number in the symbol table. */
  symbol: number;
  /** XXH3-64 of the symbol's identity; never 0. */
  checksum: bigint;
}

export interface ChecksumOptions {
  /** Full names of symbols whose hash is told after each part. */
  debug?: ReadonlySet<string>;
  /** `NAME(): PLACE HASH` for functions, `NAME+OFFSET: PART HASH` for objects, as objtool says it. */
  tell?: (line: string) => void;
}

export interface Checksums {
  symbols: SymbolChecksum[];
  /** Names in `debug` that no function or object has. */
  unknown: string[];
}

/**
 * What `objtool klp checksum` (7.2) stores of each function and object: a hash of its content that does not depend on where
 * it and its neighbours lie. Values are objtool's own, but for references to strings of 2- and 4-byte units and to constants
 * in sections without entry size, of which objtool sees too little.
 * @throws KlpflowError `unsupported-object`, `malformed-elf`
 */
export function symbolChecksums(
  elf: ElfObject,
  { debug = new Set(), tell = () => undefined }: ChecksumOptions = {},
): Checksums {
  if (elf.machine !== EM_X86_64)
    throw new KlpflowError(
      'unsupported-object',
      `${elf.path}: checksums are made for x86-64 alone, not for processor ${elf.machine}`,
      { object: elf.path, offset: 18 },
    );
  const symbols = new ChecksumSymbols(elf);
  const relocations = new Relocations(elf);
  const references = new References(elf, symbols);
  const code = new Code(elf, symbols, x86_64.disassembler());
  const alternatives = new Alternatives(elf, symbols, relocations);
  const isTableSection = (section: number): boolean => {
    const name = elf.name(section);
    return (name.startsWith('.rodata') && (elf.sectionFlags(section) & SHF_STRINGS) === 0) || name === C_JUMP_TABLES;
  };
  const context = { elf, symbols, relocations, references, code, alternatives, isTableSection };

  const chunks = new Chunks();
  const found: SymbolChecksum[] = [];
  const told = new Set<string>();
  for (let symbol = 1; symbol < symbols.count; symbol++) {
    const type = symbols.type(symbol);
    if (type !== STT_FUNC && type !== STT_OBJECT) continue;
    const name = debug.size === 0 ? '' : symbols.name(symbol);
    if (debug.has(name)) told.add(name);
    if (
      symbols.parent[symbol] !== 0 ||
      symbols.canonical[symbol] !== symbol ||
      symbols.size(symbol) === 0 ||
      symbols.section[symbol] === 0
    )
      continue;
    chunks.reset();
    const hash = (): string => chunks.digest().toString(16).padStart(16, '0');
    if (type === STT_FUNC) {
      let place = '';
      if (debug.has(name)) chunks.onChunk = () => tell(`${name}(): ${place} ${hash()}`);
      addFunction(chunks, symbol, context, (site) => (place = debug.has(name) ? placeOf(site, context) : ''));
    } else {
      addData(
        chunks,
        symbol,
        context,
        (offset, what) => debug.has(name) && tell(`${name}+0x${offset.toString(16)}: ${what} ${hash()}`),
      );
    }
    chunks.onChunk = () => undefined;
    const checksum = chunks.digest();
    if (checksum !== 0n) found.push({ symbol, checksum });
  }
  return { symbols: found, unknown: [...debug].filter((name) => !told.has(name)) };
}

function placeOf({ code, index }: Site, { elf, symbols }: { elf: ElfObject; symbols: ChecksumSymbols }): string {
  const { offset } = code.instructions[index]!;
  const symbol = symbols.covering(code.section, offset);
  return symbol === 0
    ? `${elf.name(code.section)}+0x${offset.toString(16)}`
    : `${symbols.name(symbol)}+0x${(offset - symbols.value(symbol)).toString(16)}`;
}
