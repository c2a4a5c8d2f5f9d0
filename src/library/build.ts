import { availableParallelism } from 'node:os';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { KlpflowError } from '../diagnostics';
import { build as makeModule, type BuildResult } from '../kbuild';
import { readText } from '../files/whole-file';
import { checkAllowed, reportUnused } from './allow';
import { moduleOf, type ModuleOptions } from './output';
import { checkPresent } from './present';
import { begin, ownOptions, type Run, type RunSettings } from './run';

/** A patch, the source that it is for, and the kernel that runs. */
export interface BuildOptions extends Omit<RunSettings, 'btf'>, Omit<ModuleOptions, 'template'> {
  /** Unified diffs. */
  patches: readonly string[];
  /** The kernel's source: a folder, or a tarball. It is read and never written to. */
  source?: string | undefined;
  /** In its place: a tree that was built, whose objects are taken over; image, configuration and Module.symvers default to its own. */
  objects?: string | undefined;
  /** How much is compiled: the units that the patch touches, or vmlinux.o and touched modules. Default: `whole` for kernels with LTO and built trees, else `units`. */
  scope?: 'units' | 'whole' | undefined;
  /** The module to write; default `livepatch-NAME.ko`, NAME from the first patch. */
  output?: string | undefined;
  /** A release, or an image; default: the kernel that runs. */
  kernel?: string | undefined;
  /** Where the kernel's files are looked for; default `/`. */
  root?: string | undefined;
  vmlinux?: string | undefined;
  config?: string | undefined;
  symvers?: string | undefined;
  modules?: string | undefined;
  /** Folders to take off the names in patches; default 1. */
  strip?: number | undefined;
  /** Programs at a time; default one a core. */
  jobs?: number | undefined;
  /** `NAME=VALUE` for make: `CC=gcc-12`, `LLVM=1`. */
  variables?: readonly string[] | undefined;
  allow?: readonly string[] | undefined;
  /** Variables of the patched files whose new initial value the livepatch writes at patch, and takes back. */
  setData?: readonly string[] | undefined;
  /** An older livepatch: what the new one leaves out, and whether it may take its place while it is loaded. */
  since?: string | undefined;
  /** Private key and certificate, PEM, that the module is signed with. */
  signing?: { key: string; certificate: string } | undefined;
  /** Told what is done now: unpacking, compiling; comparing is told as progress. */
  step?: ((what: string) => void) | undefined;
}

/** Makes a livepatch module from a patch and the source of a stock kernel. */
export function build(options: BuildOptions): Run<BuildResult> {
  return begin(options, async (run, given) => {
    const source = sourceOf(given);
    const { root = '/', strip = 1, jobs = availableParallelism() } = given;
    const { variables = [], allow = [], setData = [], step = () => undefined } = given;
    const [first] = given.patches;
    if (first === undefined) throw new KlpflowError('usage', 'no patch is given');
    checkAllowed(allow);
    const output = given.output ?? `livepatch-${nameOf(first)}.ko`;
    if (!output.endsWith('.ko')) throw new KlpflowError('usage', `-o ${output}: a module's name ends in .ko`);
    const files = filesOf(given);
    const { vmlinux, config, symvers, modules } = files;
    checkPresent([...given.patches, source, vmlinux, config, symvers, modules, given.since]);
    const result = await makeModule({
      ...ownOptions(given),
      ...run,
      ...files,
      ...moduleOf(given),
      ...{ source, root, strip, jobs, variables, allow, setData, step, output },
    });
    const unused = reportUnused(allow, [...result.diagnostics, ...(result.diff?.diagnostics ?? [])]);
    return { ...result, diagnostics: [...result.diagnostics, ...unused] };
  });
}

function sourceOf({ source, objects, scope }: BuildOptions): string {
  const wrong =
    source === undefined && objects === undefined
      ? 'nothing says which source the patch is for: pass --source, or --objects with a built tree'
      : source !== undefined && objects !== undefined
        ? `--objects ${objects} is a tree with its source: leave --source out`
        : objects !== undefined && scope === 'units'
          ? `--objects ${objects} has what scope whole takes over: leave --scope units out`
          : undefined;
  if (wrong !== undefined) throw new KlpflowError('usage', wrong);
  return (source ?? objects)!;
}

/** A built tree has the kernel's files; what was given by name goes before. */
function filesOf({ objects, kernel, vmlinux, config, symvers, modules }: BuildOptions): BuiltFiles {
  const own = (path: string): string | undefined =>
    objects !== undefined && existsSync(join(objects, path)) ? join(objects, path) : undefined;
  const image = kernel === undefined ? own('arch/x86/boot/bzImage') : undefined;
  return {
    kernel: kernel ?? (image === undefined ? releaseOf(own('include/config/kernel.release')) : undefined),
    vmlinux: vmlinux ?? image,
    config: config ?? own('.config'),
    symvers: symvers ?? own('Module.symvers'),
    modules: modules ?? objects,
  };
}

function releaseOf(file: string | undefined): string | undefined {
  return file === undefined ? undefined : readText(file).trim();
}

type BuiltFiles = Pick<BuildOptions, 'kernel' | 'vmlinux' | 'config' | 'symvers' | 'modules'>;

/** A module's name from a patch's: `0001-net-fix-a-leak.patch` becomes `net-fix-a-leak`. */
function nameOf(patch: string): string {
  return (
    basename(patch)
      .replace(/\.(?:patch|diff|txt)$/, '')
      .replace(/^\d+-/, '')
      .replace(/[^A-Za-z0-9_-]+/g, '-')
      .slice(0, 40) || 'fix'
  );
}
