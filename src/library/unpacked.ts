import { KlpflowError, diagnosticOf } from '../diagnostics';
import { checkNoInput } from '../pipeline/files';

/** Options that are files to read. Shipped modules are not among them: they are unpacked where they are found. */
const FILES = [
  'orig',
  'patched',
  'object',
  'symvers',
  'vmlinux',
  'btf',
  'template',
  'ftrace',
  'plain',
  'config',
] as const;
/** Those that may be folders, of objects. */
const FOLDERS = ['orig', 'patched'] as const;
/** Options that are lists of files. */
const LISTS = ['objects', 'inputs', 'patches'] as const;

type Given = Record<string, unknown>;

/** What unpacks: each says where what it was given lies now, undefined where nothing is compressed. */
export interface Unpacking {
  file(path: string): Promise<string | undefined>;
  folder?(path: string): Promise<string | undefined>;
}

/**
 * Works with options of which each compressed file is what it holds, and calls these files in results and errors what was given. `told` does that for what is told in between.
 * @throws KlpflowError for a damaged one, for an output that is one, and what `work` throws
 */
export async function withPlain<S extends object, T>(
  unpacking: Unpacking,
  options: S,
  work: (given: S, told: <V>(value: V) => V) => T | Promise<T>,
  more: readonly string[] = [],
): Promise<T> {
  const unpacked = new Unpacked(unpacking);
  try {
    return unpacked.told(await work(await unpacked.options(options, more), (value) => unpacked.told(value)));
  } catch (thrown) {
    throw unpacked.error(thrown);
  }
}

/** What was unpacked, and what messages and results call it: the file that was given. */
class Unpacked {
  private readonly given = new Map<string, string>();

  constructor(private readonly unpacking: Unpacking) {}

  /**
   * Options with each compressed file (`.gz`, `.xz`, `.zst`) as what it holds.
   * @throws KlpflowError for a damaged one, and for an output that is one
   */
  async options<T extends object>(options: T, more: readonly string[] = []): Promise<T> {
    const all = { ...options } as Given;
    for (const key of [...FILES, ...more]) if (typeof all[key] === 'string') all[key] = await this.file(all[key]);
    for (const key of FOLDERS) if (typeof all[key] === 'string') all[key] = await this.folder(all[key]);
    for (const key of LISTS) if (Array.isArray(all[key])) all[key] = await this.files(all[key]);
    if (Array.isArray(all['also'])) {
      const pairs: Array<{ orig: string; patched: string }> = [];
      for (const pair of all['also'] as typeof pairs) pairs.push(await this.options(pair));
      all['also'] = pairs;
    }
    // Later nobody sees them.
    if (typeof all['output'] === 'string') checkNoInput(all['output'], [...this.given.values()]);
    return all as T;
  }

  /** A value in whose texts every unpacked file is called what was given. */
  told<T>(value: T): T {
    return this.given.size === 0 ? value : (this.renamed(value) as T);
  }

  /** An error in the same words. */
  error(thrown: unknown): unknown {
    if (this.given.size === 0 || !(thrown instanceof KlpflowError)) return thrown;
    const { code, message, where } = this.told(diagnosticOf(thrown));
    return new KlpflowError(code, message, where, thrown);
  }

  private async file(path: string): Promise<string> {
    return this.known(path, await this.unpacking.file(path));
  }

  private async folder(path: string): Promise<string> {
    return this.known(path, await this.unpacking.folder?.(path));
  }

  private known(path: string, plain: string | undefined): string {
    if (plain === undefined) return path;
    this.given.set(plain, path.replace(/(?<=.)\/+$/, ''));
    return plain;
  }

  private async files(paths: readonly unknown[]): Promise<unknown[]> {
    const plain: unknown[] = [];
    for (const path of paths) plain.push(typeof path === 'string' ? await this.file(path) : path);
    return plain;
  }

  private renamed(value: unknown): unknown {
    if (typeof value === 'string') {
      let text = value;
      for (const [plain, path] of this.given) text = text.replaceAll(plain, path);
      return text;
    }
    if (Array.isArray(value)) return value.map((one) => this.renamed(one));
    if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, this.renamed(one)]));
  }
}
