/** A kernel that is built, by the contents that decide what is compiled: the same on every machine that has them, wherever they lie there. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { diagnosticOf, fileError, type Diagnostic } from '../diagnostics';
import { append } from '../lists';
import { writeAtomically } from '../files/output-file';
import { imageFacts } from '../pipeline/image-facts';
import type { RunOptions } from '../pipeline/flow';
import { checkConfig, parseConfig } from '../kbuild/config';
import { checkMachine, compilerOf, readKernel } from '../kbuild/kernel';
import { profilesOf } from '../kbuild/profiles';
import { run } from '../kbuild/command';
import { chooseScope } from '../kbuild/scope';
import { sourceOf } from '../kbuild/source';
import { chooseCompiler, missingTools } from '../kbuild/toolchain';
import { sha256, type Digests } from './digest';
import { canonical } from './job';
import type { BuiltKernel } from './matrix';

/** What is known of a kernel before anything is built of it. */
export interface Recipe {
  /** Undefined where something is missing without which nothing says which kernel it is. */
  digest: string | undefined;
  /** As its image or its name says; undefined where that is not known. */
  release: string | undefined;
  /** All that keeps this machine from building it. */
  problems: Diagnostic[];
}

/** Looks at all that a build of this kernel needs. `folder` remembers digests of source folders. */
export async function recipeOf(
  kernel: BuiltKernel,
  options: RunOptions,
  digests: Digests,
  folder: string,
): Promise<Recipe> {
  const problems: Diagnostic[] = [];
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (cause) {
      problems.push(diagnosticOf(cause));
      return undefined;
    }
  };
  const source = await attempt(() => sourceDigest(kernel.source, digests, folder, options.signal));
  const found = await attempt(async () =>
    readKernel({ kernel: kernel.kernel, root: kernel.root, files: kernel.files }, (image) =>
      imageFacts(options, image),
    ),
  );
  append(problems, found?.diagnostics ?? []);
  const known = found?.kernel;
  append(problems, absentFiles(kernel, problems));
  await attempt(async () => profilesOf(kernel.make));
  if (known === undefined) {
    // What every kernel needs: the rest depends on a configuration that is not there.
    append(problems, await missingTools(new Map()));
    return { digest: undefined, release: undefined, problems };
  }
  await attempt(async () => checkMachine(known));
  // Of many kernels none is compiled as a whole without having been asked for.
  if (known.noImage !== null) problems.push(known.noImage.refusal);
  const config = parseConfig(known.config.text);
  const { diagnostics } = await chooseCompiler(compilerOf(known), kernel.make);
  for (const told of [
    checkConfig(config, known.config.path, chooseScope({}, config, null).name),
    await missingTools(config),
    diagnostics,
  ])
    append(problems, told);
  const parts = await attempt(async () => ({
    source,
    release: known.release,
    image: known.image === null ? null : (await digests.of(known.image.path)).sha256,
    config: sha256(known.config.text),
    symvers: known.symvers === undefined ? null : (await digests.of(known.symvers)).sha256,
    make: [...kernel.make],
  }));
  const digest = source === undefined || parts === undefined ? undefined : sha256(canonical(parts));
  return { digest, release: known.release, problems: onceEach(problems) };
}

/** Files that are named and not there: a kernel whose image is missing may lack more. */
function absentFiles({ files }: BuiltKernel, told: readonly Diagnostic[]): Diagnostic[] {
  return [files.config, files.symvers, files.modules].flatMap((path) => {
    if (path === undefined || told.some(({ where }) => where.object === path)) return [];
    try {
      statSync(path);
      return [];
    } catch (cause) {
      return [fileError(path, cause, 'read').diagnostic];
    }
  });
}

function onceEach(problems: readonly Diagnostic[]): Diagnostic[] {
  return problems.filter(
    ({ code, message }, i) => problems.findIndex((one) => one.code === code && one.message === message) === i,
  );
}

/** The content of a tarball, or of all of a folder but `.git`: names, links and bytes. */
async function sourceDigest(
  path: string,
  digests: Digests,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { kind, identity } = await sourceOf(path, signal);
  if (kind === 'tarball') return (await digests.of(path)).sha256;
  const record = join(folder, `source-${sha256(identity).slice(0, 32)}`);
  if (existsSync(record)) return readFileSync(record, 'latin1');
  const args = [
    '.',
    '-name',
    '.git',
    '-prune',
    '-o',
    '(',
    '-type',
    'f',
    '-o',
    '-type',
    'l',
    ')',
    '-printf',
    '%y %P\\0',
  ];
  const { stdout } = await run({ program: 'find', args, cwd: path, signal });
  const hash = createHash('sha256');
  for (const line of stdout.split('\0').filter(Boolean).sort()) {
    const at = join(path, Buffer.from(line.slice(2), 'latin1').toString());
    hash
      .update(`${line}\0`)
      .update(line.startsWith('l') ? readlinkSync(at) : readFileSync(at))
      .update('\0');
  }
  const digest = hash.digest('hex');
  await writeAtomically(record, [Buffer.from(digest)]);
  return digest;
}
