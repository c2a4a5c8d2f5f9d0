/** All that a report of a comparison shows: the result, the code of the functions that it lists, and what the inputs are. */
import { createHash } from 'node:crypto';
import { version } from '../../package.json';
import { MappedFile } from '../files/mapped-file';
import type { Hunk } from '../patch/hunks';
import { diff, type DiffResult } from './diff';
import type { DiffRequest } from './diff-options';
import { codeOf, type ListedCode } from './listed-code';
import { withTies } from './patch-ties';
import { isFolder } from './tree-files';

export interface ReportInput {
  role: string;
  path: string;
  bytes: number;
  sha256: string;
}

export interface Report {
  /** Of klpflow. */
  version: string;
  result: DiffResult;
  inputs: ReportInput[];
  code: ListedCode[];
}

/** Compares as `diff` does, and reads the code of what it lists; of folders there is no code. @throws KlpflowError as `diff` */
export async function report(request: DiffRequest): Promise<Report> {
  const { patches = [] } = request;
  const hunks = await hunksOf(patches);
  const result = await diff(request);
  const code = await codeOf(request, result);
  return {
    version,
    result: patches.length === 0 ? result : withTies(result, patches, hunks, code),
    inputs: inputsOf(request),
    code,
  };
}

/** Compares, and ties what changed to the hunks of the request's patches. @throws KlpflowError as `diff`, and for a patch that cannot be read */
export async function diffByPatch(request: DiffRequest, patches: readonly string[]): Promise<DiffResult> {
  const hunks = await hunksOf(patches);
  const result = await diff(request);
  return withTies(result, patches, hunks, await codeOf(request, result));
}

/** The reader of patches is loaded where there are any. */
async function hunksOf(patches: readonly string[]): Promise<Hunk[]> {
  return patches.length === 0 ? [] : (await import('../patch/hunks')).readHunks(patches);
}

function inputsOf({
  orig,
  patched,
  symvers,
  vmlinux,
  ftrace,
  moduleImages = [],
  also = [],
  patches = [],
}: DiffRequest): ReportInput[] {
  const files: Array<[string, string | undefined]> = [
    ['ORIG', orig],
    ['PATCHED', patched],
    ...also.flatMap(
      (pair): Array<[string, string]> => [
        ['ORIG', pair.orig],
        ['PATCHED', pair.patched],
      ],
    ),
    ...patches.map((path): [string, string] => ['--patch', path]),
    ['--symvers', symvers],
    ['--vmlinux', vmlinux],
    ['--ftrace', ftrace],
    ...moduleImages.map((path): [string, string] => ['--module-image', path]),
  ];
  return files.flatMap(([role, path]) => {
    if (path === undefined || isFolder(path)) return [];
    const { bytes } = MappedFile.open(path);
    return [{ role, path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }];
  });
}
