import { MappedFile } from '../files/mapped-file';
import { buildFacts, embeddedConfig, type BuildFacts } from './build';
import { readExports, type ImageExport } from './exports';
import { readKallsyms, type KallsymsList } from './kallsyms';
import { ImageMemory } from './memory';
import { ftraceSites, sealedFunctions } from './sites';
import { unpack, type Unpacked } from './unpack/unpack';

/**
 * A kernel's image as the source of all facts of it: what a shipped kernel says of itself without being booted. Each fact is
 * decoded when it is first asked for.
 */
export class KernelImage {
  readonly memory: ImageMemory;
  private readonly known: Record<string, unknown> = {};

  private constructor(
    readonly path: string,
    unpacked: Unpacked,
  ) {
    this.memory = ImageMemory.of(unpacked, path);
    this.wrappers = unpacked.wrappers;
    this.machine = unpacked.machine;
  }

  /** Wrappers from outside to inside. */
  readonly wrappers: readonly string[];
  readonly machine: number;

  /** Maps a file and takes its wrappers off. @throws KlpflowError `malformed-image`, `unusable-image`, `malformed-elf`, `unreadable` */
  static async open(path: string): Promise<KernelImage> {
    return KernelImage.of(MappedFile.open(path).bytes, path);
  }

  /** As `open`, of bytes; `path` is what messages call them. */
  static async of(bytes: Uint8Array, path: string): Promise<KernelImage> {
    return new KernelImage(path, await unpack(bytes, path));
  }

  /** The symbols in the order in which livepatch counts them. @throws KlpflowError `unusable-image`, `malformed-image` */
  get symbols(): KallsymsList {
    return this.once('symbols', () => readKallsyms(this.memory));
  }

  /** What vmlinux exports. @throws KlpflowError `malformed-image` */
  get exports(): readonly ImageExport[] {
    return this.once('exports', () => readExports(this.memory, this.symbols));
  }

  /** Raw BTF; undefined without CONFIG_DEBUG_INFO_BTF. */
  get btf(): Uint8Array | undefined {
    return this.once('btf', () => {
      const section = this.memory.section('.BTF');
      if (section !== undefined) return section.bytes;
      const [start, stop] = ['__start_BTF', '__stop_BTF'].map((name) => this.symbols.addressOf(name));
      return start === undefined || stop === undefined || stop <= start
        ? undefined
        : this.memory.bytesAt(start, stop - start);
    });
  }

  /** Addresses that ftrace can redirect, ascending; undefined where the image does not hold them. */
  get ftraceSites(): Float64Array | undefined {
    return this.once('sites', () => ftraceSites(this.memory, this.symbols));
  }

  /** Functions whose ENDBR boot removes. */
  get sealed(): ReadonlySet<number> {
    return this.once('sealed', () => sealedFunctions(this.memory));
  }

  get build(): BuildFacts {
    return this.once('build', () => buildFacts(this.memory, this.symbols));
  }

  /** The kernel's .config; null where it is not within. */
  get config(): string | null {
    return this.once('config', () => embeddedConfig(this.memory));
  }

  /** Built with retpolines: what its modules then must say. */
  get retpoline(): boolean {
    return this.memory.sections.has('.retpoline_sites');
  }

  private once<T>(fact: string, read: () => T): T {
    if (!Object.hasOwn(this.known, fact)) this.known[fact] = read();
    return this.known[fact] as T;
  }
}
