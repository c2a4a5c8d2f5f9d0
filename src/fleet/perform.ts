/** From a job's value to its result, in any place: the one function that does what a cell is. */
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { KlpflowError, isRefused, type Diagnostic } from '../diagnostics';
import { build } from '../kbuild';
import type { BuildEvidence, BuiltUnit } from '../kbuild/request';
import { diff, type DiffResult } from '../pipeline/diff';
import type { DiffRequest } from '../pipeline/diff-options';
import { verify } from '../verify';
import { readShipped } from '../verify/shipped';
import { readShippedModules } from '../verify/shipped/modules';
import { sha256, type Blob } from './digest';
import { jobId, type BuildWork, type DiffFile, type DiffWork, type Job } from './job';
import type { BuiltKernel } from './matrix';

/** What a cell came to. The same job has the same result, byte for byte, wherever it was done: neither time nor place is in it. */
export interface CellResult {
  schema: 'klpflow/cell@1';
  job: string;
  verdict: DiffResult['verdict'];
  /** Null where a build was refused before anything was compared. */
  diff: Omit<DiffResult, 'run'> | null;
  build: { release: string | null; compiler: string | null; units: BuiltUnit[]; evidence: BuildEvidence[] } | null;
  /** What building and verifying add to those of `diff`. */
  diagnostics: Diagnostic[];
  livepatch: (Blob & { module: string }) | null;
}

/** Where a job is done. */
export interface Place {
  /** Of this job alone. */
  folder: string;
  /** Contents by digest. */
  files: Readonly<Record<string, string>>;
  /** That a build is for. */
  kernel?: BuiltKernel | undefined;
  runDir: string;
  /** Threads, or programs at a time. */
  workers: number;
  signal?: AbortSignal;
}

export interface Done {
  /** The result as it is kept. */
  text: string;
  /** The file of the livepatch, in the job's folder. */
  livepatch: string | null;
}

const MODULE = 'livepatch.ko';

/** What of a machine makes a build impossible: another one may do it. */
const OF_THIS_MACHINE: ReadonlySet<string> = new Set([
  'build-compiler',
  'build-tool-missing',
  'kernel-not-found',
  'module-not-found',
]);

/** @throws KlpflowError what keeps the cell from having a result */
export async function perform(job: Job, given: Place): Promise<Done> {
  // Whatever is said of a file names it by its whole path, which is then taken off.
  const place = { ...given, folder: resolve(given.folder), runDir: resolve(given.runDir) };
  const { folder } = place;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const found = job.work.kind === 'diff' ? await compared(job.work, place) : await built(job.work, place);
  const module = found.diff?.output?.module;
  const made = join(folder, MODULE);
  const livepatch = module === undefined || found.verdict === 'refused' ? null : made;
  const result: CellResult = {
    schema: 'klpflow/cell@1',
    job: jobId(job),
    ...found,
    livepatch: livepatch === null ? null : { ...blobOf(livepatch), module: module! },
  };
  const text = placeless(`${JSON.stringify(result)}\n`, place);
  return { text, livepatch };
}

function blobOf(path: string): Blob {
  const bytes = readFileSync(path);
  return { sha256: sha256(bytes), bytes: bytes.length };
}

type Found = Omit<CellResult, 'schema' | 'job' | 'livepatch'>;

async function compared(work: DiffWork, place: Place): Promise<Found> {
  const { folder, runDir, workers, signal } = place;
  const names: Record<DiffFile, string> = {
    orig: 'orig.o',
    patched: 'patched.o',
    vmlinux: 'vmlinux',
    symvers: 'Module.symvers',
    btf: 'vmlinux.btf',
    template: 'template.ko',
    ftrace: 'available_filter_functions',
  };
  const paths = Object.fromEntries(
    Object.entries(work.files).map(([kind, blob]) => [kind, linked(place, blob, names[kind as DiffFile])]),
  ) as Partial<Record<DiffFile, string>> & { orig: string; patched: string };
  const moduleImages = work.moduleImages.map((blob, i) => linked(place, blob, `module-${i}.ko`));
  const { orig, patched, vmlinux, symvers, btf, template, ftrace } = paths;
  const { name, allow, description, replace, module } = work;
  const made = join(folder, MODULE);
  const facts = { vmlinux, symvers, moduleImages };
  const request: DiffRequest = {
    ...{ orig, patched, runDir, workers, allow, ftrace },
    ...(signal === undefined ? {} : { signal }),
    module: module ?? undefined,
    // Without a file of the kernel there is no module, but a verdict.
    ...(vmlinux === undefined && symvers === undefined
      ? {}
      : {
          output: {
            ...{ path: made, format: 'ko', ...facts, btf, template, name, replace },
            description: description ?? undefined,
            states: [],
          },
        }),
  };
  const { run: _, ...result } = await diff(request);
  const wrong =
    result.output === null
      ? []
      : await verified(made, { vmlinux, symvers, btf, template, moduleImages, objects: [patched] });
  const verdict = wrong.length > 0 ? 'refused' : result.verdict;
  return { verdict, diff: result, build: null, diagnostics: wrong };
}

interface Facts {
  vmlinux: string | undefined;
  symvers: string | undefined;
  btf: string | undefined;
  template: string | undefined;
  moduleImages: readonly string[];
  objects: readonly string[];
}

/** What the verifier, which has knowledge of its own, refuses. */
async function verified(module: string, facts: Facts): Promise<Diagnostic[]> {
  const { vmlinux, symvers, btf, template, moduleImages, objects } = facts;
  const { ok, diagnostics } = verify({
    module,
    shipped: vmlinux === undefined ? undefined : await readShipped(vmlinux),
    modules: await readShippedModules([...moduleImages]),
    ...(vmlinux === undefined ? {} : { vmlinux }),
    ...(symvers === undefined ? {} : { symvers }),
    ...(btf === undefined ? {} : { btf }),
    ...(template === undefined ? {} : { template }),
    objects: [...objects],
  });
  return ok ? [] : diagnostics.filter((found) => isRefused([found]) || found.severity === 'error');
}

async function built(work: BuildWork, place: Place): Promise<Found> {
  const { folder, kernel, runDir, workers, signal } = place;
  if (kernel === undefined) throw new KlpflowError('internal', 'a build without its kernel');
  const { image, config, symvers, modules } = kernel.files;
  const { name, allow, description, replace, strip } = work;
  const result = await build({
    patches: work.patches.map((blob, i) => linked(place, blob, `${String(i + 1).padStart(4, '0')}.patch`)),
    ...{ source: kernel.source, kernel: kernel.kernel, root: kernel.root, vmlinux: image, config, symvers, modules },
    ...{ strip, variables: kernel.make, output: join(folder, MODULE), allow, name, replace },
    description: description ?? undefined,
    states: [],
    ...{ runDir, workers, jobs: workers },
    ...(signal === undefined ? {} : { signal }),
  });
  const local = result.diagnostics.find(
    ({ code, severity }) => OF_THIS_MACHINE.has(code) && (severity === 'refusal' || severity === 'error'),
  );
  if (local !== undefined) throw new KlpflowError(local.code, local.message, local.where);
  const { run: _, ...ofDiff } = result.diff ?? { run: null };
  return {
    verdict: result.verdict,
    diff: result.diff === null ? null : { ...(ofDiff as Omit<DiffResult, 'run'>), output: result.output },
    build: {
      release: result.kernel?.release ?? null,
      compiler: result.kernel?.compiler ?? null,
      units: result.units,
      evidence: result.evidence,
    },
    diagnostics: result.diagnostics.filter((one) => !(result.diff?.diagnostics ?? []).includes(one)),
  };
}

/** A content under a name of its own: what is said of it says the name, not where it is kept. */
function linked({ folder, files }: Place, { sha256: digest }: Blob, name: string): string {
  const path = join(folder, name);
  const kept = files[digest];
  if (kept === undefined) throw new KlpflowError('internal', `the content ${digest} of ${name} was not fetched`);
  symlinkSync(resolve(kept), path);
  return path;
}

/** A text without the folders that differ from place to place: those of jobs, of which a record may name another, and of builds. */
function placeless(text: string, { folder, runDir, kernel }: Place): string {
  const { source, root } = kernel ?? {};
  const jobs = new RegExp(`${literal(dirname(resolve(folder)))}/[^/"\\\\]+/`, 'g');
  const builds = new RegExp(`${literal(resolve(runDir))}/builds/[0-9a-f]{24}/`, 'g');
  let result = text
    .replace(jobs, '')
    .replace(builds, 'build/')
    .replaceAll(`${inJson(resolve(runDir))}/`, '');
  for (const path of [source, ...Object.values(kernel?.files ?? {})])
    if (path !== undefined) result = result.replaceAll(inJson(path), inJson(basename(path)));
  return root === undefined || resolve(root) === '/' ? result : result.replaceAll(inJson(resolve(root)), '');
}

const inJson = (path: string): string => JSON.stringify(path).slice(1, -1);
const literal = (path: string): string => inJson(path).replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
