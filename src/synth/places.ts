import { SHF_ALLOC, SHF_MERGE, SHF_STRINGS } from '../elf/constants';
import { StringTable } from '../elf/string-table';
import type { ElfWriter, Rela } from '../elf/writer';
import { Column } from './columns';
import type { CodeRef } from './encoded';
import type { SynthTarget, Unit } from './model';

/** A place in the object: a symbol's handle and the distance from it. */
export interface SynthPlace {
  symbol: number;
  addend: number;
}

/** Where the functions (or the objects) of each unit went. */
class UnitPlaces {
  /** Index of each unit's first; units have different numbers of them. */
  private readonly first = new Column();
  private readonly symbols = new Column();
  private readonly addends = new Column();
  private units = 0;
  private used = 0;

  /** Makes room for the next unit's. */
  startUnit(count: number): void {
    this.first.set(this.units++, this.used);
    this.used += count;
  }

  index(unit: number, index: number): number {
    return this.first.get(unit) + index;
  }

  set(unit: number, index: number, place: SynthPlace): void {
    const at = this.index(unit, index);
    this.symbols.set(at, place.symbol);
    this.addends.set(at, place.addend);
  }

  get(unit: number, index: number): SynthPlace {
    const at = this.index(unit, index);
    return { symbol: this.symbols.get(at), addend: this.addends.get(at) };
  }
}

/** A number for each function. */
class UnitNumbers {
  private readonly values = new Column();

  constructor(private readonly of: UnitPlaces) {}

  set(unit: number, index: number, value: number): void {
    this.values.set(this.of.index(unit, index), value);
  }

  get(unit: number, index: number): number {
    return this.values.get(this.of.index(unit, index));
  }
}

/** Where everything that code and data may refer to is, and the merged string section. */
export class Places {
  readonly functions = new UnitPlaces();
  readonly objects = new UnitPlaces();
  /** Bytes of each function. */
  readonly sizes = new UnitNumbers(this.functions);
  private readonly strings = new StringTable();
  private readonly stringSymbol: number;

  /** `named` holds the symbols that no unit defines. */
  constructor(
    writer: ElfWriter,
    private readonly named: ReadonlyMap<string, number>,
    firstStrings: readonly string[],
  ) {
    const { strings } = this;
    for (const text of firstStrings) strings.add(text);
    const section = writer.section({
      name: '.rodata.str1.1',
      flags: SHF_ALLOC | SHF_MERGE | SHF_STRINGS,
      entsize: 1,
      content: {
        get size() {
          return strings.bytes.length;
        },
        chunks: () => [strings.bytes],
      },
    });
    this.stringSymbol = writer.sectionSymbol(section);
  }

  startUnit(unit: Unit): void {
    this.functions.startUnit(unit.functions.length);
    this.objects.startUnit(unit.objects.length);
  }

  /** Stores the strings referred to: the section's size must be known before any relocation is written. */
  addStrings(refs: ReadonlyArray<{ target: SynthTarget }>): void {
    for (const { target } of refs) if ('string' in target) this.strings.add(target.string);
  }

  get(target: SynthTarget): SynthPlace {
    if ('string' in target) return { symbol: this.stringSymbol, addend: this.strings.add(target.string) };
    if ('function' in target) return this.functions.get(target.function.unit, target.function.ordinal);
    if ('object' in target) return this.objects.get(target.object.unit, target.object.index);
    return { symbol: this.named.get(target.name)!, addend: 0 };
  }

  /** Relocations of code that starts at `base` in its section. The row is reused. */
  *relas(refs: readonly CodeRef[], base: number): Generator<Rela> {
    const row: Rela = { offset: 0, type: 0, symbol: 0, addend: 0 };
    for (const ref of refs) {
      const { symbol, addend } = this.get(ref.target);
      row.offset = base + ref.offset;
      row.type = ref.type;
      row.symbol = symbol;
      row.addend = addend + ref.addend;
      yield row;
    }
  }
}
