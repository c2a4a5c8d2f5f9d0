import { diagnostic, type Diagnostic } from '../../diagnostics';
import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_NOBITS,
  SHT_NOTE,
  SHT_PROGBITS,
  STT_SECTION,
  type Offset,
} from '../../elf';
import type { LivepatchObject, OutputSection, OutputSymbol } from '../object';
import { Definitions } from './definitions';
import { placeCode } from './code-place';
import { contentKind, type ModuleImage } from './image';
import type { ModuleProcessor } from './processor';
import { isContent, isTable, moduleSection, tableAlign } from './section-names';
import type { Symvers } from '../../kernel/symvers';
import { put } from '../../lists';

/** The loader goes by its own structs; a size that is none is not passed on. */
const LARGEST_ENTRY = 4096;

/** Where something of an object is in the module: a symbol, and bytes behind it. */
interface Moved {
  symbol: OutputSymbol;
  plus: number;
}

/** Where symbols of the objects went. */
export type SymbolMap = ReadonlyMap<OutputSymbol, Moved>;

/**
 * Puts the sections, symbols and relocations of all objects into `image`, merged as modules are linked: undefined symbols of
 * one object bind to another's definition; what stays undefined becomes an import. Appends to `found` what does not fit.
 */
export function mergeObjects(
  objects: readonly LivepatchObject[],
  image: ModuleImage,
  processor: ModuleProcessor,
  symvers: Symvers,
  found: Diagnostic[],
): SymbolMap {
  const places = placeSections(objects, image, processor, found);
  const symbols = new Map<OutputSymbol, Moved>();
  const definitions = new Definitions(objects, symvers, found);
  for (const object of objects)
    for (const symbol of object.symbols) {
      const moved = moveSymbol(symbol, places, image, definitions);
      if (moved !== undefined) symbols.set(symbol, moved);
    }
  for (const object of objects)
    for (const symbol of object.symbols) {
      if (symbol.section !== 'undefined') continue;
      const definition = definitions.bind(object, symbol);
      symbols.set(
        symbol,
        (definition && symbols.get(definition)) ?? { symbol: image.importSymbol(symbol.name, symbol.info), plus: 0 },
      );
    }
  for (const object of objects) moveRelocations(object, places, symbols, image, found);
  return symbols;
}

interface MergedPlace {
  section: OutputSection;
  offset: Offset;
}

function placeSections(
  objects: readonly LivepatchObject[],
  image: ModuleImage,
  processor: ModuleProcessor,
  found: Diagnostic[],
): Map<OutputSection, MergedPlace> {
  const late = new Map<OutputSection, Array<{ offset: Offset; type: number }>>();
  for (const { klpRelas } of objects) for (const rela of klpRelas) put(late, rela.section, rela);
  const groups = new Map<string, { name: string; apart: string; parts: OutputSection[] }>();
  for (const object of objects) {
    checkOrc(object, found);
    for (const section of object.sections) {
      const name = section.use === 'build' || (section.flags & SHF_ALLOC) === 0 ? null : moduleSection(section.name);
      if (name === null) continue;
      const apart = isContent(name) ? contentKind(section.flags) : '';
      const group = groups.get(`${name}\0${apart}`);
      if (group === undefined) groups.set(`${name}\0${apart}`, { name, apart, parts: [section] });
      else group.parts.push(section);
    }
  }
  const places = new Map<OutputSection, MergedPlace>();
  for (const { name, apart, parts } of groups.values()) {
    const flags = parts.reduce((all, part) => all | (part.flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR)), 0);
    // Zeros of one part are written out where another has bytes, and in the per-CPU section, which the loader copies.
    const zeros = name !== '.data..percpu' && parts.every((part) => part.type === SHT_NOBITS);
    const type = zeros ? SHT_NOBITS : parts.every((part) => part.type === SHT_NOTE) ? SHT_NOTE : SHT_PROGBITS;
    const entsize =
      isTable(name) && parts.every((part) => part.entsize === parts[0]!.entsize) && parts[0]!.entsize <= LARGEST_ENTRY
        ? parts[0]!.entsize
        : 0;
    const section = image.section(name, flags, { type, entsize, apart });
    for (const part of parts) {
      const content = part.type === SHT_NOBITS ? part.size : part.bytes;
      const offset =
        (flags & SHF_EXECINSTR) === 0
          ? section.append(content, isTable(name) ? 1 : part.align)
          : placeCode(processor, section, content, part.align, [...part.relas, ...(late.get(part) ?? [])]);
      section.align = Math.max(section.align, part.align, tableAlign(name));
      places.set(part, { section, offset });
    }
  }
  return places;
}

/** The n-th address and the n-th word are one entry: a part with more of one shifts all that follow. */
function checkOrc(object: LivepatchObject, found: Diagnostic[]): void {
  const size = (name: string): number =>
    object.sections.reduce((sum, section) => sum + (section.name === name ? section.size : 0), 0);
  const [addresses, words] = [size('.orc_unwind_ip'), size('.orc_unwind')];
  if (addresses * 6 === words * 4 && addresses % 4 === 0) return;
  found.push(
    diagnostic(
      'malformed-elf',
      `${object.name}: .orc_unwind_ip has ${addresses} bytes and .orc_unwind ${words}: not one 6-byte word for each address`,
      { object: object.name, section: '.orc_unwind' },
    ),
  );
}

/** A symbol's place in the module; undefined for one that is undefined or whose section is dropped. */
function moveSymbol(
  symbol: OutputSymbol,
  places: ReadonlyMap<OutputSection, MergedPlace>,
  image: ModuleImage,
  definitions: Definitions,
): Moved | undefined {
  if (symbol.section === 'undefined') return undefined;
  const info = definitions.infoOf(symbol);
  if (symbol.section === 'absolute') return { symbol: image.define({ ...symbol, info }), plus: 0 };
  const place = places.get(symbol.section);
  if (place === undefined) return undefined;
  if ((symbol.info & 0xf) === STT_SECTION)
    return { symbol: image.sectionSymbol(place.section), plus: place.offset + symbol.value };
  return {
    symbol: image.define({ ...symbol, info, section: place.section, value: place.offset + symbol.value }),
    plus: 0,
  };
}

function moveRelocations(
  object: LivepatchObject,
  places: ReadonlyMap<OutputSection, MergedPlace>,
  symbols: SymbolMap,
  image: ModuleImage,
  found: Diagnostic[],
): void {
  for (const part of object.sections) {
    const place = places.get(part);
    if (place === undefined) continue;
    for (const { offset, type, symbol, addend } of part.relas) {
      const moved = symbols.get(symbol);
      if (moved !== undefined) {
        place.section.relas.push({
          offset: place.offset + offset,
          type,
          symbol: moved.symbol,
          addend: addend + moved.plus,
        });
        continue;
      }
      const dropped = typeof symbol.section === 'string' ? symbol.section : symbol.section.name;
      const message = `${object.name}: ${part.name}+0x${offset.toString(16)} refers to ${symbol.name || dropped}, but ${dropped} is not part of a module`;
      found.push(
        diagnostic('dropped-reference', message, {
          object: object.name,
          section: part.name,
          symbol: symbol.name,
          offset,
        }),
      );
    }
  }
  for (const { section: part, offset, type, target, addend } of object.klpRelas) {
    const place = places.get(part);
    // What it would have filled in is dropped with its section.
    if (place === undefined) continue;
    image.klpRelas.push({
      object: ownerOf(object.name, target.module),
      section: place.section,
      offset: place.offset + offset,
      type,
      target,
      addend,
    });
  }
}

/** Whose loading a klp relocation waits for: symbols of vmlinux are there at once; those of a module, whoever exports them, belong to the patched object. */
function ownerOf(object: string, module: string): string {
  return module === 'vmlinux' || object === 'vmlinux' ? module : object;
}
