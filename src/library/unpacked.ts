import { KlpflowError, diagnosticOf } from '../diagnostics';

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
/** Options that are lists of files. */
const LISTS = ['objects', 'inputs', 'patches'] as const;

type Given = Record<string, unknown>;

/** What was unpacked, and what messages and results call it: the file that was given. */
export class Unpacked {
  private readonly given = new Map<string, string>();

  /** @param unpack the path of a compressed file's content; undefined for a file that is not compressed */
  constructor(private readonly unpack: (path: string) => Promise<string | undefined>) {}

  /**
   * Options with each compressed file (`.gz`, `.xz`, `.zst`) as what it holds.
   * @throws KlpflowError for a damaged one
   */
  async options<T extends object>(options: T, more: readonly string[] = []): Promise<T> {
    const all = { ...options } as Given;
    for (const key of [...FILES, ...more]) if (typeof all[key] === 'string') all[key] = await this.file(all[key]);
    for (const key of LISTS) if (Array.isArray(all[key])) all[key] = await this.files(all[key]);
    if (Array.isArray(all['also'])) {
      const pairs: Array<{ orig: string; patched: string }> = [];
      for (const pair of all['also'] as typeof pairs) pairs.push(await this.options(pair));
      all['also'] = pairs;
    }
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
    const plain = await this.unpack(path);
    if (plain === undefined) return path;
    this.given.set(plain, path);
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
