import { KlpflowError } from '../diagnostics';
import { readWhole } from '../files/whole-file';

/** `address type name [module]`: /proc/kallsyms and System.map. */
const LISTED = /^([0-9a-f]{8,16}) ([A-Za-z?]) (\S+)(?:\s+\[(\S+)\])?$/;
/** A row of `readelf -sW`: number, value, size, type, binding, visibility, section, name. */
const ROW = /^\s*\d+: ([0-9a-f]{16}) +(0x[0-9a-f]+|\d+) (\S+) +(\S+) +\S+ +(?:\[[^\]]*\] +)?(\S+) (\S+)/;

export interface SymbolList {
  symbols: Map<string, KernelSymbol[]>;
  modules: Map<string, Map<string, KernelSymbol[]>>;
}

/** Symbols of the wanted names in a text listing, of all names for null. @throws KlpflowError `unreadable`, `malformed-symbol-list` */
export function readList(path: string, wanted: ReadonlySet<string> | null): SymbolList {
  const list: SymbolList = { symbols: new Map(), modules: new Map() };
  const text = readWhole(path).toString('latin1');
  let understood = 0;
  let last: string;
  for (let start = 0, line = 1; start < text.length; line++) {
    const end = text.indexOf('\n', start);
    last = text.slice(start, end < 0 ? text.length : end).replace(/\r$/, '');
    start = end < 0 ? text.length : end + 1;
    const found = LISTED.exec(last);
    if (found !== null) {
      understood++;
      const [, address = '', letter = '', name = '', module] = found;
      // Addresses of the kernel's own helpers ([bpf], [__builtin__ftrace]) count for no position.
      if (module !== undefined && (module === 'bpf' || module.startsWith('__builtin__'))) continue;
      if (module !== undefined && !list.modules.has(module)) list.modules.set(module, new Map());
      if (wanted === null || wanted.has(name))
        add(module === undefined ? list.symbols : list.modules.get(module)!, name, {
          address: parse(address),
          size: null,
          kind: kindOfLetter(letter),
        });
      continue;
    }
    const row = ROW.exec(last);
    if (row !== null) {
      understood++;
      const [, address = '', size = '', type = '', binding = '', section = '', name = ''] = row;
      if (
        (wanted !== null && !wanted.has(name)) ||
        section === 'UND' ||
        type === 'SECTION' ||
        type === 'FILE' ||
        (section === 'ABS' && binding === 'LOCAL')
      )
        continue;
      add(list.symbols, name, {
        address: parse(address),
        size: Number(size) || null,
        kind: type === 'FUNC' ? 'code' : type === 'OBJECT' ? 'data' : 'unknown',
      });
      continue;
    }
    if (line > 100 && understood === 0) break;
  }
  if (understood === 0)
    throw new KlpflowError(
      'malformed-symbol-list',
      `${path} holds no line like those of /proc/kallsyms, System.map or readelf -sW`,
      { object: path },
    );
  return list;
}

function add(symbols: Map<string, KernelSymbol[]>, name: string, symbol: KernelSymbol): void {
  const known = symbols.get(name);
  if (known === undefined) symbols.set(name, [symbol]);
  else known.push(symbol);
}

/** Hexadecimal digits as a signed 64-bit number. */
function parse(digits: string): number {
  const full = digits.padStart(16, '0');
  return (Number.parseInt(full.slice(0, 8), 16) | 0) * 0x100000000 + Number.parseInt(full.slice(8), 16);
}

export function kindOfLetter(letter: string): KernelSymbol['kind'] {
  if (/[tTW]/.test(letter)) return 'code';
  return /[dDbBrRvVgGsS]/.test(letter) ? 'data' : 'unknown';
}

export interface KernelSymbol {
  /** Signed 64-bit. */
  address: number;
  /** null where the source does not say, or the symbol has none. */
  size: number | null;
  kind: 'code' | 'data' | 'unknown';
}
