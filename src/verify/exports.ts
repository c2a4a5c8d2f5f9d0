import { KlpflowError } from '../diagnostics';
import { readWhole } from '../files/whole-file';

export interface ExportedSymbol {
  crc: number;
  gpl: boolean;
  namespace: string;
  /** The module that exports it, by its path; none for vmlinux. */
  module?: string;
}

/** Module.symvers by symbol: crc, symbol, owner, type, namespace, separated by tabs. @throws KlpflowError `unreadable`, `malformed-symvers` */
export function readExports(path: string): ReadonlyMap<string, ExportedSymbol> {
  const found = new Map<string, ExportedSymbol>();
  for (const [index, line] of readWhole(path).toString('latin1').split('\n').entries()) {
    if (line.trim() === '') continue;
    const [crc = '', symbol = '', owner = '', type = '', namespace = ''] = line.replace(/\r$/, '').split('\t');
    if (!/^0x[0-9a-f]{8,16}$/i.test(crc) || symbol === '' || !type.startsWith('EXPORT_SYMBOL')) {
      throw new KlpflowError(
        'malformed-symvers',
        `${path}: line ${index + 1} is not crc, symbol, owner, type and namespace`,
        { object: path },
      );
    }
    found.set(symbol, {
      crc: Number.parseInt(crc.slice(-8), 16),
      gpl: type.includes('GPL'),
      namespace,
      ...(owner === 'vmlinux' ? {} : { module: owner }),
    });
  }
  return found;
}
