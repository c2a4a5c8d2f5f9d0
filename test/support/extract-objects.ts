import { writeKlpObject } from '../../src/livepatch/klp';
import { platformFacts } from '../../src/livepatch/facts';
import { KernelListing } from '../../src/kernel/listing';
import type { LivepatchObject, OutputSection, OutputSymbol } from '../../src/livepatch/object';
import { Symvers } from '../../src/kernel/symvers';
import type { Extraction } from '../../src/stages/extract';
import { extract } from '../../src/stages/extract/extract';
import { SymbolPositions } from '../../src/stages/running-kernel/sympos';
import { diffObjects, type ObjectDiff } from './diff-objects';
import type { ObjectBuilder } from './elf-builder';
import { plain } from './livepatch-sample';

export interface ExtractOptions {
  objectName?: string;
  structSizes?: Record<string, number>;
  /** Exports as `name`, `name@module` or `name@module:NAMESPACE`. */
  exports?: string[];
  /** Names that the running kernel lists, by rising addresses; without any, it was not seen. */
  kernel?: string[];
}

/** A livepatch object in words, as tests compare it. */
export interface Extracted extends Omit<Extraction, 'diagnostics' | 'object'> {
  diff: ObjectDiff;
  object: LivepatchObject;
  /** `code symbol` of every diagnostic of assess and extract. */
  told: string[];
  messages: string[];
  /** Sections with their sizes, those without bytes left out. */
  sections: Record<string, number>;
  /** Names of everything that is defined, sorted. */
  defined: string[];
  /** Names left to the module loader, sorted. */
  imports: string[];
  /** Functions that are replaced, as `old,sympos>new`. */
  funcs: string[];
  /** Content of a section. */
  bytes(section: string): Uint8Array;
  /** Content of a symbol in hexadecimal digits. */
  hex(symbol: string): string;
  symbol(name: string): OutputSymbol;
  section(name: string): OutputSection;
  /**
   * Relocations of a symbol or section, by offset from its start: `+0x5 PLT32 _printk-4`, `+0xa PC32 .rodata.str1.1+8`, and
   * `+0x5 klp PLT32 vmlinux.helper,0-4` for one that the livepatch core applies.
   */
  relas(of: string): string[];
  /** The text that the relocation of `of` at `at` reaches in a section, `bias` bytes behind what its addend says. */
  text(of: string, at: number, bias?: number): string;
}

/** Of x86-64, and of arm64, whose numbers are others. */
const TYPES: Record<number, string> = {
  1: '64',
  2: 'PC32',
  4: 'PLT32',
  10: '32',
  11: '32S',
  24: 'PC64',
  275: 'ADR_PREL_PG_HI21',
  277: 'ADD_ABS_LO12_NC',
};

/** All stages in this process, from two objects to what goes into a livepatch. */
export function extractObjects(
  orig: ObjectBuilder | Buffer,
  patched: ObjectBuilder | Buffer,
  options: ExtractOptions = {},
): Extracted {
  const { objectName = 'vmlinux', structSizes = {}, exports = [], kernel } = options;
  const diff = diffObjects(orig, patched, { objectName, structSizes });
  const { assessment } = diff;
  const listing =
    kernel === undefined
      ? null
      : KernelListing.parse(
          Buffer.from(
            ['_stext', ...kernel]
              .map((name, i) => `${(0xffffffff81000000n + BigInt(i) * 16n).toString(16)} T ${name}\n`)
              .join(''),
          ),
          'kallsyms',
        );
  const { object, diagnostics, ...rest } = extract({
    pairing: diff.correlation.pairing,
    orig: diff.orig,
    patched: diff.patched,
    objectName,
    included: assessment.included,
    undecided: new Set(assessment.undecided),
    copied: new Set(assessment.copied),
    symvers: Symvers.parse(exports.map(exportLine).join(''), 'Module.symvers'),
    positions: new SymbolPositions(diff.orig, objectName, listing),
    facts: platformFacts(diff.orig.object),
    provenance: { orig: 'o', patched: 'p' },
  });
  // What is extracted can be written, whatever it is.
  for (const _ of writeKlpObject(object).chunks());

  const placeOf = (name: string): { section: OutputSection; start: number; end: number } => {
    const symbols = object.symbols.filter((symbol) => symbol.name === name && typeof symbol.section !== 'string');
    if (symbols.length === 1)
      return {
        section: symbols[0]!.section as OutputSection,
        start: symbols[0]!.value,
        end: symbols[0]!.value + symbols[0]!.size,
      };
    if (symbols.length > 1) throw new Error(`${symbols.length} symbols ${name}`);
    const section = sectionNamed(object, name);
    return { section, start: 0, end: section.size };
  };
  const relasOf = (name: string): Array<{ offset: number; text: string; addend: number; symbol?: OutputSymbol }> => {
    const { section, start, end } = placeOf(name);
    const inside = ({ offset }: { offset: number }): boolean => offset >= start && offset < end;
    return [
      ...section.relas.filter(inside).map(({ offset, type, symbol, addend }) => ({
        offset: offset - start,
        text: `${TYPES[type]} ${targetName(symbol)}${signed(addend)}`,
        addend,
        symbol,
      })),
      ...object.klpRelas
        .filter((rela) => rela.section === section && inside(rela))
        .map(({ offset, type, target, addend }) => ({
          offset: offset - start,
          text: `klp ${TYPES[type]} ${target.module}.${target.name},${target.sympos}${signed(addend)}`,
          addend,
        })),
    ].sort((a, b) => a.offset - b.offset);
  };
  return {
    ...rest,
    diff,
    object,
    told: [...assessment.diagnostics, ...diagnostics].map(
      ({ code, where }) => `${code} ${where.symbol ?? where.section ?? ''}`,
    ),
    messages: diagnostics.map(({ message }) => message),
    sections: Object.fromEntries(object.sections.filter(({ size }) => size > 0).map(({ name, size }) => [name, size])),
    defined: object.symbols
      .filter(({ section, name }) => typeof section !== 'string' && name !== '')
      .map(({ name }) => name)
      .sort(),
    imports: object.symbols
      .filter(({ section }) => section === 'undefined')
      .map(({ name }) => name)
      .sort(),
    funcs: object.funcs.map(({ oldName, sympos, replacement }) => `${oldName},${sympos}>${replacement.name}`),
    bytes: (name) => sectionNamed(object, name).bytes,
    hex(name) {
      const { section, start, end } = placeOf(name);
      return Buffer.from(section.bytes.subarray(start, end)).toString('hex');
    },
    symbol(name) {
      const found = object.symbols.filter((symbol) => symbol.name === name);
      if (found.length !== 1) throw new Error(`${found.length} symbols ${name}`);
      return found[0]!;
    },
    section: (name) => sectionNamed(object, name),
    relas: (name) => relasOf(name).map(({ offset, text }) => `+0x${offset.toString(16)} ${text}`),
    text(name, at, bias = 0) {
      const rela = relasOf(name).find(({ offset }) => offset === at);
      if (rela?.symbol === undefined || typeof rela.symbol.section === 'string')
        throw new Error(`${name}+${at} refers to no section`);
      const content = Buffer.from(rela.symbol.section.bytes);
      const start = rela.symbol.value + rela.addend + bias;
      return content.toString('latin1', start, content.indexOf(0, start));
    },
  };
}

/** An extraction as plain data, to compare two of them. */
export function everything({ object, klpSymbols, told }: Extracted): unknown {
  return { object: plain(object), klpSymbols, told };
}

function exportLine(text: string): string {
  const [, name, owner = 'vmlinux', namespace = ''] = /^([^@]+)(?:@([^:]+)(?::(.*))?)?$/.exec(text)!;
  return `0x00000001\t${name}\t${owner}\tEXPORT_SYMBOL_GPL\t${namespace}\n`;
}

function sectionNamed(object: LivepatchObject, name: string): OutputSection {
  const found = object.sections.filter((section) => section.name === name);
  if (found.length !== 1) throw new Error(`${found.length} sections ${name}`);
  return found[0]!;
}

function targetName({ name, section, value }: OutputSymbol): string {
  return name !== ''
    ? name
    : typeof section === 'string'
      ? section
      : `${section.name}${value === 0 ? '' : signed(value)}`;
}

function signed(addend: number): string {
  return addend === 0 ? '' : addend < 0 ? `${addend}` : `+${addend}`;
}
