import { ElfObject } from '../../src/elf';
import { readelf } from './readelf';

export interface SectionLine {
  type: string;
  size: number;
  entsize: number;
  /** As readelf's letters: `WA`, `AIo`. */
  flags: string;
  align: number;
}

export interface SymbolLine {
  value: number;
  size: number;
  type: string;
  bind: string;
  visibility: string;
  /** Section's number, `UND`, `ABS`, `OS [0xff20]`. */
  index: string;
}

/** What binutils reads in a finished module. Of several sections or symbols of one name the last. */
export class ModuleFile {
  readonly sections = new Map<string, SectionLine>();
  readonly symbols = new Map<string, SymbolLine>();
  private readonly relocations = new Map<string, string[]>();
  private readonly elf: ElfObject;

  constructor(path: string) {
    this.elf = ElfObject.open(path);
    for (const line of readelf(path, '-SW')) {
      const [, name, type, size, entsize, flags, align] =
        /^\[ *\d+\] (\S+) +(\S+) +[0-9a-f]{16} [0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) +([A-Za-z]*) +\d+ +\d+ +(\d+)$/.exec(
          line,
        ) ?? [];
      if (name !== undefined)
        this.sections.set(name, {
          type: type!,
          size: parseInt(size!, 16),
          entsize: parseInt(entsize!, 16),
          flags: flags!,
          align: Number(align),
        });
    }
    for (const line of readelf(path, '-sW')) {
      const [, value, size, type, bind, visibility, index, name] =
        /^\d+: ([0-9a-f]{16}) +(\d+|0x[0-9a-f]+) (\S+) +(\S+) +(\S+) +(OS \[0x[0-9a-f]+\]|\S+) (\S+)$/.exec(line) ?? [];
      if (name !== undefined)
        this.symbols.set(name, {
          value: parseInt(value!, 16),
          size: Number(size),
          type: type!,
          bind: bind!,
          visibility: visibility!,
          index: index!,
        });
    }
    let list: string[] = [];
    for (const line of readelf(path, '-rW')) {
      const [, name] = /^Relocation section '(\S+)'/.exec(line) ?? [];
      if (name !== undefined) this.relocations.set(name, (list = []));
      const [, offset, type, target] = /^([0-9a-f]{16}) +[0-9a-f]{16} (\S+) +[0-9a-f]{16} (.*)$/.exec(line) ?? [];
      if (target !== undefined) list.push(`${parseInt(offset!, 16).toString(16)} ${type} ${target}`);
    }
  }

  /** Relocations of a section, or those that `name` itself is: `offset type symbol + addend`, numbers in hexadecimal. */
  relas(name: string): string[] {
    return this.relocations.get(name.startsWith('.klp.') ? name : `.rela${name}`) ?? [];
  }

  relocationSections(): string[] {
    return [...this.relocations.keys()];
  }

  /** Bytes of the last section of this name. */
  bytes(name: string): Buffer {
    for (let section = this.elf.sectionCount - 1; section > 0; section--)
      if (this.elf.name(section) === name) return Buffer.from(this.elf.content(section));
    throw new Error(`no section ${name}`);
  }

  modinfo(): string[] {
    return this.bytes('.modinfo').toString('utf8').split('\0').slice(0, -1);
  }

  /** `__versions`: CRC by name. */
  versions(): Map<string, number> {
    const records = this.bytes('__versions');
    return new Map(
      Array.from({ length: records.length / 64 }, (_, i) => [
        records.toString('latin1', i * 64 + 8, i * 64 + 64).replace(/\0.*$/s, ''),
        records.readUInt32LE(i * 64),
      ]),
    );
  }

  /** The NUL-terminated text in `.rodata` that a relocation like `10 R_X86_64_64 .rodata + 4` refers to. */
  text(rela: string): string {
    const offset = parseInt(/ \.rodata \+ ([0-9a-f]+)$/.exec(rela)![1]!, 16);
    const bytes = this.bytes('.rodata');
    return bytes.toString('utf8', offset, bytes.indexOf(0, offset));
  }
}
