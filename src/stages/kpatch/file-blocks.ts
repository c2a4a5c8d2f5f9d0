import { STT_FILE, STT_FUNC, STT_OBJECT, type SymbolIndex } from '../../elf';
import type { ParentSymbols } from '../../livepatch/kpatch/parent-symbols';
import { mayBeDiscarded } from '../../livepatch/kpatch/names';
import { isPrefixName } from '../../kernel/symbol-rules';
import type { Side } from '../side/side';

export type Block = readonly [from: number, to: number];

/**
 * Which stretch of the parent's symbol table holds the locals of each unit of ORIG.
 *
 * A FILE symbol has a base name only (`core.c` stands 23 times in one kernel), so a stretch must have the same local functions and
 * variables, but for those that a link drops.
 */
export class FileBlocks {
  private readonly known = new Map<number, Block | undefined>();

  constructor(
    private readonly orig: Side,
    private readonly parent: ParentSymbols,
  ) {}

  /** The stretch of an ORIG symbol's unit; undefined where none fits, or several do. */
  of(symbol: SymbolIndex): Block | undefined {
    const file = this.orig.table.file[symbol]!;
    if (file === 0) return undefined;
    if (!this.known.has(file)) this.known.set(file, this.match(file));
    return this.known.get(file);
  }

  private match(file: number): Block | undefined {
    const blocks = this.parent.blocks(this.orig.name(file));
    const own = this.localsOf(file);
    const key = [...own].sort().join('\0');
    const fitting = blocks.filter(
      (block) => [...new Set(this.parent.localsOf(block).filter(stays))].sort().join('\0') === key,
    );
    // A unit without locals has nothing to look up: any stretch will do.
    return fitting.length === 1 || own.size === 0 ? fitting[0] : undefined;
  }

  /** Local functions and variables of a unit, each behind its type. */
  private localsOf(file: number): Set<string> {
    const { table } = this.orig;
    const names = new Set<string>();
    for (let symbol = file + 1; symbol < table.symbols && table.typeOf(symbol) !== STT_FILE; symbol++) {
      const type = table.info[symbol]! & 0xf;
      if (!table.isLocal(symbol) || (type !== STT_FUNC && type !== STT_OBJECT)) continue;
      const name = `${type}${this.orig.name(symbol)}`;
      if (stays(name)) names.add(name);
    }
    return names;
  }
}

function stays(name: string): boolean {
  return !mayBeDiscarded(name.slice(1)) && !isPrefixName(name.slice(1));
}
