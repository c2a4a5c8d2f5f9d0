import { KlpflowError } from '../diagnostics';

/** One line of Module.symvers. */
export interface Export {
  /** Version checksum of the symbol's type; 0 without CONFIG_MODVERSIONS. */
  crc: number;
  /** `vmlinux`, or a module by its run-time name. */
  owner: string;
  /** EXPORT_SYMBOL_GPL and its kin. */
  gpl: boolean;
  /** '' for most; a namespace that importers name, or `module:NAME,...` (6.16 on): for those modules alone. */
  namespace: string;
}

/** The name under which a module runs: no folder, `-` as `_`, nothing behind the first dot. */
export function runtimeName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  return base.replace(/\..*$/, '').replaceAll('-', '_');
}

/** Module.symvers: what vmlinux and its modules export. */
export class Symvers {
  /** `known`: whether a name that is not in it is no export. */
  private constructor(
    private readonly exports: ReadonlyMap<string, Export>,
    readonly known = true,
  ) {}

  static readonly EMPTY = new Symvers(new Map());
  /** Where no file was given: any name may be an export. */
  static readonly UNKNOWN = new Symvers(new Map(), false);

  /**
   * Lines of five fields separated by tabs: crc, symbol, owner, type, namespace. The last one may be empty, and kernels
   * before 5.4 leave it out together with its tab.
   * @throws KlpflowError `malformed-symvers` naming the line
   */
  static parse(text: string, path: string): Symvers {
    const exports = new Map<string, Export>();
    text.split('\n').forEach((line, i) => {
      if (line === '') return;
      const [crc = '', name = '', owner = '', type = '', namespace = ''] = line.replace(/\r$/, '').split('\t');
      if (!/^0x[0-9a-f]{1,16}$/i.test(crc) || name === '' || owner === '' || !type.startsWith('EXPORT_')) {
        throw new KlpflowError(
          'malformed-symvers',
          `${path}: line ${i + 1} is not "crc, symbol, module, type, namespace" separated by tabs`,
          { object: path },
        );
      }
      exports.set(name, {
        crc: Number(BigInt.asUintN(32, BigInt(crc))),
        owner: owner === 'vmlinux' ? owner : runtimeName(owner),
        gpl: type.includes('GPL'),
        namespace,
      });
    });
    return new Symvers(exports);
  }

  get(name: string): Export | undefined {
    return this.exports.get(name);
  }

  entries(): IterableIterator<[name: string, found: Export]> {
    return this.exports.entries() as IterableIterator<[string, Export]>;
  }

  get size(): number {
    return this.exports.size;
  }
}
