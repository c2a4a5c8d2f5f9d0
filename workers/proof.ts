/** ORIG in what runs: the kernel's image, or the finished module. */
import { ElfObject } from '../src/elf';
import { KlpflowError } from '../src/diagnostics';
import { ShippedModule } from '../src/kernel-image';
import { KernelListing } from '../src/kernel/listing';
import { readTable } from '../src/stages/scan';
import { Side } from '../src/stages/side/side';
import {
  ImageEvidence,
  KernelCode,
  PlainUnit,
  Placement,
  addressBy,
  census,
  compilerOf,
  type Census,
} from '../src/stages/running-kernel/image';
import { SymbolPositions, type ModuleFile, type SeenModule } from '../src/stages/running-kernel/sympos';
import type { Copied } from './dialect';
import { read } from './inputs';
import { kernelCode, placed } from './kernel-code';
import type { ImageFacts, InputFile, SeenFiles } from '../src/pipeline/types';

export interface Proof {
  kernel: KernelCode;
  placement: Placement;
  /** The unit compiled plainly. */
  plain: PlainUnit | null;
  /** What compiled it. */
  compiler: string | null;
  /** Where symbols are by it. */
  shown: ImageEvidence;
  /** Of a module its own symbols. */
  module: SeenModule | null;
}

interface SeenKernel {
  objectName: string;
  listing: KernelListing | null;
  image: ImageFacts | null;
  moduleFile: InputFile | null;
  /** The unit compiled plainly. */
  plain: InputFile | null;
}

/** Null where no image of the object was given. @throws KlpflowError what is wrong with it, `usage` for a plain unit without it */
export function proofOf(
  { objectName, listing, image, moduleFile, plain }: SeenKernel,
  { orig, included }: Copied,
): Proof | null {
  const seen = seenBy({ objectName, listing, image, moduleFile }, orig);
  if (seen === null) {
    if (plain === null) return null;
    throw new KlpflowError(
      'usage',
      `--plain ${plain.path}: it is compared with the image of what runs; --vmlinux vmlinuz is needed, of a module --module-image FILE`,
    );
  }
  const { kernel, compiler, file, evidence } = seen;
  const functions = included.map(({ origin }) => origin).filter((origin) => origin !== 0);
  const placement = placed(orig, kernel, functions);
  const unit = plain === null ? null : plainUnit(plain, orig, kernel);
  const shown = new ImageEvidence(addressBy(placement, unit), kernel, evidence);
  return { kernel, placement, plain: unit, compiler, shown, module: file === null ? null : { file, shown } };
}

/** ORIG's functions in sections [from, to) that stand in what runs. @throws KlpflowError what is wrong with its files */
export function counted(orig: Side, { kernel, ...files }: SeenFiles, from: number, to: number): Census {
  const listing = kernel === null ? null : read(kernel, KernelListing.open);
  const seen = seenBy({ ...files, listing }, orig);
  const sections = Placement.codeSections(orig).filter((section) => section >= from && section < to);
  // Who asks for it has seen to it that there is something.
  return census(orig, seen!.kernel, sections);
}

function seenBy({ objectName, listing, image, moduleFile }: Omit<SeenKernel, 'plain'>, orig: Side): Seen | null {
  return objectName === 'vmlinux' ? kernelSeen(listing, image) : moduleSeen(objectName, moduleFile, orig);
}

/** What runs, before ORIG is looked for in it. */
interface Seen {
  kernel: KernelCode;
  compiler: string | null;
  file: ModuleFile | null;
  /** What it is called as evidence. */
  evidence: string;
}

function kernelSeen(listing: KernelListing | null, image: ImageFacts | null): Seen | null {
  if (listing === null || image === null) return null;
  const evidence = "the kernel's image, by equal code and what it refers to";
  return { kernel: kernelCode(image, listing), compiler: image.build.compiler, file: null, evidence };
}

function moduleSeen(name: string, moduleFile: InputFile | null, { object: { machine } }: Side): Seen | null {
  if (moduleFile === null) return null;
  const file = read(moduleFile, (path, called) => new ShippedModule(ElfObject.open(path, called)));
  if (file.name !== name || file.object.machine !== machine)
    throw new KlpflowError('not-a-module', `${file.path} is not the module ${name} of ORIG's processor`, {
      object: file.path,
    });
  const listing = KernelListing.ofModule(file.columns, file.path);
  return {
    kernel: new KernelCode(listing, file, file.sites, file.imports),
    compiler: compilerOf(file.object),
    file: {
      path: file.path,
      // The list finds them by address; their order is that of the table.
      entriesOf: (bytes, start, length) => listing.findBytes(bytes, start, length).sort((a, b) => a - b),
      isGlobal: (entry) => file.isGlobal(entry),
      isDropped: (entry) => file.isDropped(entry),
    },
    evidence: "the module's file, by equal code and what it refers to",
  };
}

function plainUnit(plain: InputFile, orig: Side, kernel: KernelCode): PlainUnit {
  const object = read(plain, (path, called) => ElfObject.open(path, called));
  const side = new Side(object, readTable(object));
  return new PlainUnit(orig, side, placed(side, kernel, []));
}

export function positionsOf(
  orig: Side,
  objectName: string,
  listing: KernelListing | null,
  proof: Proof | null,
): SymbolPositions {
  const shown = proof?.module === null ? proof.shown : null;
  return new SymbolPositions(orig, objectName, listing, shown, proof?.module ?? null);
}
