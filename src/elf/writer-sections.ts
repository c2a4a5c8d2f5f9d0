import { SHF_GROUP } from './constants';
import { StringTable } from './string-table';
import type { PlannedContent } from './writer-content';

/** sh_link of sections that name the symbol table, whose index is not known before the file is laid out. */
export const LINK_SYMTAB = 0xffffffff;
const ASK = -1;
const COLUMNS = ['names', 'types', 'flags', 'aligns', 'entsizes', 'links', 'infos', 'signatures'] as const;

/** A section header before the file is laid out. */
export interface SectionPlan {
  type: number;
  flags: number;
  align: number;
  entsize: number;
  /** Or LINK_SYMTAB. */
  link: number;
  /** sh_info; `signature` (of a group) is a symbol's handle, whose final index belongs there. */
  info: number | { signature: number };
  content: PlannedContent;
  /** Bytes; without it the content is asked when the file is laid out. */
  size?: number | undefined;
}

/** The section table under construction, as columns: a kernel has a million sections, and an object for each costs more than its header. */
export class WriterSections {
  readonly nameTable = new StringTable();
  readonly contents: PlannedContent[] = [];
  count = 0;
  /** Offset of each name in the section name table. */
  names = new Uint32Array(64);
  types = new Uint32Array(64);
  flags = new Uint32Array(64);
  aligns = new Uint32Array(64);
  entsizes = new Uint32Array(64);
  links = new Uint32Array(64);
  infos = new Uint32Array(64);
  /** 1 where `infos` holds a symbol's handle. */
  signatures = new Uint8Array(64);
  private sizes = new Float64Array(64);

  /** Adds a section behind the others and returns its index. */
  add(name: string, plan: SectionPlan): number {
    const index = this.count++;
    if (index === this.names.length) this.grow();
    this.names[index] = this.nameTable.add(name);
    this.types[index] = plan.type;
    this.flags[index] = plan.flags;
    this.aligns[index] = plan.align;
    this.entsizes[index] = plan.entsize;
    this.links[index] = plan.link;
    this.infos[index] = typeof plan.info === 'number' ? plan.info : plan.info.signature;
    this.signatures[index] = typeof plan.info === 'number' ? 0 : 1;
    this.sizes[index] = plan.size ?? ASK;
    this.contents.push(plan.content);
    return index;
  }

  name(index: number): string {
    return this.nameTable.text(this.names[index]!);
  }

  joinGroup(index: number): void {
    this.flags[index]! |= SHF_GROUP;
  }

  /** Forgets the sections from `count` on. */
  truncate(count: number): void {
    this.count = count;
    this.contents.length = count;
  }

  size(index: number): number {
    if (this.sizes[index] !== ASK) return this.sizes[index]!;
    const content = this.contents[index]!;
    return content instanceof Uint8Array ? content.length : content.size!;
  }

  private grow(): void {
    const length = this.names.length * 2;
    for (const column of COLUMNS) {
      const old = this[column];
      const grown = new (old.constructor as Uint32ArrayConstructor)(length);
      grown.set(old);
      (this[column] as Uint32Array) = grown;
    }
    const sizes = new Float64Array(length);
    sizes.set(this.sizes);
    this.sizes = sizes;
  }
}
