/** Kernels by patches as they are meant: defaults filled in, paths resolved, every cell known. */
import { dirname, resolve } from 'node:path';
import { isAllowable } from '../diagnostics';
import { isToken } from '../livepatch/private-key';
import type { SigningFiles } from '../livepatch/signature';
import { malformed, type KernelValues, type MatrixFile, type PatchValues, type Path } from './matrix-file';

/** With what the modules of a kernel are signed, where they are received. */
export interface Signing extends SigningFiles {
  hash: string;
}

/** A kernel that cells are built for. */
export interface BuiltKernel {
  kind: 'build';
  name: string;
  labels: readonly string[];
  signing: Signing | undefined;
  source: string;
  /** A release, or the image. */
  kernel: string | undefined;
  root: string;
  files: { image?: string; config?: string; symvers?: string; modules?: string };
  make: readonly string[];
}

/** A kernel of which objects are there. */
export interface SavedKernel {
  kind: 'diff';
  name: string;
  labels: readonly string[];
  signing: Signing | undefined;
  orig: string | undefined;
  facts: Partial<Record<'vmlinux' | 'symvers' | 'btf' | 'template' | 'ftrace', string>>;
  moduleImages: readonly string[];
}

export type FleetKernel = BuiltKernel | SavedKernel;

export interface FleetPatch {
  name: string;
  files: readonly string[];
  strip: number;
  /** Both with `{kernel}` still in them. */
  orig: string | undefined;
  patched: string | undefined;
  module: string | undefined;
  allow: readonly string[];
  description: string | undefined;
  replace: boolean;
}

/** A kernel and a patch that is for it. */
export interface Cell {
  kernel: FleetKernel;
  patch: FleetPatch;
}

export interface Matrix {
  path: string;
  kernels: FleetKernel[];
  patches: FleetPatch[];
  /** By kernel, then by patch: an original is built once for all of its patches. */
  cells: Cell[];
}

/** @throws KlpflowError `malformed-matrix` */
export function matrixOf(file: MatrixFile): Matrix {
  const { values, place, path } = file;
  const ofPatches = values.defaults?.patch ?? {};
  const found: string[] = [];
  const say = (at: Path, what: string): void => void found.push(`${place(at)}: ${what}`);
  const folder = dirname(resolve(path));

  for (const list of ['kernels', 'patches'] as const)
    values[list].forEach(({ name }, i) => {
      if (values[list].findIndex((other) => other.name === name) < i)
        say([list, i, 'name'], `${name} is there twice in ${list}: results are called by it`);
    });
  const kernels = kernelsOf(file, say);
  const patches = values.patches.map((entry, i) => {
    const merged = { ...ofPatches, ...entry };
    for (const key of ['only', 'except'] as const)
      merged[key]?.forEach((pattern, k) => {
        if (!kernels.some(({ name }) => matches(pattern, name)))
          say(['patches', i, key, k], `${key}: no kernel is called ${pattern}`);
      });
    merged.allow?.forEach((word, k) => {
      const [code = ''] = word.split(':');
      if (!isAllowable(code)) say(['patches', i, 'allow', k], `allow: ${code} is no refusal that can be allowed`);
    });
    if (merged.files === undefined && merged.patched === undefined)
      say(['patches', i], `${entry.name} has neither files, to build, nor patched, an object that is built`);
    return { patch: patchOf(entry.name, merged, folder), isFor: (name: string) => isFor(merged, name) };
  });
  const cells = kernels.flatMap((kernel) =>
    patches.flatMap(({ patch, isFor: fits }, i) => {
      if (!fits(kernel.name)) return [];
      const lacks = lackOf(kernel, patch);
      if (lacks !== undefined) say(['patches', i], lacks);
      return [{ kernel, patch }];
    }),
  );
  if (cells.length === 0 && found.length === 0) say(['patches'], 'no patch is for any of the kernels');
  if (found.length > 0) throw malformed(path, found);
  return { path, kernels, patches: patches.map(({ patch }) => patch), cells };
}

/** Kernels of a file, and nothing else of it. @throws KlpflowError `malformed-matrix` */
export function builtKernelsOf(file: MatrixFile): BuiltKernel[] {
  const found: string[] = [];
  const kernels = kernelsOf(file, (at, what) => void found.push(`${file.place(at)}: ${what}`));
  if (found.length > 0) throw malformed(file.path, found);
  return kernels.filter((kernel) => kernel.kind === 'build');
}

function kernelsOf({ path, values }: MatrixFile, say: (at: Path, what: string) => void): FleetKernel[] {
  const defaults = values.defaults?.kernel ?? {};
  return values.kernels.map((entry, i) =>
    kernelOf(entry.name, { ...defaults, ...entry }, dirname(resolve(path)), (key, what) =>
      say(['kernels', i, key], what),
    ),
  );
}

function kernelOf(
  name: string,
  values: KernelValues,
  folder: string,
  say: (key: string, what: string) => void,
): FleetKernel {
  const path = <K extends keyof KernelValues>(key: K): string | undefined =>
    values[key] === undefined ? undefined : resolve(folder, values[key] as string);
  const { labels = [], make = [] } = values;
  const signing = values.signing === undefined ? undefined : signingOf(values.signing, folder);
  if (values.source === undefined) {
    for (const key of ['kernel', 'root', 'config', 'modules', 'make'] as const)
      if (values[key] !== undefined) say(key, `${name}: ${key} is for kernels that are built, which have a source`);
    const facts = {
      vmlinux: path('vmlinux'),
      symvers: path('symvers'),
      btf: path('btf'),
      template: path('template'),
      ftrace: path('ftrace'),
    };
    const images = (values['module-images'] ?? []).map((image) => resolve(folder, image));
    return { kind: 'diff', name, labels, signing, orig: path('orig'), facts: given(facts), moduleImages: images };
  }
  for (const key of ['orig', 'btf', 'template', 'ftrace', 'module-images'] as const)
    if (values[key] !== undefined)
      say(key, `${name}: ${key} is for kernels of saved objects, and this one has a source`);
  const { kernel } = values;
  // A release has no slash; an image that is named without one lies in the file's folder only if it says so.
  const named = kernel?.includes('/') === true ? resolve(folder, kernel) : kernel;
  const files = { image: path('vmlinux'), config: path('config'), symvers: path('symvers'), modules: path('modules') };
  return {
    kind: 'build',
    name,
    labels,
    signing,
    source: path('source')!,
    kernel: named,
    root: path('root') ?? '/',
    files: given(files),
    make,
  };
}

function signingOf(
  { key, certificate, hash = 'sha256' }: NonNullable<KernelValues['signing']>,
  folder: string,
): Signing {
  return { key: isToken(key) ? key : resolve(folder, key), certificate: resolve(folder, certificate), hash };
}

function patchOf(name: string, values: PatchValues, folder: string): FleetPatch {
  const { files = [], strip = 1, orig, patched, module, allow = [], description, replace = true } = values;
  const path = (one: string | undefined): string | undefined => (one === undefined ? undefined : resolve(folder, one));
  return {
    name,
    files: [files].flat().map((file) => resolve(folder, file)),
    strip,
    orig: path(orig),
    patched: path(patched),
    module,
    allow,
    description,
    replace,
  };
}

/** What a cell cannot be made without. */
function lackOf(kernel: FleetKernel, patch: FleetPatch): string | undefined {
  if (kernel.kind === 'build')
    return patch.files.length > 0
      ? undefined
      : `${patch.name} has no files, and kernel ${kernel.name} is built: give them, or list the kernel under except`;
  if (patch.patched === undefined)
    return `${patch.name} has no patched, and kernel ${kernel.name} has no source: give it, or list the kernel under except`;
  return patch.orig === undefined && kernel.orig === undefined
    ? `neither ${patch.name} nor kernel ${kernel.name} has an orig`
    : undefined;
}

/** The two objects of a cell. */
export function pairOf({ orig, name }: SavedKernel, patch: FleetPatch): { orig: string; patched: string } {
  const own = (path: string): string => path.replaceAll('{kernel}', name);
  return { orig: patch.orig === undefined ? orig! : own(patch.orig), patched: own(patch.patched!) };
}

function isFor({ only, except = [] }: PatchValues, kernel: string): boolean {
  const listed = (patterns: readonly string[]): boolean => patterns.some((pattern) => matches(pattern, kernel));
  return (only === undefined || listed(only)) && !listed(except);
}

function matches(pattern: string, name: string): boolean {
  const text = pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  return new RegExp(`^${text}$`).test(name);
}

function given<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
