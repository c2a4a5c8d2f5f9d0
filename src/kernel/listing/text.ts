import { KlpflowError } from '../../diagnostics';
import { Columns } from './columns';
import { LEFT_OUT_LETTERS, isLeftOut } from './kallsyms';

const SPACE = 0x20;
const TAB = 0x09;
const NEWLINE = 0x0a;
const OPEN = 0x5b;
const CLOSE = 0x5d;

/** Value of a hexadecimal digit, by character; 16 and more for others. */
const DIGIT = new Uint8Array(256).fill(255);
for (let i = 0; i < 16; i++) {
  DIGIT['0123456789abcdef'.charCodeAt(i)] = i;
  DIGIT['0123456789ABCDEF'.charCodeAt(i)] = i;
}

const LEFT_OUT = new Uint8Array(256);
for (const letter of LEFT_OUT_LETTERS) LEFT_OUT[letter.charCodeAt(0)] = 1;

/** The fields of a text, found without making strings of them. */
export class Scanner {
  at = 0;
  /** The hexadecimal number read last. */
  low = 0;
  high = 0;

  constructor(readonly bytes: Uint8Array) {}

  get atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  blanks(): void {
    while (this.bytes[this.at] === SPACE || this.bytes[this.at] === TAB) this.at++;
  }

  /** Passes a word; returns its length. */
  word(): number {
    const start = this.at;
    for (let byte = this.bytes[this.at]; byte !== undefined && byte > SPACE; byte = this.bytes[++this.at]);
    return this.at - start;
  }

  /** Passes blanks, then a word; returns where it starts. */
  next(): number {
    this.blanks();
    const start = this.at;
    this.word();
    return start;
  }

  /** Passes 1 to 16 hexadecimal digits. */
  hex(): boolean {
    const start = this.at;
    let low = 0;
    let high = 0;
    for (let digit = DIGIT[this.bytes[this.at]!]!; digit < 16; digit = DIGIT[this.bytes[++this.at]!]!) {
      high = (high << 4) | (low >>> 28);
      low = (low << 4) | digit;
    }
    this.low = low >>> 0;
    this.high = high >>> 0;
    return this.at > start && this.at - start <= 16;
  }

  line(): void {
    const end = this.bytes.indexOf(NEWLINE, this.at);
    this.at = end < 0 ? this.bytes.length : end + 1;
  }
}

/** Lines "address type name" of /proc/kallsyms, System.map and nm; behind a tab, /proc/kallsyms names a module in brackets. */
export function parseNm(
  bytes: Uint8Array,
  modules: string[],
  fail: (line: number, expected: string) => never,
): Columns {
  const columns = new Columns(bytes, bytes.length >>> 5);
  const scanner = new Scanner(bytes);
  const owners = new Map<string, number>();
  let lastModule = '';
  let lastOwner = 0;
  for (let line = 1; !scanner.atEnd; line++, scanner.line()) {
    // nm leaves the address of an undefined symbol blank.
    const blank = bytes[scanner.at] === SPACE;
    scanner.blanks();
    if (scanner.atEnd || bytes[scanner.at]! <= SPACE) continue;
    if (blank && DIGIT[bytes[scanner.at]!]! > 15) continue;
    if (!scanner.hex() || bytes[scanner.at] !== SPACE) fail(line, '"address type name"');
    scanner.blanks();
    const letter = bytes[scanner.at]!;
    if (scanner.word() !== 1) fail(line, '"address type name"');
    scanner.blanks();
    const start = scanner.at;
    const length = scanner.word();
    if (length === 0 || length > 0xffff) fail(line, '"address type name"');
    scanner.blanks();
    let owner = 0;
    if (!scanner.atEnd && bytes[scanner.at]! > SPACE) {
      const from = scanner.at;
      if (bytes[from] !== OPEN || scanner.word() < 3) fail(line, '"address type name" or "address type name [module]"');
      const module = Buffer.from(bytes.buffer, bytes.byteOffset + from + 1, scanner.at - from - 2).toString('utf8');
      if (module !== lastModule) {
        lastModule = module;
        lastOwner = owners.get(module) ?? modules.push(module) - 1;
        owners.set(module, lastOwner);
        if (lastOwner > 0xffff) fail(line, 'at most 65,535 modules');
      }
      owner = lastOwner;
    }
    if (LEFT_OUT[letter] === 0 && !isLeftOut(bytes, start, start + length))
      columns.add(start, length, scanner.low, scanner.high, 0, owner);
  }
  return columns;
}

/** Lines "number: value size type bind visibility section name" that `readelf -sW` prints for a symbol table. */
export function parseReadelf(bytes: Uint8Array): Columns {
  const columns = new Columns(bytes, bytes.length >>> 6);
  const scanner = new Scanner(bytes);
  for (; !scanner.atEnd; scanner.line()) {
    scanner.blanks();
    const number = scanner.at;
    if (DIGIT[bytes[number]!]! > 9) continue;
    const digits = scanner.word();
    if (bytes[number + digits - 1] !== 0x3a) continue;
    scanner.blanks();
    if (!scanner.hex()) continue;
    const { low, high } = scanner;
    const size = scanner.next();
    const type = scanner.next();
    const bind = scanner.next();
    scanner.next();
    let section = scanner.next();
    // "[<other>: 88]" stands between visibility and section where st_other holds more than visibility.
    while (scanner.at > section && (bytes[section] === OPEN || bytes[scanner.at - 1] === CLOSE))
      section = scanner.next();
    const start = scanner.next();
    const length = scanner.at - start;
    if (
      length === 0 ||
      length > 0xffff ||
      isWord(bytes, type, 'SECTION') ||
      isWord(bytes, type, 'FILE') ||
      isWord(bytes, section, 'UND')
    )
      continue;
    if (isWord(bytes, section, 'ABS') && isWord(bytes, bind, 'LOCAL')) continue;
    if (!isLeftOut(bytes, start, start + length)) columns.add(start, length, low, high, sizeAt(bytes, size));
  }
  return columns;
}

export function isWord(bytes: Uint8Array, at: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word.charCodeAt(i)) return false;
  return bytes[at + word.length]! <= SPACE;
}

/** Decimal, or hexadecimal with 0x, as readelf writes large sizes. */
export function sizeAt(bytes: Uint8Array, at: number): number {
  const base = bytes[at + 1] === 0x78 ? 16 : 10;
  let size = 0;
  for (let i = base === 16 ? at + 2 : at; DIGIT[bytes[i]!]! < base; i++) size = size * base + DIGIT[bytes[i]!]!;
  return size;
}

/** @throws KlpflowError `unusable-listing` where no address says anything, or there are hardly any symbols */
export function checkUseful(columns: Columns, path: string, hasStext: boolean): void {
  const { low, high, count } = columns;
  let known = false;
  for (let i = 0; i < count && !known; i++) known = low[i] !== 0 || high[i] !== 0;
  if (!known && count > 0)
    throw new KlpflowError(
      'unusable-listing',
      `${path}: all addresses are 0: the kernel hid them from the user who read /proc/kallsyms`,
      { object: path },
    );
  if (!hasStext)
    throw new KlpflowError(
      'unusable-listing',
      `${path} lists ${count} symbols and no _stext: it is not a whole kernel's (System.map of some distributions is a stub)`,
      { object: path },
    );
}
