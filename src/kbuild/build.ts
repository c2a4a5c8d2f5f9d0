/** From a patch to a livepatch: what the patch touches is compiled twice, single units or vmlinux.o and modules as a whole. */
import { KlpflowError, diagnostic, fileError } from '../diagnostics';
import { ModuleSigner } from '../livepatch/signature';
import { checkOutput } from '../pipeline/files';
import { imageFacts } from '../pipeline/image-facts';
import { RunDir } from '../pipeline/run-dir';
import { buildBoth, buildPlain } from './both-builds';
import { checkAdopted } from './adopted';
import { changedOptions, checkConfig, ltoOf, parseConfig, type Config } from './config';
import { evidenceOf } from './evidence';
import { moduleFiles, modulePath } from './module-file';
import { checkMachine, compilerOf, pinned, readKernel, type Kernel } from './kernel';
import { makeLivepatch } from './livepatch';
import { applyAll } from './patch/apply';
import { sortFiles } from './patch/kinds';
import { readPatches, type FilePatch } from '../patch/read';
import { reachedUnits } from './reached-units';
import type { BuildRequest, BuildResult } from './request';
import { Result } from './result';
import { chooseScope, type Scope } from './scope';
import { buildData } from './set-data/build';
import { sourceOf, versionFits, versionOf } from './source';
import { chooseCompiler, missingTools, type Compiler } from './toolchain';
import { plainSymvers } from './symvers';
import { templateOf } from './template';
import { UnitList } from './unit-list';
import { profilesOf, type Profile } from './profiles';
import { buildWhole, wholeVariables } from './whole';
import { WholeList } from './whole-list';
import { checkTemplate, checkWithoutImage } from './without-image';
import { WorkTree } from './work-tree';

/** @throws KlpflowError what ends a run: unreadable input, a make that fails, no space, an interruption */
export async function build(request: BuildRequest): Promise<BuildResult> {
  const { signal, jobs, step = () => undefined, variables, root } = request;

  // Inputs first: what is wrong with them is said all at once.
  const result = new Result(request);
  const patches = readPatches(request.patches);
  result.say(patches.diagnostics);
  checkOutput(request.output, [
    ...request.patches,
    request.source,
    request.vmlinux,
    request.config,
    request.symvers,
    request.since,
    request.signing?.key,
    request.signing?.certificate,
  ]);
  const signer = request.signing === undefined ? undefined : ModuleSigner.of(request.signing);
  const source = await sourceOf(request.source, signal, request.objects !== undefined);
  step('reading the kernel image');
  const files = { image: request.vmlinux, config: request.config, symvers: request.symvers, modules: request.modules };
  const found = await readKernel({ kernel: request.kernel, root, files }, (image) => imageFacts(request, image));
  result.say(found.diagnostics);
  const { kernel } = found;
  if (kernel === undefined) return result.refused();
  checkMachine(kernel);

  // Can this machine build that kernel?
  const { compiler, diagnostics: ofCompiler } = await chooseCompiler(compilerOf(kernel), variables);
  const config = parseConfig(kernel.config.text);
  const scope = chooseScope(request, config, kernel.noImage);
  if (scope.name === 'whole' && (request.setData ?? []).length > 0)
    throw new KlpflowError('usage', `--set-data compiles single units, and the scope is whole (${scope.why})`);
  result.chose(scope);
  result.say([
    ...checkWithoutImage(kernel, scope.name),
    ...checkConfig(config, kernel.config.path, scope.name),
    ...(await missingTools(config)),
    ...ofCompiler,
  ]);
  if (compiler === undefined) return result.refused();
  result.knows(kernel, compiler);

  step(`scope ${scope.name}: ${scope.why}`);
  const profiles = profilesOf(variables);
  const chosen = scope.name === 'whole' ? wholeVariables(variables) : variables;
  const recipe = {
    source,
    config: kernel.config.text,
    variables: [...compiler.variables, ...chosen, `KERNELRELEASE=${kernel.release}`],
    compiler: [compiler.text, ...profiles.map(({ sha256 }) => sha256)].join('\n'),
    env: pinned(kernel),
    about: { source: request.source, release: kernel.release, compiler: compiler.text, scope: scope.name },
  };
  const { builds } = RunDir.open(request.runDir, request.fresh === true);
  const work = await WorkTree.open(builds, recipe, { jobs, signal, step }, request.fresh === true);
  try {
    await inTree(request, work, { kernel, compiler, profiles, config, scope, signer, patches: patches.files }, result);
  } catch (cause) {
    throw unwritable(cause) ? fileError((cause as NodeJS.ErrnoException).path ?? work.folder, cause, 'write') : cause;
  } finally {
    work.close();
  }
  return result.finish(work.folder);
}

/** What the disk refuses, in the middle of anything. */
function unwritable(cause: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM'].includes((cause as NodeJS.ErrnoException).code ?? '');
}

interface Inputs {
  kernel: Kernel;
  compiler: Compiler;
  profiles: readonly Profile[];
  config: Config;
  scope: Scope;
  signer: ModuleSigner | undefined;
  patches: readonly FilePatch[];
}

async function inTree(
  request: BuildRequest,
  work: WorkTree,
  { kernel, compiler, profiles, config, scope, signer, patches }: Inputs,
  result: Result,
): Promise<void> {
  const { jobs, step = () => undefined, strip, source } = request;
  await work.unpack();

  // Does the patch fit, and may what it changes be livepatched?
  const version = versionOf(work.tree)!;
  if (!versionFits(version, kernel.release))
    result.say([
      diagnostic('build-release', `${source} is Linux ${version}, and the kernel is ${kernel.release}`, {
        object: source,
      }),
    ]);
  const applied = applyAll(patches, work.tree, strip);
  const sorted = sortFiles(applied.files);
  result.say([...applied.diagnostics, ...sorted.diagnostics]);
  if (result.isRefused) return;
  if (sorted.units.length === 0 && sorted.headers.length === 0) return;

  // Is it this kernel's source and configuration?
  const changed = changedOptions(parseConfig(kernel.config.text), await work.configure());
  if (changed.length > 0) {
    const more = changed.length > 5 ? ` and ${changed.length - 5} more` : '';
    return result.say([
      diagnostic(
        'build-config-changed',
        `the tree does not take ${kernel.config.path} as it is: ${changed.slice(0, 5).join(', ')}${more}`,
        {
          object: kernel.config.path,
        },
      ),
    ]);
  }
  await work.prepare();

  // Which units are those?
  const whole = scope.name === 'whole';
  const list = whole ? await WholeList.of(work) : new UnitList(work);
  if (list instanceof WholeList) result.say(checkAdopted(work, list, source));
  const { units, diagnostics: ofUnits } = await reachedUnits(work, list, sorted, jobs);
  const template = await templateOf(kernel, work.folder);
  result.say([...ofUnits, ...checkTemplate(kernel, template)]);
  if (result.isRefused) return;

  const settings = {
    jobs,
    step,
    shippedAs: (owner: string) => modulePath(kernel, owner),
    ...(list instanceof WholeList && !work.adopted ? { sizeOf: (owner: string) => list.countOf(owner) } : {}),
  };
  if (config.get('LTO_CLANG_THIN') === 'y') await work.keepLinked(applied.files);
  const plain = await (whole ? buildWhole : buildBoth)(work, units, applied.files, settings);
  const {
    pairs,
    same,
    setData,
    diagnostics: ofData,
  } = await buildData(request, work, { units, files: applied.files, built: plain }, settings);
  result.say(ofData);
  result.compiled(pairs, same);
  if (pairs.length === 0 || result.isRefused) return;
  const modules = moduleFiles(
    kernel,
    pairs.map(({ owner }) => owner),
  );
  result.say(modules.diagnostics);
  if (result.isRefused) return;
  step('comparing');
  const livepatch = await makeLivepatch(request, {
    kernel: { ...kernel, symvers: await plainSymvers(kernel.symvers, work.folder) },
    signer,
    pairs,
    moduleImages: modules.paths,
    template,
    folder: `${work.folder}/livepatch`,
    setData,
    ...(ltoOf(config) === undefined ? { plain: (pair) => buildPlain(work, pair, settings) } : {}),
  });
  result.took(livepatch, evidenceOf(kernel, { compiler, profiles }, livepatch), template);
}
