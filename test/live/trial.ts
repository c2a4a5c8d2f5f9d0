/** One patch from its sources to a verdict about what klpflow made of it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { diagnosticOf, type DiffResult } from '../../src/index';
import { diff } from '../../src/pipeline/diff';
import type { OutputFormat } from '../../src/livepatch/formats';
import type { Program } from './model';
import { sourcesOf, type Sources } from './source';
import type { Target, TargetName } from './target';
import { BuildError, Toolchain } from './toolchain';

export interface Outcome {
  /** What was made: objects of both dialects, or a finished module. */
  dialect: OutputFormat;
  /** `unchanged` is right, too: nothing to do, and nothing is different. */
  end: 'right' | 'unchanged' | 'refused' | 'wrong';
  /** Codes of the refusals; what went wrong. */
  why: string[];
}

export interface Judged {
  outcomes: Outcome[];
  /** Whether the patched program prints something else than the original. */
  effective: boolean;
}

/** A pair in text: what a trial is made of, and what is kept of one. */
export interface Pair {
  /** Default x86-64. */
  target?: TargetName;
  cc: Program['cc'];
  flags: string[];
  /** In the order of the link. */
  orig: SourceUnit[];
  patched: SourceUnit[];
  list: string;
}

/** Its text is lines, so that a kept pair is read as it is. */
export interface SourceUnit {
  path: string;
  flags: string[];
  text: string[];
}

/** Where types are checked any kernel has a function of the type that a module's own ones have, so that it shows what stands before them. */
const TYPED: SourceUnit = { path: 'init/main.c', flags: [], text: ['int setup(void) { return 0; }', ''] };

const unitsOf = (program: Program, { units }: Sources): SourceUnit[] =>
  program.units.map(({ path, flags }) => ({ path, flags, text: units[path]!.split('\n') }));

export function pairOf(orig: Program, patched: Program): Pair {
  const sources = sourcesOf(orig);
  return {
    target: orig.target,
    cc: orig.cc,
    flags: orig.flags,
    orig: unitsOf(orig, sources),
    patched: unitsOf(patched, sourcesOf(patched)),
    list: sources.list,
  };
}

/** The name of what is made of a pair. */
export const fileOf = (format: OutputFormat): string => `livepatch-${format}.${format === 'ko' ? 'ko' : 'o'}`;

interface Printed {
  text: string;
  ended: string;
}

export class Trial {
  private readonly toolchain: Toolchain;
  private readonly symvers: string;
  private built: { key: string; printed: Printed } | undefined;
  /** What was read once is never written again: klpflow would say that its input changed. */
  private readonly serial: Record<string, number> = { orig: 0, patched: 0 };

  constructor(
    readonly folder: string,
    runtime: string,
    readonly target: Target,
  ) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    this.toolchain = new Toolchain(folder, runtime, target);
    this.symvers = this.toolchain.symvers(this.path('Module.symvers'));
    if (target.formats.includes('ko')) this.toolchain.template(this.path('template.ko'));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** @throws BuildError */
  build(cc: string, flags: readonly string[], units: readonly SourceUnit[], name: 'orig' | 'patched'): void {
    for (const end of ['', '.o']) rmSync(this.path(this.file(name) + end), { force: true });
    this.serial[name]!++;
    this.toolchain.link(
      [...units, ...(flags.includes('-fsanitize=kcfi') ? [TYPED] : [])].map((unit) =>
        this.toolchain.compile(cc, [...flags, ...unit.flags], unit.path, unit.text.join('\n')),
      ),
      this.path(`${this.file(name)}.o`),
      this.path(this.file(name)),
      cc,
    );
  }

  /** The program as it is now; its object has `.o` behind. */
  file(name: 'orig' | 'patched'): string {
    return `${name}-${this.serial[name]}`;
  }

  run(name: 'orig' | 'patched', livepatch?: string): Printed {
    const argv = [this.path('list'), ...(livepatch === undefined ? [] : [livepatch, this.symvers])];
    const [program, ...first] = [...this.target.emulator, this.path(this.file(name))];
    const { status, signal, stdout, stderr } = spawnSync(program!, [...first, ...argv], {
      encoding: 'latin1',
      maxBuffer: 1 << 26,
      timeout: 120_000,
    });
    const ended = status === 0 ? '' : status === 3 ? stderr.trim() : `ended by ${signal ?? `status ${status}`}`;
    return { text: stdout, ended };
  }

  /** @throws BuildError for a pair that is none: it does not compile, or a program does not run through by itself */
  async judge(pair: Pair, dialects = this.target.formats): Promise<Judged> {
    writeFileSync(this.path('list'), pair.list);
    const key = JSON.stringify([pair.cc, pair.flags, pair.orig, pair.list]);
    if (this.built?.key !== key) {
      this.built = undefined;
      this.build(pair.cc, pair.flags, pair.orig, 'orig');
      this.built = { key, printed: this.sound('orig') };
    }
    this.build(pair.cc, pair.flags, pair.patched, 'patched');
    const orig = this.built.printed;
    const patched = this.sound('patched');
    const outcomes: Outcome[] = [];
    for (const dialect of dialects) outcomes.push(await this.outcome(dialect, orig, patched));
    return { outcomes, effective: orig.text !== patched.text };
  }

  /** Forgets what it compiled and what klpflow kept: another program has nothing of it. */
  forget(): void {
    this.toolchain.forget();
    rmSync(this.path('run'), { recursive: true, force: true });
  }

  private sound(name: 'orig' | 'patched'): Printed {
    const printed = this.run(name);
    if (printed.ended !== '') throw new BuildError(`the program ${name} by itself: ${printed.ended}`);
    return printed;
  }

  private async outcome(dialect: OutputFormat, orig: Printed, patched: Printed): Promise<Outcome> {
    const path = this.path(fileOf(dialect));
    rmSync(path, { force: true });
    const kernel = {
      symvers: this.symvers,
      vmlinux: this.path(this.file('orig')),
      ...(dialect === 'ko' ? { template: this.path('template.ko') } : {}),
    };
    let result: DiffResult;
    try {
      result = await diff({
        orig: this.path(`${this.file('orig')}.o`),
        patched: this.path(`${this.file('patched')}.o`),
        runDir: this.path('run'),
        workers: 1,
        output: { path, format: dialect, ...kernel },
      });
    } catch (thrown) {
      return { dialect, end: 'wrong', why: [`error ${diagnosticOf(thrown).code}`] };
    }
    if (result.verdict === 'refused') {
      return {
        dialect,
        end: 'refused',
        why: [
          ...new Set(result.diagnostics.filter(({ severity }) => severity === 'refusal').map(({ code }) => code)),
        ].sort(),
      };
    }
    if (result.verdict === 'unchanged') {
      return orig.text === patched.text
        ? { dialect, end: 'unchanged', why: [] }
        : { dialect, end: 'wrong', why: ['unchanged, but the programs differ'] };
    }
    return this.compare(dialect, path, patched);
  }

  /** Runs the original with a livepatch: what it prints must be what the patched program prints. */
  compare(dialect: OutputFormat, livepatch: string, patched: Printed): Outcome {
    const { text, ended } = this.run('orig', livepatch);
    if (ended !== '') return { dialect, end: 'wrong', why: [ended] };
    return text === patched.text
      ? { dialect, end: 'right', why: [] }
      : { dialect, end: 'wrong', why: ['prints something else'] };
  }
}
