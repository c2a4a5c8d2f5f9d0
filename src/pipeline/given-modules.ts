import { KlpflowError, diagnostic, type Diagnostic, notModule } from '../diagnostics';
import { ElfObject } from '../elf';
import { moduleInfo, moduleKeys } from '../kernel/modinfo';
import { runtimeName } from '../kernel/symvers';
import type { Flow } from './flow';
import { inputFile } from './files';
import { moduleBeside } from './module-beside';
import { plainFile } from './plain-file';
import type { ImageFacts, InputFile } from './types';

/** A finished module as it is shipped. */
export interface GivenModule {
  /** The file that was given or found. */
  input: InputFile;
  /** What it holds. */
  plain: InputFile;
  vermagic: string | null;
  /** Names of modules whose exports it uses. */
  depends: readonly string[];
}

/** The finished modules of the running kernel that were given, and those that lie beside its image. */
export class GivenModules {
  private known: Promise<ReadonlyMap<string, GivenModule>> | undefined;
  private readonly found = new Map<string, Promise<GivenModule | null>>();

  constructor(
    private readonly flow: Flow,
    private readonly paths: readonly string[],
    /** The kernel's image; null where none is given. */
    private readonly image: string | null,
  ) {}

  /** By name. @throws KlpflowError `usage`, `not-a-module`, and what is wrong with a file */
  given(): Promise<ReadonlyMap<string, GivenModule>> {
    return (this.known ??= this.readGiven());
  }

  /** The file of a module; null for vmlinux, and where there is none. */
  async named(name: string): Promise<GivenModule | null> {
    if (name === 'vmlinux') return null;
    const given = (await this.given()).get(name);
    if (given !== undefined) return given;
    let beside = this.found.get(name);
    if (beside === undefined) this.found.set(name, (beside = this.readBeside(name)));
    return beside;
  }

  /** The files of modules whose exports a module uses, as far as they are there. */
  async neededBy(name: string): Promise<GivenModule[]> {
    const needed: GivenModule[] = [];
    for (const other of (await this.named(name))?.depends ?? []) {
      const module = await this.named(other);
      if (module !== null) needed.push(module);
    }
    return needed;
  }

  private async readGiven(): Promise<ReadonlyMap<string, GivenModule>> {
    const modules = new Map<string, GivenModule>();
    for (const path of this.paths) {
      const [name, module] = await this.read(path);
      if (modules.has(name)) throw new KlpflowError('usage', `--module-image ${path}: ${name} is given twice`);
      modules.set(name, module);
    }
    return modules;
  }

  private async readBeside(name: string): Promise<GivenModule | null> {
    const path = this.image === null ? undefined : moduleBeside(this.image, name);
    return path === undefined ? null : (await this.read(path))[1];
  }

  private async read(path: string): Promise<[name: string, GivenModule]> {
    const plain = await plainFile(this.flow, path);
    const object = ElfObject.open(plain.path, path);
    const { name } = moduleInfo(object);
    if (name === null) throw notModule(path, 'name');
    const keys = moduleKeys(object);
    const depends = (keys.get('depends') ?? '').split(',').filter((one) => one !== '');
    return [
      name,
      { input: inputFile(path), plain, vermagic: keys.get('vermagic') ?? null, depends: depends.map(runtimeName) },
    ];
  }
}

/** A module of another kernel than the image is. */
export function otherKernel({ input, vermagic }: GivenModule, image: ImageFacts): Diagnostic[] {
  const own = image.build.vermagic;
  return vermagic === null || own === null || vermagic.trim() === own.trim()
    ? []
    : [
        diagnostic(
          'kernel-mismatch',
          `${input.path} and ${image.path} are of different kernels: vermagic is "${vermagic.trim()}" and "${own.trim()}"`,
          { object: input.path },
        ),
      ];
}
