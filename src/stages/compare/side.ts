import { STT_FILE, type ElfObject } from '../../elf';
import { archOf, type Arch } from '../../arch';
import { Identity, type ScanTable } from '../scan';
import type { StructSizes } from '../scan/entry-size';
import { AnonymousExtents } from './extents';

/** One build while it is compared: its object, columns and the readers over them. */
export class Side {
  readonly arch: Arch;
  readonly identity: Identity;
  readonly extents: AnonymousExtents;

  constructor(readonly object: ElfObject, readonly table: ScanTable, readonly structSizes: StructSizes = {}) {
    this.arch = archOf(object.machine, object.path);
    this.identity = new Identity(object, table, this.arch);
    this.extents = new AnonymousExtents(object, table, this.arch);
  }

  private units: Set<string> | undefined;

  /** Names of all compilation units. */
  allUnits(): ReadonlySet<string> {
    if (this.units === undefined) {
      this.units = new Set();
      const { listed, listedCount, info } = this.table;
      for (let i = 0; i < listedCount; i++) if ((info[listed[i]!]! & 0xf) === STT_FILE) this.units.add(this.name(listed[i]!));
    }
    return this.units;
  }

  name(symbol: number): string {
    return this.object.symbolName(symbol);
  }

  /** Bytes of a symbol where they lie; empty for NOBITS. */
  bytes(symbol: number): Uint8Array {
    const section = this.table.section[symbol]!;
    const start = this.table.value[symbol]!;
    return this.object.content(section).subarray(start, start + this.table.size[symbol]!);
  }

  sectionName(symbol: number): string {
    const section = this.table.section[symbol]!;
    return section < this.table.sections ? this.object.name(section) : '';
  }
}
