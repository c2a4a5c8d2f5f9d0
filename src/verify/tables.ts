import type { Instruction } from './code';
import type { Context } from './context';
import type { ModuleSection } from './module';

/** A place in code that an entry of a table names. */
export interface Site {
  section: ModuleSection;
  offset: number;
  instruction: Instruction;
}

/** One kind of table. */
export interface Table {
  names: readonly string[];
  /** Bytes of an entry where neither BTF nor sh_entsize says more. */
  size: number;
  /** The kernel's struct, whose size in BTF counts more. */
  struct?: string;
  /** Width of the first field: a distance from itself (4), or an address (8). */
  width: 4 | 8;
}

export const TABLES = {
  alternatives: { names: ['.altinstructions'], size: 14, struct: 'alt_instr', width: 4 },
  bugs: { names: ['__bug_table'], size: 12, struct: 'bug_entry', width: 4 },
  exceptions: { names: ['__ex_table'], size: 12, struct: 'exception_table_entry', width: 4 },
  jumpLabels: { names: ['__jump_table'], size: 16, struct: 'jump_entry', width: 4 },
  staticCalls: { names: ['.static_call_sites'], size: 8, struct: 'static_call_site', width: 4 },
  locks: { names: ['.smp_locks'], size: 4, width: 4 },
  ftrace: { names: ['__mcount_loc'], size: 8, width: 8 },
  returns: { names: ['.return_sites'], size: 4, width: 4 },
  retpolines: { names: ['.retpoline_sites'], size: 4, width: 4 },
  calls: { names: ['.call_sites'], size: 4, width: 4 },
  cfi: { names: ['.cfi_sites'], size: 4, width: 4 },
  traps: { names: ['.kcfi_traps', '__kcfi_traps'], size: 4, width: 4 },
  seals: { names: ['.ibt_endbr_seal'], size: 4, width: 4 },
  paravirt: { names: ['.parainstructions'], size: 16, struct: 'paravirt_patch_site', width: 8 },
  unwind: { names: ['.orc_unwind_ip'], size: 4, width: 4 },
} as const satisfies Record<string, Table>;

export type TableKind = keyof typeof TABLES;

const NAMES: ReadonlySet<string> = new Set([
  ...Object.values(TABLES).flatMap(({ names }) => names as readonly string[]),
  '.orc_unwind',
  '__patchable_function_entries',
]);

/** Whether a section is a table of places in code, whose fields have rules of their own. */
export const isTable = (name: string): boolean => NAMES.has(name);

export const STRUCTS = Object.values(TABLES).flatMap((table: Table) =>
  table.struct === undefined ? [] : [table.struct],
);

/** The places that the module's tables name, by kind. */
export class Sites {
  private readonly replaced: Array<{ section: ModuleSection; start: number; end: number }> = [];
  private readonly byKind = new Map<TableKind, Set<string>>();

  add(kind: TableKind, { index }: ModuleSection, offset: number): void {
    let sites = this.byKind.get(kind);
    if (sites === undefined) this.byKind.set(kind, (sites = new Set()));
    sites.add(`${index}:${offset}`);
  }

  has(kind: TableKind, { index }: ModuleSection, offset: number): boolean {
    return this.byKind.get(kind)?.has(`${index}:${offset}`) ?? false;
  }

  /** Notes code that the kernel may replace by an alternative of other instructions. */
  addReplaced(section: ModuleSection, start: number, end: number): void {
    this.replaced.push({ section, start, end });
  }

  isReplaced(section: ModuleSection, offset: number): boolean {
    return this.replaced.some((piece) => piece.section === section && piece.start < offset && offset < piece.end);
  }

  /** Whether the module has a table of this kind with anything in it. */
  any(kind: TableKind): boolean {
    return this.byKind.has(kind);
  }
}

/** Bytes of an entry: by BTF, else by sh_entsize, else as its content shows, else as kernels of this time have it. */
export function entrySize(
  { types }: Pick<Context, 'types'>,
  table: Table,
  { entsize }: Pick<ModuleSection, 'entsize'>,
  measured: number | undefined,
): number {
  const known = table.struct === undefined ? undefined : types?.get(table.struct)?.size;
  return known ?? (entsize > 1 ? entsize : (measured ?? table.size));
}
