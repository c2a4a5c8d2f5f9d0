import { lastValueFrom } from 'rxjs';
import { KlpflowError, type Diagnostic, noKernelGiven } from '../diagnostics';
import { ElfImage } from '../elf';
import { MappedFile } from '../files/mapped-file';
import { mayBeImage } from '../kernel-image';
import { isElf } from '../kernel/listing';
import { FORMATS, type Format, type OutputFormat } from '../livepatch/formats';
import { contradictions } from './contradictions';
import { headOf, inputFile } from './files';
import type { Flow } from './flow';
import { GivenModules } from './given-modules';
import type { ImageFacts, InputFile } from './types';
import type { GivenFiles } from './contradictions';

/** Where each fact is read: given files, else what the image says, in the form of the file that it stands for. */
export interface KernelSources {
  /** What lists the running kernel's symbols. */
  listing: InputFile | null;
  symvers: InputFile | null;
  btf: string | undefined;
  image: ImageFacts | null;
  /** What lists the symbols holds the kernel's code, too. */
  linked: boolean;
  /** Given files that contradict the image. */
  diagnostics: readonly Diagnostic[];
}

/** What is given of the running kernel. Its image is decoded when a fact of it is first needed, and once. */
export class GivenKernel {
  /** Finished modules. */
  readonly modules: GivenModules;
  private resolved: Promise<KernelSources> | undefined;
  private readonly kind: 'image' | 'linked' | 'text' | null;

  /** @throws KlpflowError `unreadable` */
  constructor(
    private readonly flow: Flow,
    private readonly given: GivenFiles,
    /** Whether a finished module is made. */
    private readonly module: boolean,
  ) {
    this.kind = given.vmlinux === undefined ? null : kindOf(given.vmlinux);
    this.modules = new GivenModules(flow, given.moduleImages ?? [], this.kind === 'image' ? given.vmlinux! : null);
  }

  /** Whether the image has to tell what no file does. */
  private get needsImage(): boolean {
    const { symvers, btf, template } = this.given;
    if (this.kind === 'image') return true;
    return (
      this.kind === 'linked' && (symvers === undefined || (this.module && btf === undefined && template === undefined))
    );
  }

  /** Begins to decode an image; what is wrong with it is told to who asks for a fact. */
  begin(): void {
    if (this.kind === 'image') this.sources().catch(() => undefined);
  }

  /** @throws KlpflowError what is wrong with the image */
  sources(): Promise<KernelSources> {
    return (this.resolved ??= this.resolve());
  }

  /**
   * The sources for a livepatch of these objects. A module uses exports of others, which the kernel's image does not have (`v4l2_device_register` of saa7164): where no
   * Module.symvers is given the files of those tell.
   */
  async sourcesFor(names: readonly string[]): Promise<KernelSources> {
    const sources = await this.sources();
    const { image } = sources;
    if (image === null || this.given.symvers !== undefined) return sources;
    const needed = new Map<string, InputFile>();
    for (const name of names)
      for (const { plain } of await this.modules.neededBy(name)) needed.set(plain.called ?? plain.path, plain);
    if (needed.size === 0) return sources;
    const { kernels: folder, scratch } = this.flow.runDir;
    const kept = await lastValueFrom(
      this.flow.task(
        'identify',
        null,
        'moduleExports',
        { vmlinux: image.exports, modules: [...needed.values()], folder, scratch },
        ({ size }) => ({ items: needed.size, bytes: size }),
      ),
    );
    return { ...sources, symvers: { ...inputFile(kept.path), called: image.path } };
  }

  private async resolve(): Promise<KernelSources> {
    const { vmlinux, symvers, btf } = this.given;
    const own = (path: string | undefined): InputFile | null => (path === undefined ? null : inputFile(path));
    const image = this.needsImage ? await this.decode(vmlinux!) : null;
    const linked = this.kind === 'linked';
    if (image === null) return { listing: own(vmlinux), symvers: own(symvers), btf, image, linked, diagnostics: [] };
    const made = ({ path }: { path: string }): InputFile => ({ ...inputFile(path), called: image.path });
    return {
      // A linked file with symbols says more than its list: sizes, and the order of units.
      listing: linked ? own(vmlinux) : made(image.symbols),
      symvers: own(symvers) ?? made(image.exports),
      btf: btf ?? image.types?.path,
      image,
      linked,
      diagnostics: contradictions(image, this.given),
    };
  }

  private decode(path: string): Promise<ImageFacts> {
    const { flow } = this;
    const input = inputFile(path);
    return lastValueFrom(
      flow.task(
        'identify',
        path,
        'kernelImage',
        { input, place: flow.runDir.input(input.identity), folder: flow.runDir.kernels, fresh: flow.fresh },
        ({ counts }) => ({ items: counts.symbols, bytes: input.identity.size }),
      ),
    );
  }
}

/** The longest head that tells what a file is: x86's setup header. */
const HEAD = 0x400;

/** `linked`: ELF with a symbol table of its own. Relocatable objects and what cannot be read are left to those who read them. */
function kindOf(path: string): 'image' | 'linked' | 'text' {
  const bytes = headOf(path, HEAD);
  if (!isElf(bytes)) return mayBeImage(bytes) ? 'image' : 'text';
  try {
    return new ElfImage(MappedFile.open(path)).symbolCount <= 1 ? 'image' : 'linked';
  } catch {
    return 'text';
  }
}

/** @throws KlpflowError `usage` where nothing says what the kernel exports, or how it lays out its structs */
export function checkGiven(path: string, format: OutputFormat, { vmlinux, symvers, btf, template }: GivenFiles): void {
  const kind = vmlinux === undefined ? 'text' : kindOf(vmlinux);
  const { needsListing, linked }: Format = FORMATS[format];
  if (needsListing && kind === 'image')
    throw new KlpflowError(
      'usage',
      `-o ${path}: format ${format} needs sizes of the kernel's symbols, which its image ${vmlinux} does not have: pass what \`readelf -sW vmlinux\` prints`,
    );
  if (kind !== 'text') return;
  if (symvers === undefined) throw noKernelGiven(path);
  if (linked && btf === undefined && template === undefined)
    throw new KlpflowError(
      'usage',
      `-o ${path}: --btf FILE (/sys/kernel/btf/vmlinux) or --template FILE.ko (any module of the kernel) is needed, or its image (--vmlinux vmlinuz): it says how the kernel lays out its structs`,
    );
}
