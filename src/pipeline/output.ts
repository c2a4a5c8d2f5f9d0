import { createHash } from 'node:crypto';
import type { Diagnostic } from '../diagnostics';
import { writeAtomically } from '../files/output-file';
import { FORMATS, type OutputFormat } from '../livepatch/formats';
import { readExtracted, type KernelFiles } from './extract';
import type { Flow } from './flow';
import type { KernelSources } from './kernel';
import { linkModule, type ModuleRequest } from './link';

/** A livepatch to be written: an object for klp-build and `link`, one for kpatch-build's link and `create-klp-module`, or the finished module. */
export type OutputRequest = KernelFiles &
  (
    | { path: string; format: 'klp' }
    | { path: string; format: 'kpatch'; vmlinux: string }
    | (Omit<ModuleRequest, 'symvers'> & { format: 'ko' })
  );

/** Whether two folders can become this; then an object is made of each unit. */
export function isOfFolders(request: OutputRequest): request is Extract<OutputRequest, { format: 'kpatch' }> {
  return FORMATS[request.format].ofFolders;
}

export interface OutputReport {
  path: string;
  format: OutputFormat;
  /** Of a folder the sum. */
  bytes: number;
  /** Of a folder that of the list which `sha256sum` prints of its files, by path. */
  sha256: string;
  /** Name of the finished module. */
  module?: string;
  /** The objects of a folder, by path in it. */
  files?: Array<{ path: string; bytes: number; sha256: string }>;
}

/**
 * Writes an extracted object as it is, or all of them linked into a module; `output` is null where the module is refused.
 * `unchanged` is called when all is read and nothing written; it throws where what was read is not what the run began with.
 * @throws KlpflowError for files that cannot be read or written
 */
export async function writeLivepatch(
  flow: Flow,
  request: OutputRequest,
  sources: KernelSources,
  objects: readonly Uint8Array[],
  unchanged: () => void,
): Promise<{ output: OutputReport | null; diagnostics: Diagnostic[] }> {
  const written =
    request.format === 'ko'
      ? await flow.progress.onMain('link', () => linked(moduleRequest(request, sources), objects, unchanged))
      : { output: await plain(request.path, request.format, objects[0]!, unchanged), diagnostics: [] };
  if (written.output !== null)
    flow.progress.step('link', null, false, null, { items: objects.length, bytes: written.output.bytes });
  return written;
}

/** A module's request with what the image says where no file was given. */
function moduleRequest(
  request: OutputRequest & { format: 'ko' },
  { symvers, btf, image }: KernelSources,
): ModuleRequest {
  return {
    ...request,
    symvers: symvers!.path,
    btf,
    ...(image === null
      ? {}
      : { image: { path: image.path, vermagic: image.build.vermagic, retpoline: image.retpoline } }),
  };
}

function linked(
  request: ModuleRequest,
  objects: readonly Uint8Array[],
  unchanged: () => void,
): ReturnType<typeof linkModule> {
  return linkModule(objects.map(readExtracted), request, unchanged);
}

async function plain(
  path: string,
  format: OutputFormat,
  object: Uint8Array,
  unchanged: () => void,
): Promise<OutputReport> {
  unchanged();
  await writeAtomically(path, [object]);
  return { path, format, bytes: object.length, sha256: createHash('sha256').update(object).digest('hex') };
}
