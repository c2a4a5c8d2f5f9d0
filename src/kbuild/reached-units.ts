/** The units that a patch reaches: those that it changes, and those that include a header that it changes. */
import { diagnostic, type Diagnostic } from '../diagnostics';
import { append } from '../lists';
import { Includes, includes } from './includes';
import { parallel } from './parallel';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

/** More would take hours, for a fix that reaches most of the kernel. */
const MOST_UNITS = 300;
const MOST_CANDIDATES = 2000;
const ASKED_AT_ONCE = 100;

/** What the vDSO, the EFI stub and what runs before the kernel are compiled with, wherever they lie. */
const NOT_KERNEL = /^-(?:fPIC|fpic|fPIE|fpie|m16|m32|DBUILD_VDSO\w*)$/;

/** Who knows which units this kernel has. */
export interface KnownUnits {
  find(source: string): Promise<Unit | undefined>;
  findAll(sources: readonly string[]): Promise<Unit[]>;
}

export interface ReachedUnits {
  units: Unit[];
  diagnostics: Diagnostic[];
}

/** @throws KlpflowError `make-failed`, `interrupted` */
export async function reachedUnits(
  work: WorkTree,
  list: KnownUnits,
  { units: sources, headers }: { units: readonly string[]; headers: readonly string[] },
  jobs: number,
): Promise<ReachedUnits> {
  const found: ReachedUnits = { units: [], diagnostics: [] };
  const own = new Set<string>();
  for (const source of sources) {
    const unit = await list.find(source);
    if (unit === undefined) continue;
    own.add(source);
    take(found, unit);
  }
  // Some C files are compiled as a part of others: kernel/sched/rt.c; fs/binfmt_elf.c by itself, too.
  if (sources.length > 0) {
    const code = await Includes.of(work, 'code');
    const graph = sources.some((source) => code.inHeaders(source)) ? await Includes.of(work, 'all') : code;
    await takeIncluders({ work, list, jobs }, graph, sources, own, found);
  }
  if (headers.length > 0)
    await takeIncluders({ work, list, jobs }, await Includes.of(work, 'all'), headers, own, found);
  return found;
}

interface Tree {
  work: WorkTree;
  list: KnownUnits;
  jobs: number;
}

/** `own`: those of the files that are units themselves, and need no includer. */
async function takeIncluders(
  { work, list, jobs }: Tree,
  graph: Includes,
  files: readonly string[],
  own: ReadonlySet<string>,
  found: ReachedUnits,
): Promise<void> {
  const known = new Set(found.units.map(({ source }) => source));
  for (const file of files) {
    const say = (code: 'header-too-wide' | 'unit-not-built', message: string): void =>
      void found.diagnostics.push(diagnostic(code, message, { object: file }));
    const candidates = graph.reached(file);
    if (candidates === null || candidates.length > MOST_CANDIDATES) {
      say(
        'header-too-wide',
        `${file} is included by ${candidates === null ? 'every unit' : `up to ${candidates.length} units`} of the kernel`,
      );
      continue;
    }
    const units = (await list.findAll(candidates)).filter(
      (unit) => !unit.compile.some((word) => NOT_KERNEL.test(word)),
    );
    const includers: Unit[] = [];
    // No more are asked than it takes to know that there are too many.
    for (let from = 0; from < units.length && includers.length <= MOST_UNITS; from += ASKED_AT_ONCE) {
      const some = units.slice(from, from + ASKED_AT_ONCE);
      const reads = await parallel(some, jobs, (unit) => includes(work, unit, [file]));
      append(
        includers,
        some.filter((_, i) => reads[i]),
      );
    }
    if (includers.length > MOST_UNITS)
      say('header-too-wide', `${file} is included by more than ${MOST_UNITS} units of this kernel`);
    else if (includers.length === 0 && !own.has(file))
      say(
        'unit-not-built',
        file.endsWith('.c')
          ? `${file} is not compiled in this kernel: its configuration leaves it out`
          : `no unit of this kernel includes ${file}`,
      );
    else
      for (const unit of includers) {
        if (known.has(unit.source)) continue;
        known.add(unit.source);
        take(found, unit);
      }
  }
}

function take(found: ReachedUnits, unit: Unit): void {
  const { source, owners, compile } = unit;
  const say = (code: 'unit-not-patchable' | 'unit-of-several', message: string): void =>
    void found.diagnostics.push(diagnostic(code, message, { object: source }));
  if (owners.length > 1) say('unit-of-several', `${source} is in several modules: ${owners.join(', ')}`);
  else if (compile.some((word) => NOT_KERNEL.test(word)))
    say(
      'unit-not-patchable',
      `${source} is compiled for another place than the kernel (position-independent, or of another mode)`,
    );
  else found.units.push(unit);
}
