/** All that a report of a comparison shows: the result, the code of the functions that it lists, and what the inputs are. */
import { createHash } from 'node:crypto';
import { lastValueFrom } from 'rxjs';
import { version } from '../../package.json';
import { MappedFile } from '../files/mapped-file';
import type { Listed } from '../stages/explain/many';
import { diff, type DiffResult } from './diff';
import type { DiffRequest } from './diff-options';
import { checkUnchanged } from './files';
import { correlateBoth, identifyBoth, scanBoth } from './pair';
import { withFlow } from './run';
import { addSourceLines } from './source-lines';
import { isFolder } from './tree-files';
import type { Explanation } from './types';

export interface ReportInput {
  role: string;
  path: string;
  bytes: number;
  sha256: string;
}

/** The functions of one list of `diff`, in its order; null for one whose code is not found. */
export interface ListedCode {
  object: string;
  state: Listed['state'];
  explanations: Array<Explanation | null>;
}

export interface Report {
  /** Of klpflow. */
  version: string;
  result: DiffResult;
  inputs: ReportInput[];
  code: ListedCode[];
}

/** Instructions around a difference; less where there are many functions. */
const CONTEXT = 4;
const MANY = 500;

/** Compares as `diff` does, and reads the code of what it lists; of folders there is no code. @throws KlpflowError as `diff` */
export async function report(request: DiffRequest): Promise<Report> {
  const result = await diff(request);
  return { version, result, inputs: inputsOf(request), code: await codeOf(request, result) };
}

async function codeOf(request: DiffRequest, { objects }: DiffResult): Promise<ListedCode[]> {
  const [object] = objects;
  if (object === undefined || objects.length > 1 || isFolder(request.orig)) return [];
  const { changed, new: fresh, removed, carried, ignored } = object.functions;
  const unit = <T extends { name: string }>(entry: T & { file?: string | null }): [string, string | null] => [
    entry.name,
    entry.file ?? null,
  ];
  const lists: Array<[Listed['state'], Array<[string, string | null]>]> = [
    ['changed', changed.map(unit)],
    ['new', fresh.map(unit)],
    ['removed', removed.map(unit)],
    ['carried', carried.map(unit)],
    ['ignored', ignored.map(unit)],
  ];
  const wanted = lists.flatMap(([state, names]) => names.map(([name, file]): Listed => ({ state, name, file })));
  if (wanted.length === 0) return [];
  const explanations = await withFlow(request, async (flow) => {
    const [orig, patched] = await identifyBoth(flow, request);
    const scans = await scanBoth(flow, orig, patched);
    const { pair } = await correlateBoth(flow, scans, request.twins);
    const context = wanted.length > MANY ? 1 : CONTEXT;
    const found = await lastValueFrom(
      flow.task('assess', null, 'explainListed', { pair, wanted, context }, () => ({ items: wanted.length, bytes: 0 })),
    );
    await addSourceLines(found.explanations, {
      orig: orig.copy ?? orig.path,
      patched: patched.copy ?? patched.path,
    });
    checkUnchanged([orig, patched]);
    return found.explanations;
  });
  let from = 0;
  return lists.map(([state, names]) => ({
    object: object.name,
    state,
    explanations: explanations.slice(from, (from += names.length)),
  }));
}

function inputsOf({
  orig,
  patched,
  symvers,
  vmlinux,
  ftrace,
  moduleImages = [],
  also = [],
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
