import type { ElfObject } from '../elf';
import { DwarfReader, type Entry } from './dwarf-reader';

const TYPE = 0x49;
const VARIABLE = 0x34;
const STRUCTURE = 0x13;
/** What stands between a variable and its struct: an array, const, volatile, a typedef, restrict, _Atomic. */
const BETWEEN = new Set([0x01, 0x26, 0x35, 0x16, 0x37, 0x47]);
const DEEPEST = 32;
/** Debug information of more bytes is a whole kernel's: reading all of it takes longer than the comparison. */
const MOST_BYTES = 64_000_000;

/**
 * Names of the structs that variables consist of, or their elements do, by the variable's name, as an object's own debug information has them. A hint: locals are among them, and a
 * name that two units give to different things is left out.
 */
export function dwarfVariableStructs(object: ElfObject, names: readonly string[]): ReadonlyMap<string, string> {
  const reader = new VariableStructs(object, new Set(names));
  if (names.length > 0 && reader.bytes <= MOST_BYTES) reader.read();
  return new Map([...reader.structs].flatMap(([name, struct]) => (struct === null ? [] : [[name, struct]])));
}

class VariableStructs extends DwarfReader {
  readonly structs = new Map<string, string | null>();
  private met: Array<[name: string, type: number]> = [];

  constructor(
    object: ElfObject,
    private readonly names: ReadonlySet<string>,
  ) {
    super(object, new Set([TYPE]));
  }

  protected isWanted(tag: number): boolean {
    return tag === VARIABLE || tag === STRUCTURE || BETWEEN.has(tag);
  }

  protected entry({ tag, name, numbers }: Entry): boolean {
    const type = numbers.get(TYPE);
    if (tag === VARIABLE && type !== undefined && this.names.has(name)) this.met.push([name, type]);
    return true;
  }

  protected override unitEnds(): void {
    for (const [name, type] of this.met) {
      const struct = this.structOf(type, 0);
      if (struct === undefined) continue;
      const known = this.structs.get(name);
      this.structs.set(name, known === undefined || known === struct ? struct : null);
    }
    this.met = [];
  }

  private structOf(type: number, depth: number): string | undefined {
    const entry = this.entryAt(type);
    if (entry === undefined) return undefined;
    const { tag, name, numbers } = entry;
    if (tag === STRUCTURE) return name === '' ? undefined : name;
    const next = numbers.get(TYPE);
    return BETWEEN.has(tag) && next !== undefined && depth < DEEPEST ? this.structOf(next, depth + 1) : undefined;
  }
}
