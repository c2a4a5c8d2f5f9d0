import { isRefused, type Diagnostic } from '../diagnostics';
import { allowed } from '../pipeline/one-pair';
import type { OwnerPair } from './both-builds';
import type { Kernel } from './kernel';
import type { Livepatch } from './livepatch';
import type { BuildRequest, BuildEvidence, BuildResult, BuiltUnit } from './request';
import type { Scope } from './scope';
import type { Compiler } from './toolchain';
import type { Unit } from './units';
import { append } from '../lists';

/** What is known so far of a build's result. */
export class Result {
  private readonly diagnostics: Diagnostic[] = [];
  private readonly started = performance.now();
  private result: Omit<BuildResult, 'diagnostics' | 'verdict' | 'run'> = {
    schema: 'klpflow/build@1',
    kernel: null,
    scope: null,
    units: [],
    diff: null,
    verification: null,
    pairs: [],
    evidence: [],
    since: null,
    template: null,
    output: null,
  };

  constructor(private readonly request: Pick<BuildRequest, 'allow' | 'startedAt' | 'runDir'>) {}

  say(found: readonly Diagnostic[]): void {
    append(
      this.diagnostics,
      found.map((entry) => allowed(entry, this.request.allow ?? [])),
    );
  }

  get isRefused(): boolean {
    return isRefused(this.diagnostics) || this.diagnostics.some(({ severity }) => severity === 'error');
  }

  knows({ release, image, config, symvers }: Kernel, { text }: Compiler): void {
    this.result = {
      ...this.result,
      kernel: { release, image: image?.path ?? null, config: config.path, symvers: symvers ?? null, compiler: text },
    };
  }

  chose(scope: Scope): void {
    this.result = { ...this.result, scope };
  }

  compiled(pairs: readonly OwnerPair[], same: readonly Unit[]): void {
    const changed = pairs.flatMap(({ units }) => units);
    const built = ({ source, owners }: Unit, differs: boolean): BuiltUnit => ({
      source,
      owner: owners[0]!,
      changed: differs,
    });
    this.result = {
      ...this.result,
      pairs: pairs.map(({ owner, orig, patched }) => ({ owner, orig, patched })),
      units: [...changed.map((unit) => built(unit, true)), ...same.map((unit) => built(unit, false))],
    };
  }

  took(made: Livepatch, evidence: BuildEvidence[], template: string | undefined): void {
    const { diff, verification, diagnostics, output, since } = made;
    this.say(diagnostics);
    this.result = { ...this.result, diff, verification, output, evidence, since, template: template ?? null };
  }

  refused(): BuildResult {
    return this.finish('');
  }

  finish(folder: string): BuildResult {
    const { diff } = this.result;
    const verdict = this.isRefused ? 'refused' : (diff?.verdict ?? 'unchanged');
    const { runDir } = this.request;
    const seconds = (performance.now() - (this.request.startedAt ?? this.started)) / 1000;
    return {
      ...this.result,
      verdict,
      diagnostics: this.diagnostics,
      run: { seconds, runDir, folder, compare: diff?.run ?? null },
    };
  }
}
