import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_PROGBITS, STB_GLOBAL, STT_NOTYPE, type Offset } from '../../elf';
import { archOf } from '../../arch';
import { OutputSection, OutputSymbols, type KlpSymbol, type OutputSymbol } from '../object';

/** A relocation for the livepatch core; `object` is whose loading it waits for. */
export interface ImageKlpRela {
  object: string;
  section: OutputSection;
  offset: Offset;
  type: number;
  target: KlpSymbol;
  addend: number;
}

const GLOBAL_NOTYPE = (STB_GLOBAL << 4) | STT_NOTYPE;

/** The module while it is put together: sections under their final names, one symbol table. */
export class ModuleImage extends OutputSymbols {
  readonly sections: OutputSection[] = [];
  readonly klpRelas: ImageKlpRela[] = [];
  /** The module's own, as e_machine has it. */
  readonly machine: number;
  /** The relocation of a pointer. */
  readonly address64: number;
  private readonly byName = new Map<string, OutputSection>();
  private readonly imports = new Map<string, OutputSymbol>();

  constructor(machine: number) {
    super();
    this.machine = machine;
    this.address64 = archOf(machine, 'the module').address64;
  }

  /** The section of this name; made, in memory for what `flags` say, at the first call. */
  section(
    name: string,
    flags: number,
    { type = SHT_PROGBITS, entsize = 0, apart = '' }: { type?: number; entsize?: number; apart?: string } = {},
  ): OutputSection {
    const key = `${name}\0${apart}`;
    let section = this.byName.get(key);
    if (section === undefined) {
      section = new OutputSection({ name, type, flags, entsize });
      this.byName.set(key, section);
      this.sections.push(section);
    }
    return section;
  }

  get text(): OutputSection {
    return this.section('.text', SHF_ALLOC | SHF_EXECINSTR, { apart: contentKind(SHF_EXECINSTR) });
  }

  get data(): OutputSection {
    return this.section('.data', SHF_ALLOC | SHF_WRITE, { apart: contentKind(SHF_WRITE) });
  }

  get rodata(): OutputSection {
    return this.section('.rodata', SHF_ALLOC, { apart: contentKind(0) });
  }

  /** A table of `size`-byte entries about code. */
  table(name: string, size: number): OutputSection {
    return this.section(name, SHF_ALLOC, { entsize: size });
  }

  /** The undefined symbol of this name; weak only while everybody who asks for it can do without. */
  importSymbol(name: string, info = GLOBAL_NOTYPE): OutputSymbol {
    let symbol = this.imports.get(name);
    if (symbol === undefined) {
      symbol = this.define({ name, info, section: 'undefined', value: 0, size: 0 });
      this.imports.set(name, symbol);
    } else if (info >> 4 === STB_GLOBAL) symbol.info = (STB_GLOBAL << 4) | (symbol.info & 0xf);
    return symbol;
  }

  /** Offset in `.rodata` of a NUL-terminated string. */
  string(text: string): number {
    return this.rodata.append(new TextEncoder().encode(`${text}\0`));
  }
}

/** Sections of one name whose bytes the loader must map differently stay apart. */
export function contentKind(flags: number): string {
  return `${flags & SHF_WRITE ? 'w' : ''}${flags & SHF_EXECINSTR ? 'x' : ''}`;
}
