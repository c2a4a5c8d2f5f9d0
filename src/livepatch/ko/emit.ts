import { SHF_ALLOC, SHF_RELA_LIVEPATCH, SHN_ABS, SHN_LIVEPATCH, SHT_NOBITS, STB_WEAK, STT_SECTION } from '../../elf';
import { ElfWriter, type Rela } from '../../elf/writer';
import { klpSymbolName } from '../klp/layout';
import type { OutputSection, OutputSymbol } from '../object';
import type { ImageKlpRela, ModuleImage } from './image';

/** The ELF file of a module, ready to be written. */
export function moduleFile(image: ModuleImage): ElfWriter {
  const writer = new ElfWriter({ machine: image.machine });
  const sections = new Map<OutputSection, number>();
  for (const section of image.sections) {
    const { name, type, flags, align, entsize } = section;
    sections.set(
      section,
      writer.section({
        name,
        type,
        flags,
        align,
        entsize,
        ...(type === SHT_NOBITS ? { size: section.size } : { content: section.bytes }),
      }),
    );
  }
  const symbols = writeSymbols(image, writer, sections);
  for (const section of image.sections) {
    const relas = section.relas.map(({ symbol, ...rela }): Rela => ({ ...rela, symbol: symbols.get(symbol)! }));
    if (relas.length > 0) writer.relas(sections.get(section)!, relas);
  }
  writeKlpRelas(image.klpRelas, writer, sections);
  return writer;
}

function writeSymbols(
  image: ModuleImage,
  writer: ElfWriter,
  sections: ReadonlyMap<OutputSection, number>,
): Map<OutputSymbol, number> {
  const used = new Set(image.sections.flatMap((section) => section.relas.map(({ symbol }) => symbol)));
  const symbols = new Map<OutputSymbol, number>();
  for (const symbol of image.symbols) {
    const { name, info, section, value, size } = symbol;
    if (section === 'undefined' && !used.has(symbol)) continue;
    if ((info & 0xf) === STT_SECTION)
      symbols.set(symbol, writer.sectionSymbol(sections.get(section as OutputSection)!));
    else {
      const where =
        section === 'undefined'
          ? {}
          : section === 'absolute'
            ? { reserved: SHN_ABS }
            : { section: sections.get(section)! };
      // Visibility is always the default: a module cannot resolve a hidden symbol.
      symbols.set(symbol, writer.symbol({ name, type: info & 0xf, binding: info >> 4, value, size, ...where }));
    }
  }
  return symbols;
}

/** `.klp.rela.OBJECT.SECTION`, and one symbol for each thing in the running kernel. ALLOC: those of modules are read again whenever the module is loaded. */
function writeKlpRelas(
  klpRelas: readonly ImageKlpRela[],
  writer: ElfWriter,
  sections: ReadonlyMap<OutputSection, number>,
): void {
  const symbols = new Map<string, number>();
  const groups = new Map<string, ImageKlpRela[]>();
  for (const rela of klpRelas) {
    const key = `${rela.object}\0${sections.get(rela.section)!}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [rela]);
    else group.push(rela);
  }
  for (const group of groups.values()) {
    const { object, section } = group[0]!;
    const relas = group
      .sort((a, b) => a.offset - b.offset)
      .map(({ offset, type, target, addend }): Rela => {
        const name = klpSymbolName(target);
        let symbol = symbols.get(name);
        if (symbol === undefined) {
          symbol = writer.symbol({ name, type: target.info & 0xf, binding: STB_WEAK, reserved: SHN_LIVEPATCH });
          symbols.set(name, symbol);
        }
        return { offset, type, symbol, addend };
      });
    writer.relas(sections.get(section)!, relas, {
      name: `.klp.rela.${object}.${section.name}`,
      flags: SHF_ALLOC | SHF_RELA_LIVEPATCH,
    });
  }
}
