import { lastValueFrom } from 'rxjs';
import { ElfObject } from '../elf';
import { MappedFile } from '../files/mapped-file';
import { FORMATS, type OutputFormat } from '../livepatch/formats';
import { readKlpObject } from '../livepatch/klp';
import type { LivepatchObject } from '../livepatch/object';
import { decodeLivepatch, loadHash, readRecords, type RecordPlace } from '../records';
import { inputFile } from './files';
import type { Flow } from './flow';
import type { KernelSources } from './kernel';
import type { Identified } from './scan';
import type { ExtractFindings, InputFile, Judgement, PairRef } from './types';

/** Files that tell how references leave a livepatch. */
export interface KernelFiles {
  /** Module.symvers of the original build; default: what the image exports. */
  symvers?: string | undefined;
  /** The running kernel: its image, a linked vmlinux, or text that lists its symbols (kallsyms, System.map, `readelf -sW`). */
  vmlinux?: string | undefined;
  /** Of dialect kpatch: the kernel applies `.klp.arch` sections (before 5.8). */
  klpArch?: boolean;
  /** Finished modules of it, `.ko` in whatever compression, that are compared. */
  moduleImages?: readonly string[] | undefined;
}

/** Files about one pair of objects, besides those of the kernel. */
export interface UnitFiles {
  /** Of a module its finished file. */
  moduleFile: InputFile | null;
  /** The unit compiled plainly. */
  plain: InputFile | null;
}

/** A livepatch object in its dialect's form, klp's before it is linked. */
export interface Extracted {
  object: Uint8Array;
  findings: ExtractFindings;
}

/** An object of dialect klp as it was extracted. */
export function readExtracted(object: Uint8Array): LivepatchObject {
  // 8-aligned, as a mapping is: then tables are read in place.
  return readKlpObject(new ElfObject(MappedFile.ofBytes(new Uint8Array(object), 'the extracted object')));
}

/** The extraction of one pair with one set of files: what was recorded of it, and what makes it. */
export class Extract {
  private readonly place: RecordPlace;

  /** @throws KlpflowError `unreadable` */
  constructor(
    private readonly flow: Flow,
    private readonly orig: Identified,
    private readonly patched: Identified,
    private readonly files: KernelFiles & { format: OutputFormat },
    options: object,
  ) {
    const identityOf = (path: string | undefined): unknown => (path === undefined ? null : inputFile(path).identity);
    this.place = flow.runDir.livepatch(
      orig.digest,
      patched.digest,
      JSON.stringify({
        options,
        symvers: identityOf(files.symvers),
        kernel: identityOf(files.vmlinux),
        ...(files.klpArch === true ? { klpArch: true } : {}),
      }),
    );
  }

  /** What an earlier run made of the same contents; undefined if there is nothing that can be used. */
  async reuse(): Promise<Extracted | undefined> {
    if (this.flow.fresh) return undefined;
    await loadHash();
    const messages = readRecords(this.place.file, 'livepatch', this.place.key);
    if (typeof messages === 'string') return undefined;
    try {
      const record = decodeLivepatch(messages[0]);
      if (record === undefined) return undefined;
      this.flow.progress.step('extract', null, true, null, { items: 1, bytes: record.object.length });
      return record as Extracted;
    } catch {
      return undefined;
    }
  }

  /** Makes it anew. @throws KlpflowError for files that cannot be read */
  async make(
    pair: PairRef,
    {
      assessment: {
        included,
        brought,
        undecided,
        copied,
        object: { name },
      },
      plan,
    }: Judgement,
    { symvers, listing: kernel, image }: KernelSources,
    { moduleFile, plain }: UnitFiles,
  ): Promise<Extracted> {
    const {
      orig,
      patched,
      place,
      files: { klpArch = false, format },
    } = this;
    return lastValueFrom(
      this.flow.task(
        'extract',
        null,
        'extract',
        {
          pair,
          included,
          brought,
          undecided,
          copied,
          objectName: name,
          // `checkGiven` saw to it that there is one.
          symvers: symvers!,
          kernel,
          image,
          moduleFile,
          plain,
          provenance: { orig: orig.digest, patched: patched.digest },
          place,
          dialect: FORMATS[format].dialect,
          plan,
          klpArch,
        },
        ({ object }) => ({ items: included.length, bytes: object.length }),
      ),
    );
  }
}
