import {
  RELA_SIZE,
  SHF_ALLOC,
  SHF_MERGE,
  SYM_SIZE,
  type ElfObject,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import { KlpflowError } from '../../diagnostics';
import { SectionClass, classByName } from '../../kernel/section-class';
import { kernelSection } from '../../kernel/sections';
import { FIRST_ROLE, specialNumber } from '../../kernel/special-sections';
import {
  isCompilerConstant,
  isPrintkIndexEntry,
  isUncorrelatedStaticLocal,
  pieceParent,
} from '../../kernel/symbol-rules';
import type { Arch } from '../../arch';
import type { Anchors } from './anchors';
import type { RelaReader } from './relas';
import type { ScanTable } from './table';

/** What the WebAssembly is asked about: an `Identity`, whose `code` is there once this has been imported. */
interface Scanned {
  readonly object: ElfObject;
  readonly table: ScanTable;
  readonly arch: Arch;
  readonly relas: RelaReader;
  readonly anchors: Anchors;
  readonly code: { branch(target: number): void };
}

/** What `bias` says of a type that is not relative to its place. */
const NOT_RELATIVE = -0x80000000;
/** What `anchor` says behind the last object. */
const NO_OBJECT = -0x80000000;
/** What livepatch modules have besides the relocations of a section. */
const KLP_RELAS = '.klp.rela.';

/**
 * What the WebAssembly of one object imports; see wasm/host.ts. Words come as signed numbers. `uses` takes words of the buffer of uses.
 *
 * Rules that go by names are JavaScript here, for they are asked for few names: 158 sections and 5,408 symbols of a 7.2 kernel.
 */
export function hostOf(
  scanned: Scanned,
  uses: (words: Uint32Array) => void,
): Record<string, (...args: number[]) => unknown> {
  const { object, table, arch } = scanned;
  const { bytes } = object;
  const biases = new Map<number, number>();
  const sorted = new Map<number, number>();
  let memory: Uint8Array | undefined;
  const lineOf = (section: SectionIndex) => kernelSection(object.name(section))?.record?.(object.little);
  const relaOffset = (relaSection: number, index: number): number =>
    object.offset(relaSection) + (index >>> 0) * RELA_SIZE;
  const symbolOffset = (symbol: SymbolIndex): number => object.offset(object.symtabSection) + symbol * SYM_SIZE;

  return {
    fetch(offset, length, frame) {
      memory ??= new Uint8Array(table.memory.buffer);
      memory.set(bytes.subarray(offset, offset! + length!), frame);
    },
    sortRelas(section) {
      let at = sorted.get(section!);
      if (at === undefined) {
        const words = scanned.relas.inOffsetOrder(section!);
        at = table.grow(words.byteLength);
        new Uint32Array(table.memory.buffer, at, words.length).set(words);
        sorted.set(section!, at);
      }
      return at;
    },
    takeUses: (at, words) => uses(new Uint32Array(table.memory.buffer, at, words)),

    bias(type) {
      let bias = biases.get(type!);
      if (bias === undefined)
        biases.set(type!, (bias = arch.isPcRelative(type! >>> 0) ? arch.bias(type! >>> 0) : NOT_RELATIVE));
      return bias;
    },
    tail: (from, field) => arch.tail(bytes, from!, field!),
    touches: (from, field, type) => arch.touches(bytes, from!, field!, type! >>> 0),
    forEachBranch: (from, to) => arch.forEachPossibleBranch(bytes, from!, to!, scanned.code.branch),
    anchor: (section, offset, index) =>
      [...(scanned.anchors.at(section!, offset! >>> 0)?.objects.values() ?? [])][index!] ?? NO_OBJECT,
    lineOffset: (section) => lineOf(section!)?.offset ?? -1,
    lineMask: (section) => lineOf(section!)?.mask ?? 0,

    classOfName(section, flags) {
      const name = object.name(section!);
      // `.discard.annotate_data`, `.llvm.call-graph-profile` and `.gnu.lto_*` are not loaded and looked for all the same.
      const special =
        (flags! & SHF_ALLOC) !== 0 ||
        name.startsWith('.discard.') ||
        name.startsWith('.llvm.') ||
        name.startsWith('.gnu.lto_')
          ? specialNumber(name)
          : 0;
      table.sectionSpecial[section!] = special;
      const bits = classByName(name, special !== 0 && special < FIRST_ROLE);
      // A merged constant without flags is plain read-only data.
      return (flags! & SHF_MERGE) === 0 ? bits & ~SectionClass.CONSTANT : bits;
    },
    nameRules(symbol, length) {
      const start = table.name[symbol!]!;
      const name = object.text(start, start + length!);
      return (
        (pieceParent(name) !== undefined ? 1 : 0) |
        (isUncorrelatedStaticLocal(name) ? 2 : 0) |
        (isCompilerConstant(name) ? 4 : 0) |
        (isPrintkIndexEntry(name) ? 8 : 0)
      );
    },

    // Errors do not return.
    nameOutside: (section) => object.nameOffset(section!),
    twoRelas: (target, first, second) => {
      if (object.name(second!).startsWith(KLP_RELAS) || object.name(first!).startsWith(KLP_RELAS))
        throw new KlpflowError('not-relocatable', `${object.path} is a livepatch module, not what one is made of`, {
          object: object.path,
        });
      object.malformed(object.offset(second!), `sections ${first} and ${second} both hold relas of section ${target}`);
    },
    symbolNameOutside: (symbol) =>
      object.malformed(symbolOffset(symbol!), `symbol ${symbol}: st_name lies outside the string table`),
    symbolNameLong: (symbol, length) =>
      object.malformed(symbolOffset(symbol!), `symbol ${symbol}: the name has ${length} bytes or more`),
    symbolIndexMissing: (symbol) =>
      object.malformed(symbolOffset(symbol!), `symbol ${symbol} needs an extended section index and the file has none`),
    symbolSection: (symbol, section) =>
      object.malformed(
        symbolOffset(symbol!),
        `symbol ${symbol} is in section ${section! >>> 0} of ${object.sectionCount}`,
      ),
    symbolExtent: (symbol, section, end) =>
      object.malformed(
        symbolOffset(symbol!),
        `symbol ${symbol} (${object.symbolName(symbol!)}) ends at ${end} of section ${section}, which has ${object.size(section!)} bytes`,
      ),
    functionNowhere: (symbol) =>
      object.malformed(
        symbolOffset(symbol!),
        `symbol ${symbol} (${object.symbolName(symbol!)}) is a function in SHN_COMMON, where only data can be`,
      ),
    symbolWide: (symbol) =>
      object.malformed(
        symbolOffset(symbol!),
        `symbol ${symbol} (${object.symbolName(symbol!)}) has an offset or a size of 4 GiB or more`,
      ),
    relaOutside: (relaSection, index, offset, section) =>
      object.malformed(
        relaOffset(relaSection!, index!),
        `a rela applies to offset ${offset} of section ${section}, which has ${object.size(section!)} bytes`,
      ),
    relaSymbol: (relaSection, index, symbol) =>
      object.malformed(relaOffset(relaSection!, index!), `a rela names symbol ${symbol! >>> 0} of ${table.symbols}`),
    endless: (section, most) =>
      object.malformed(
        object.offset(section!),
        `read-only data of section ${section} refers to itself, more than ${most} times over`,
      ),
    overlapping: (section, symbol, most) =>
      object.malformed(
        symbolOffset(symbol!),
        `symbols of section ${section} up to ${symbol} (${object.symbolName(symbol!)}) lie over each other: together they and their relas are more than ${most} times the file`,
      ),
    readOutside(offset) {
      throw new RangeError(`${object.path}: a read at offset ${offset} of ${bytes.length}`);
    },
  };
}
