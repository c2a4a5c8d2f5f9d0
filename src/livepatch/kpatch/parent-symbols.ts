import { STB_GLOBAL, STB_LOCAL, STB_WEAK, STT_FILE, STT_FUNC, STT_NOTYPE, STT_OBJECT } from '../../elf';
import { Columns } from '../../kernel/listing/columns';
import { NameIndex } from '../../kernel/listing/name-index';
import { Scanner, isWord, sizeAt } from '../../kernel/listing/text';

const TYPES: ReadonlyArray<readonly [string, number]> = [
  ['FUNC', STT_FUNC],
  ['OBJECT', STT_OBJECT],
  ['NOTYPE', STT_NOTYPE],
  ['FILE', STT_FILE],
];
const BINDINGS: ReadonlyArray<readonly [string, number]> = [
  ['LOCAL', STB_LOCAL],
  ['GLOBAL', STB_GLOBAL],
  ['WEAK', STB_WEAK],
];

/** How a symbol of the parent is found there. */
export interface ParentSymbol {
  name: string;
  address: bigint;
  /** 0 where the parent's list has no sizes. */
  size: number;
  /** 0 for a global that nothing else is called like; else the rank by address among all of that name. */
  sympos: number;
}

/**
 * The symbols of the linked object that ORIG went into: PARENT-SYMTAB, what `readelf -s --wide` prints of it, or what else
 * `openParent` reads. Entries are numbers in the table's order, in which the locals of one unit follow its FILE entry.
 */
export class ParentSymbols {
  private index: NameIndex | undefined;
  /** FILE entries by name, made when first asked for. */
  private files: Map<string, number[]> | undefined;

  constructor(
    private readonly columns: Columns,
    /** Type, and binding << 4. */
    private readonly info: Uint8Array,
    /** Whether FILE entries tell units apart; else a local is known only by a name that no other one has. */
    readonly namesUnits: boolean,
  ) {}

  get count(): number {
    return this.columns.count;
  }

  /** Reads the text of readelf; lines that are no symbols are passed over, as are types and bindings that no kernel function or variable has. */
  static parse(bytes: Uint8Array): ParentSymbols {
    const columns = new Columns(bytes, bytes.length >>> 6);
    const info: number[] = [];
    const scanner = new Scanner(bytes);
    let dynamic = false;
    for (; !scanner.atEnd; scanner.line()) {
      scanner.blanks();
      const number = scanner.at;
      const digits = scanner.word();
      if (isWord(bytes, number, 'Symbol')) {
        const end = bytes.indexOf(0x0a, number);
        dynamic = Buffer.from(
          bytes.buffer,
          bytes.byteOffset + number,
          (end < 0 ? bytes.length : end) - number,
        ).includes('.dynsym');
        continue;
      }
      if (dynamic || digits === 0 || bytes[number + digits - 1] !== COLON || bytes[number]! > NINE) continue;
      scanner.blanks();
      if (!scanner.hex()) continue;
      const { low, high } = scanner;
      const size = scanner.next();
      const type = numberOf(TYPES, bytes, scanner.next());
      const binding = numberOf(BINDINGS, bytes, scanner.next());
      scanner.next();
      let section = scanner.next();
      // "[<localentry>: 8]" of ppc64 stands between visibility and section.
      while (scanner.at > section && (bytes[section] === OPEN || bytes[scanner.at - 1] === CLOSE))
        section = scanner.next();
      if (type === undefined || binding === undefined || scanner.at === section || isWord(bytes, section, 'UND'))
        continue;
      const start = scanner.next();
      if (scanner.at - start > 0xffff) continue;
      columns.add(start, scanner.at - start, low, high, sizeAt(bytes, size));
      info.push(type | (binding << 4));
    }
    return new ParentSymbols(columns, Uint8Array.from(info), true);
  }

  /** Ranges [from, to) of the entries behind each FILE entry of a name, up to the next FILE entry. */
  blocks(file: string): Array<readonly [number, number]> {
    if (this.files === undefined) {
      this.files = new Map();
      for (let entry = 0; entry < this.columns.count; entry++) {
        if (this.typeOf(entry) !== STT_FILE) continue;
        const name = this.nameOf(entry);
        const list = this.files.get(name);
        if (list === undefined) this.files.set(name, [entry]);
        else list.push(entry);
      }
    }
    return (this.files.get(file) ?? []).map((entry) => {
      let end = entry + 1;
      while (end < this.columns.count && this.typeOf(end) !== STT_FILE) end++;
      return [entry + 1, end] as const;
    });
  }

  /** Names of local functions and variables of a block, each behind the letter of its type. */
  localsOf([from, to]: readonly [number, number]): string[] {
    const names: string[] = [];
    for (let entry = from; entry < to; entry++) {
      const type = this.typeOf(entry);
      if (this.bindingOf(entry) === STB_LOCAL && (type === STT_FUNC || type === STT_OBJECT))
        names.push(`${type}${this.nameOf(entry)}`);
    }
    return names;
  }

  /** The local entries of a name, within a range or anywhere. */
  locals(name: string, [from, to]: readonly [number, number] = [0, Infinity]): number[] {
    return this.named(name).filter(
      (entry) => entry >= from && entry < to && this.bindingOf(entry) === STB_LOCAL && this.typeOf(entry) !== STT_FILE,
    );
  }

  /** The entries of a name that other objects could link to. */
  globals(name: string): number[] {
    return this.named(name).filter((entry) => this.bindingOf(entry) !== STB_LOCAL);
  }

  /** Names of functions and variables that are `base`, or `base` under any hash of LTO. */
  underAnyHash(base: string): string[] {
    const names: string[] = [];
    for (let entry = 0; entry < this.columns.count; entry++) {
      if (this.typeOf(entry) === STT_FILE || this.columns.length[entry]! < base.length) continue;
      const name = this.nameOf(entry);
      if (name === base || name.startsWith(`${base}.llvm.`)) names.push(name);
    }
    return names;
  }

  /** What is known of an entry. */
  symbol(entry: number): ParentSymbol {
    const name = this.nameOf(entry);
    const address = this.address(entry);
    // As the kernel counts, whatever the binding: calipso_doi_add of 6.12 is a global function and a static one elsewhere.
    const all = this.named(name).filter((other) => this.typeOf(other) !== STT_FILE);
    const unique = this.bindingOf(entry) !== STB_LOCAL && all.length === 1;
    return {
      name,
      address,
      size: this.columns.size[entry]!,
      sympos: unique ? 0 : all.filter((other) => this.address(other) <= address).length,
    };
  }

  private named(name: string): number[] {
    this.index ??= new NameIndex(this.columns, this.columns.count);
    const bytes = Buffer.from(name, 'utf8');
    return this.index.all(bytes, 0, bytes.length);
  }

  private address(entry: number): bigint {
    return (BigInt(this.columns.high[entry]!) << 32n) | BigInt(this.columns.low[entry]!);
  }

  private nameOf(entry: number): string {
    const { bytes, start, length } = this.columns;
    return Buffer.from(bytes.buffer, bytes.byteOffset + start[entry]!, length[entry]!).toString('utf8');
  }

  private typeOf(entry: number): number {
    return this.info[entry]! & 0xf;
  }

  private bindingOf(entry: number): number {
    return this.info[entry]! >>> 4;
  }
}

const COLON = 0x3a;
const NINE = 0x39;
const OPEN = 0x5b;
const CLOSE = 0x5d;

function numberOf(words: ReadonlyArray<readonly [string, number]>, bytes: Uint8Array, at: number): number | undefined {
  return words.find(([word]) => isWord(bytes, at, word))?.[1];
}
