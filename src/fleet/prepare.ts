/** From cells to jobs: every file is looked at and digested, and all that is missing is said before anything is done. */
import { append } from '../lists';
import { mkdirSync } from 'node:fs';
import { KlpflowError, diagnosticOf, isRefused, throwIfInterrupted } from '../diagnostics';
import { ElfObject } from '../elf';
import { neededMemory } from '../pipeline/memory';
import type { RunOptions } from '../pipeline/flow';
import { isFolder } from '../pipeline/tree-files';
import { PRODUCER } from '../records';
import { Digests, type Blob, type Digested } from './digest';
import { jobId, type DiffFile, type Job } from './job';
import { pairOf, type BuiltKernel, type Cell, type FleetPatch, type Matrix, type SavedKernel } from './matrix';
import type { Owner, Problem } from './places';
import { recipeOf, type Recipe } from './recipe';
import type { Signers } from './signing';

/** A cell that can be done. */
export interface Prepared {
  cell: Cell;
  id: string;
  job: Job;
  files: Digested[];
  /** Anonymous memory that it takes with one thread, or of one program at a time. */
  bytes: number;
}

export interface Preparation {
  ready: Prepared[];
  /** Cells of which something is missing. */
  missing: Array<{ cell: Cell; problems: Problem[] }>;
  /** What is known of kernels that are built. */
  recipes: ReadonlyMap<BuiltKernel, Recipe>;
}

/** A program of a build: a large unit of a kernel takes GCC or Clang as much, with debugging information. */
const COMPILER = 500e6;

/** What only the machine that builds has to have. */
const OF_BUILDERS: ReadonlySet<string> = new Set(['build-compiler', 'build-tool-missing']);

/** `folder` remembers digests. `elsewhere`: other machines build. `signers`: of what is handed out here. */
export async function prepare(
  matrix: Matrix,
  options: RunOptions,
  folder: string,
  elsewhere = false,
  signers?: Signers,
): Promise<Preparation> {
  mkdirSync(folder, { recursive: true });
  const digests = new Digests(folder);
  const recipes = new Map<BuiltKernel, Recipe>();
  const found: Preparation = { ready: [], missing: [], recipes };
  for (const cell of matrix.cells) {
    throwIfInterrupted(options.signal);
    const { kernel, patch } = cell;
    const looked = new Looked(digests);
    if (kernel.kind === 'build' && !recipes.has(kernel))
      recipes.set(kernel, await recipeOf(kernel, options, digests, folder));
    const job =
      kernel.kind === 'build'
        ? await buildJob(recipes.get(kernel)!, patch, looked, elsewhere)
        : await diffJob(kernel, patch, looked);
    const { files, problems } = looked;
    const ofKey = signers?.problemOf(kernel);
    if (ofKey !== undefined) problems.push({ owner: 'kernel', diagnostic: ofKey });
    if (job === undefined || problems.length > 0) found.missing.push({ cell, problems });
    else found.ready.push({ cell, id: jobId(job), job, files, bytes: bytesOf(job, files) });
  }
  return found;
}

/** Files as they are looked at, and what is wrong with them. */
class Looked {
  readonly files: Digested[] = [];
  readonly problems: Problem[] = [];

  constructor(private readonly digests: Digests) {}

  /** Undefined where it cannot be read, which is told. */
  async at(path: string, owner: Owner): Promise<Blob | undefined> {
    try {
      if (isFolder(path))
        throw new KlpflowError('not-regular-file', `${path} is a folder: a cell is of one object`, { object: path });
      const file = await this.digests.of(path);
      this.files.push(file);
      return { sha256: file.sha256, bytes: file.bytes };
    } catch (cause) {
      this.problems.push({ owner, diagnostic: diagnosticOf(cause) });
      return undefined;
    }
  }
}

function common(patch: FleetPatch): Pick<Job['work'], 'name' | 'allow' | 'description' | 'replace'> {
  const { name, allow, description = null, replace } = patch;
  return {
    name: `livepatch-${name}`.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 55),
    allow: [...allow],
    description,
    replace,
  };
}

async function buildJob(
  { digest, problems }: Recipe,
  patch: FleetPatch,
  looked: Looked,
  elsewhere: boolean,
): Promise<Job | undefined> {
  const allowed = (code: string): boolean => patch.allow.includes(code) || (elsewhere && OF_BUILDERS.has(code));
  append(
    looked.problems,
    problems
      .filter((one) => (isRefused([one]) || one.severity === 'error') && !allowed(one.code))
      .map((diagnostic): Problem => ({ owner: 'kernel', diagnostic })),
  );
  const patches: Blob[] = [];
  for (const file of patch.files) {
    const blob = await looked.at(file, 'patch');
    if (blob !== undefined) patches.push(blob);
  }
  if (digest === undefined) return undefined;
  const { strip } = patch;
  return {
    schema: 'klpflow/job@1',
    producer: PRODUCER,
    work: { kind: 'build', ...common(patch), kernel: digest, patches, strip },
  };
}

async function diffJob(kernel: SavedKernel, patch: FleetPatch, looked: Looked): Promise<Job | undefined> {
  const paths: Partial<Record<DiffFile, string>> = { ...pairOf(kernel, patch), ...kernel.facts };
  const ofPatch = (kind: string): boolean => kind === 'patched' || (kind === 'orig' && patch.orig !== undefined);
  const files: Partial<Record<DiffFile, Blob>> = {};
  for (const [kind, path] of Object.entries(paths) as Array<[DiffFile, string]>) {
    const blob = await looked.at(path, ofPatch(kind) ? 'patch' : 'kernel');
    if (blob !== undefined) files[kind] = blob;
  }
  const moduleImages: Blob[] = [];
  for (const path of kernel.moduleImages) {
    const blob = await looked.at(path, 'kernel');
    if (blob !== undefined) moduleImages.push(blob);
  }
  const { orig, patched } = files;
  if (orig === undefined || patched === undefined) return undefined;
  return {
    schema: 'klpflow/job@1',
    producer: PRODUCER,
    work: {
      ...{ kind: 'diff', ...common(patch), files: { ...files, orig, patched }, moduleImages },
      module: patch.module ?? null,
    },
  };
}

function bytesOf({ work }: Job, files: readonly Digested[]): number {
  if (work.kind === 'build') return COMPILER;
  const loads = [work.files.orig, work.files.patched].map(({ sha256 }) => {
    const { path } = files.find((file) => file.sha256 === sha256)!;
    try {
      const { symbolCount, sectionCount, loadedRelas } = ElfObject.open(path);
      return { symbols: symbolCount, sections: sectionCount, relas: loadedRelas };
    } catch {
      // What is wrong with it is told by the cell.
      return { symbols: 0, sections: 0, relas: 0 };
    }
  });
  return neededMemory(loads, 1);
}
