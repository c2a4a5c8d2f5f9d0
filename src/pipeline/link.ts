import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { version } from '../../package.json';
import { KlpflowError, type Diagnostic, noKernelGiven } from '../diagnostics';
import { ElfObject } from '../elf';
import { readText } from '../files/whole-file';
import { writeAtomically } from '../files/output-file';
import { readKlpObject } from '../livepatch/klp';
import {
  moduleNameOf,
  readKernelStructs,
  readTemplate,
  runtimeModuleName,
  writeModule,
  type ImageModuleFacts,
  type KlpState,
  type TargetKernel,
} from '../livepatch/ko';
import type { LivepatchObject } from '../livepatch/object';
import { KernelImage, symversText } from '../kernel-image';
import { Symvers } from '../kernel/symvers';
import { readBtf } from './btf-file';
import { checkOutput, checkUnchanged, inputFiles } from './files';

/** A module to be written, and the files that tell what its kernel is like. */
export interface ModuleRequest {
  /** Where it goes; must end in `.ko`. */
  path: string;
  /** Module.symvers of the kernel. */
  symvers: string;
  /** Its types; this or a template must be there. */
  btf?: string | undefined;
  /** Any of its modules. */
  template?: string | undefined;
  /** What its image says. */
  image?: ImageModuleFacts | undefined;
  /** Name of the module; default the file's. */
  name?: string | undefined;
  description?: string | undefined;
  /** An atomic replacement of all earlier livepatches; default true. */
  replace?: boolean | undefined;
  states?: readonly KlpState[] | undefined;
}

export interface WrittenModule {
  path: string;
  format: 'ko';
  bytes: number;
  sha256: string;
  /** Its run-time name. */
  module: string;
}

export interface LinkRequest extends Omit<ModuleRequest, 'symvers' | 'image'> {
  /** Module.symvers of the kernel; this or its image must be there. */
  symvers?: string | undefined;
  /** The kernel's image, which tells what the other files would. */
  vmlinux?: string | undefined;
  /** Livepatch objects that klpflow wrote, one for each patched object. */
  objects: readonly string[];
}

export interface LinkResult {
  schema: 'klpflow/link@1';
  verdict: 'patchable' | 'refused';
  /** The module's run-time name. */
  module: string;
  /** `functions` and `klpRelocations` are counts. */
  objects: Array<{ path: string; name: string; functions: number; klpRelocations: number }>;
  diagnostics: Diagnostic[];
  output: WrittenModule | null;
}

/** Makes one module of livepatch objects in files. @throws KlpflowError for files that cannot be read or written, and for names */
export async function link(request: LinkRequest): Promise<LinkResult> {
  const module = moduleName(request);
  const given = kernelFiles(request);
  const { symvers, vmlinux, btf, template } = request;
  const files = [...request.objects, symvers, vmlinux, btf, template];
  checkOutput(request.path, files);
  const inputs = inputFiles(files);
  const objects = request.objects.map((path) => readKlpObject(ElfObject.open(path)));
  const kernel = typeof given === 'string' ? await shippedKernel(given) : kernelOf(given);
  const { output, diagnostics } = await writeLinked(objects, request, kernel, () => checkUnchanged(inputs));
  return {
    schema: 'klpflow/link@1',
    verdict: output === null ? 'refused' : 'patchable',
    module,
    objects: objects.map(({ name, funcs, klpRelas }, i) => ({
      path: request.objects[i]!,
      name,
      functions: funcs.length,
      klpRelocations: klpRelas.length,
    })),
    diagnostics,
    output,
  };
}

/**
 * Makes one module of livepatch objects and writes it; `output` is null where it is refused, and nothing is written then.
 * `unchanged` is called when all is read and nothing written.
 * @throws KlpflowError for files that cannot be read or written, and for names
 */
export async function linkModule(
  objects: readonly LivepatchObject[],
  request: ModuleRequest,
  unchanged: () => void,
): Promise<{ output: WrittenModule | null; diagnostics: Diagnostic[] }> {
  return writeLinked(objects, request, kernelOf(request), unchanged);
}

async function writeLinked(
  objects: readonly LivepatchObject[],
  request: Pick<ModuleRequest, 'path' | 'name' | 'description' | 'replace' | 'states'>,
  kernel: TargetKernel,
  unchanged: () => void,
): ReturnType<typeof linkModule> {
  const { path, description, replace = true, states = [] } = request;
  const name = moduleName(request);
  const { chunks, diagnostics } = writeModule(objects, kernel, { name, version, description, replace, states });
  unchanged();
  if (chunks === null) return { output: null, diagnostics };
  const hash = createHash('sha256');
  const bytes = await writeAtomically(path, hashed(chunks(), hash));
  return { output: { path, format: 'ko', bytes, sha256: hash.digest('hex'), module: name }, diagnostics };
}

/** What files say of the kernel. */
function kernelOf({ btf, template, image, symvers }: ModuleRequest): TargetKernel {
  const types = btf === undefined ? undefined : readBtf(btf);
  return {
    symvers: Symvers.parse(readText(symvers), symvers),
    ...(types === undefined ? {} : { structs: readKernelStructs(types.bytes, types.path) }),
    ...(image === undefined ? {} : { image }),
    ...(template === undefined ? {} : { template: readTemplate(ElfObject.open(template)) }),
  };
}

/** What the image says of the kernel. @throws KlpflowError what is wrong with the image */
async function shippedKernel(path: string): Promise<TargetKernel> {
  const image = await KernelImage.open(path);
  const { btf: types, build, retpoline } = image;
  return {
    symvers: Symvers.parse(symversText(image.exports), path),
    ...(types === undefined ? {} : { structs: readKernelStructs(types, path) }),
    image: { path, vermagic: build.vermagic, retpoline },
  };
}

/** Beside the image nothing else is asked, so that nothing can contradict it. @throws KlpflowError `usage` */
function kernelFiles({ path, vmlinux, symvers, btf, template }: LinkRequest): string | ModuleRequest {
  if (vmlinux === undefined) {
    if (symvers !== undefined) return { path, symvers, btf, template };
    throw noKernelGiven(path);
  }
  for (const [flag, given] of Object.entries({ symvers, btf, template }))
    if (given !== undefined)
      throw new KlpflowError('usage', `--${flag} ${given}: the image ${vmlinux} says that itself; give one of them`);
  return vmlinux;
}

/** @throws KlpflowError `usage` */
function moduleName({ path, name }: Pick<ModuleRequest, 'path' | 'name'>): string {
  if (!path.endsWith('.ko')) throw new KlpflowError('usage', `-o ${path}: a module's file ends in .ko`);
  const found = name === undefined ? moduleNameOf(basename(path)) : runtimeModuleName(name);
  if (found === undefined)
    throw new KlpflowError('usage', `--name ${name}: a module's name is at most 55 letters, digits, "_" and "-"`);
  if (found === '') throw new KlpflowError('usage', `-o ${path}: the file has no name before .ko`);
  return found;
}

function* hashed(chunks: Iterable<Uint8Array>, hash: ReturnType<typeof createHash>): Generator<Uint8Array> {
  for (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}
