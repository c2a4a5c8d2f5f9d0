import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  ARM64,
  CORPUS,
  PRODUCTION,
  expectedOf,
  kernelFiles,
  moduleFile,
  objectsOf,
  pairsOf,
  skipWithout,
  unavailable,
  type AnyKernel,
  type BootExpected,
} from '../support/corpus';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';
import { append } from '../../src/lists';
import type { Trial } from './init';
import { boot, type Booted } from './qemu';
import { complaints, readReport, type Report, type TrialReport } from './report';
import { rewriting } from './rewriting';
import { initramfs, missingForBoots } from './root';
import { rewrittenSites, type Site } from './sites';

export const IMAGES: Record<AnyKernel, string> = {
  'linux-7.2-thinlto': 'bzImage',
  'debian-6.12-gcc': 'vmlinuz',
  [PRODUCTION]: 'bzImage',
  [ARM64]: 'Image.gz',
};

/** Processors and options that make a kernel write different code at the sites that a module's tables name, and what it says and writes then. */
export interface Variant {
  name: string;
  cpu: string;
  cpus: number;
  append: string;
  /** How its own words about its mitigations begin: Spectre v2, Retbleed. */
  says: readonly string[];
  /** What stands at a return, and at an indirect call. */
  returns: readonly string[];
  indirect: readonly string[];
  /** Of a kernel with kCFI: what stands before functions, and what the log says of it. */
  preambles?: string;
  logs?: RegExp;
  /** Patched modules are unloaded and loaded again while the livepatch is active. */
  reload?: boolean;
}

/** On a single processor the kernel also removes lock prefixes. */
export const VARIANTS: readonly Variant[] = [
  {
    name: 'as it is',
    cpu: 'max',
    cpus: 2,
    append: '',
    says: ['Mitigation: Retpolines', 'Not affected'],
    returns: ['ret'],
    indirect: ['call __x86_indirect_thunk_array', 'jmp __x86_indirect_thunk_array'],
  },
  {
    name: 'mitigations=off',
    cpu: 'max',
    cpus: 1,
    append: 'mitigations=off',
    says: ['Vulnerable', 'Not affected'],
    returns: ['ret'],
    indirect: ['register'],
  },
  {
    name: 'spectre_v2=retpoline retbleed=stuff',
    cpu: 'Skylake-Client',
    cpus: 1,
    append: 'spectre_v2=retpoline retbleed=stuff',
    says: ['Mitigation: Retpolines', 'Mitigation: Stuffing'],
    returns: ['jmp call_depth_return_thunk'],
    indirect: ['call __x86_indirect_call_thunk_array', 'jmp __x86_indirect_jump_thunk_array'],
  },
];

/** Why nothing can be booted; undefined if it can. */
export function missing(kernel: AnyKernel): string | undefined {
  return unavailable(kernel, true) ?? missingForBoots();
}

export function patchablePairs(kernel: AnyKernel): string[] {
  return pairsOf(kernel).filter((pair) => expectedOf(kernel, pair).verdict === 'patchable');
}

/** What to run for a pair: busybox does not show the domain name. */
export function commandOf(pair: string, { run }: BootExpected): string {
  return pair === 'new-function-static-local' ? `${run}; echo "domainname $(/bin/guest domainname)"` : run;
}

/** Where output of a phase is not as the pair wants it. */
export function unexpected(
  { before, beforeNot, after }: BootExpected,
  told: Pick<TrialReport, 'before' | 'after' | 'reloaded' | 'restored'>,
): string[] {
  const matches = (text: string | undefined, pattern: string): boolean => new RegExp(pattern, 'm').test(text ?? '');
  const wrong: string[] = [];
  for (const phase of ['before', 'restored'] as const) {
    if (before !== undefined && !matches(told[phase], before)) wrong.push(`${phase}: no ${before} in ${told[phase]}`);
    if (beforeNot !== undefined && matches(told[phase], beforeNot))
      wrong.push(`${phase}: ${beforeNot} in ${told[phase]}`);
  }
  for (const phase of ['after', 'reloaded'] as const)
    if ((phase === 'after' || told[phase] !== undefined) && !matches(told[phase], after))
      wrong.push(`${phase}: no ${after} in ${told[phase]}`);
  return wrong;
}

/**
 * Livepatches in the kernel they are for: each is loaded, takes effect, is taken back and unloaded, and the kernel has nothing to say
 * against it. What a wrong module does otherwise shows only there: a missing table entry is a processor's fault, a wrong position
 * another function patched.
 */
export function testLivepatchesIn(kernel: AnyKernel, variants = VARIANTS): void {
  const folder = tempFolder();
  const reason = missing(kernel);
  beforeEach((context) => skipWithout(context, reason));
  const bootOf = (pair: string): BootExpected => expectedOf(kernel, pair).boot!;
  const pairs = reason === undefined ? patchablePairs(kernel) : [];
  const trials: Trial[] = [];
  /** Modules that could not be made, with klpflow's words. */
  const unmade = new Map<string, string>();

  beforeAll(async () => {
    if (reason !== undefined) return;
    const made = await livepatches(kernel, pairs, folder);
    append(trials, [templateTrial(kernel, folder), ...made.trials]);
    for (const [pair, said] of made.unmade) unmade.set(pair, said);
  });

  test('every patchable pair gives a module', () => {
    expect(pairs.length).toBeGreaterThan(4);
    expect([...unmade]).toEqual([]);
  });

  describe.each(variants)(
    '$name',
    ({ cpu, cpus, append, says, returns, indirect, preambles, logs, reload = false }) => {
      let booted: Booted;
      let report: Report;

      beforeAll(async () => {
        if (reason !== undefined) return;
        const image = join(CORPUS, kernel, IMAGES[kernel]);
        booted = await boot({
          image,
          initramfs: initramfs(
            trials.map((trial) => (reload ? trial : withoutReload(trial))),
            folder,
          ),
          append,
          cpu,
          cpus,
          folder: join(folder, `${kernel}-${cpu}-${append.length}`),
        });
        report = readReport(booted.report);
      }, 400_000);

      test('the guest comes to its end', () => {
        expectEnd(booted, report, trials);
      });

      test('the kernel has nothing to say against the modules', () => {
        expect(booted.log).toContain('klpflow trial');
        expect(complaints(booted.log)).toEqual([]);
      });

      test('an ordinary module of this kernel is loaded and unloaded', () => {
        // Otherwise a failure of a livepatch might be the guest's.
        const { steps, before, after } = report.trials.get('template')!;
        expect(steps).toEqual(['loaded', 'unloaded']);
        expect(after).not.toEqual(before);
      });

      describe.each(pairs.length === 0 ? ['none'] : pairs)('%s', (pair) => {
        test('patches, is taken back and unloaded', () => {
          const trial: TrialReport | undefined = report.trials.get(pair);
          const said =
            booted.log.replaceAll('\r', '').split(`klpflow trial ${pair}\n`)[1]?.split('klpflow trial')[0] ?? '';
          expect(trial?.steps, said).toEqual(stepsOf(kernel, pair, reload));
          expect(unexpected(bootOf(pair), trial!), said).toEqual([]);
          if (pair === 'new-function-static-local')
            expect([trial!.before, trial!.after, trial!.restored].map(domainName)).toEqual([
              '(none)',
              expect.stringMatching(/^call-4\d$/),
              '(none)',
            ]);
        });
      });

      test('the kernel runs with the mitigations that the variant is about', () => {
        expect(report.mitigations.map((line, i) => line.startsWith(says[i]!))).toEqual([true, true]);
        if (logs !== undefined) expect(booted.log).toMatch(logs);
      });

      test('returns, indirect calls and alternatives of the modules are rewritten as the kernel rewrites its own', () => {
        const found: Record<Site['kind'], Set<string>> = {
          return: new Set(),
          indirect: new Set(),
          alternative: new Set(),
          preamble: new Set(),
        };
        for (const { name, sites } of trials) {
          const memory = report.trials.get(name)!.memory;
          expect({ name, count: memory.length }).toEqual({ name, count: sites.length });
          sites.forEach((site, i) => found[site.kind].add(rewriting(site, memory[i]!, report.symbols)));
        }
        // Each kind occurs, and no site has been left as the file has it.
        expect([...found.return]).toEqual(returns);
        expect(found.indirect.size).toBeGreaterThan(0);
        for (const what of found.indirect) expect(indirect).toContain(what);
        expect([...found.alternative]).toEqual(['rewritten']);
        expect([...found.preamble]).toEqual(preambles === undefined ? [] : [preambles]);
      });
    },
  );

  // One kernel's boot is enough.
  test.runIf(kernel === 'linux-7.2-thinlto')(
    'a wrong module is noticed',
    async () => {
      // The same steps with a symbol that the kernel does not have: were this to pass, nothing above would mean anything.
      const right = trials.find(({ name }) => name === 'cmdline-marker')!;
      const module = Buffer.from(right.module);
      const at = module.indexOf('.klp.sym.vmlinux.');
      expect(at).toBeGreaterThan(0);
      module.write('zz', at + '.klp.sym.vmlinux.'.length);
      const { log, report: told } = await boot({
        image: join(CORPUS, kernel, IMAGES[kernel]),
        initramfs: initramfs([{ ...right, module, sites: [] }], folder),
        append: '',
        cpu: 'max',
        cpus: 1,
        folder: join(folder, `${kernel}-wrong`),
      });
      expect(readReport(told)).toMatchObject({ done: true });
      expect(readReport(told).trials.get('cmdline-marker')!.steps[0]).toMatch(/^refused /);
      expect(complaints(log).join('\n')).toMatch(/^cmdline-marker: .*livepatch: .*zz.* not found/m);
    },
    400_000,
  );
}

/** A kernel that stops half-way has told nothing wrong about the trials it never made. */
export function expectEnd(booted: Booted, report: Report, trials: readonly Trial[]): void {
  const tail = [booted.qemu, booted.log, booted.report].map((text) => text.slice(-6000)).join('\n-----\n');
  expect({ done: report.done, hung: booted.hung }, tail).toEqual({ done: true, hung: false });
  expect([...report.trials.keys()].sort()).toEqual(trials.map((trial) => trial.name).sort());
}

export function domainName(text: string | undefined): string | undefined {
  return /^domainname (.*)$/m.exec(text ?? '')?.[1];
}

/** Modules that a pair patches, for the guest. */
function targetsOf(kernel: AnyKernel, pair: string): Pick<Trial, 'targets'> {
  const { modules = [], late = false } = expectedOf(kernel, pair).boot!;
  if (modules.length === 0) return {};
  return {
    targets: {
      modules: modules.map((name) => ({ name, content: readFileSync(moduleFile(kernel, name)) })),
      late,
      reload: true,
    },
  };
}

export function withoutReload(trial: Trial): Trial {
  return trial.targets === undefined ? trial : { ...trial, targets: { ...trial.targets, reload: false } };
}

/** What a guest tells of a livepatch that works. */
export function stepsOf(kernel: AnyKernel, pair: string, reload: boolean): string[] {
  const { modules = [], late = false } = expectedOf(kernel, pair).boot!;
  const [come, left] = [modules.map(() => 'come'), modules.map(() => 'left')];
  return [
    ...(late ? [] : come),
    'loaded',
    'patched',
    ...(late ? come : []),
    ...(reload ? [...left, ...come] : []),
    'unpatched',
    'unloaded',
    ...left,
  ];
}

/** A livepatch of each pair, and of those that cannot be made klpflow's words. */
export async function livepatches(
  kernel: AnyKernel,
  pairs: readonly string[],
  folder: string,
): Promise<{ trials: Trial[]; unmade: Map<string, string> }> {
  const trials: Trial[] = [];
  const unmade = new Map<string, string>();
  for (const pair of pairs) {
    const [first, ...also] = objectsOf(kernel, pair);
    const { symvers, vmlinux, btf, template } = kernelFiles(kernel);
    const out = join(folder, `${kernel}-${pair}.ko`);
    const ran = await running([
      'diff',
      first!.orig,
      first!.patched,
      ...also.flatMap(({ orig, patched }) => ['--also', `${orig}=${patched}`]),
      '-o',
      out,
      '--symvers',
      symvers,
      '--vmlinux',
      vmlinux,
      '--btf',
      btf,
      '--template',
      template,
      '--run-dir',
      join(folder, 'run', kernel),
      '--progress',
      'none',
    ]);
    if (ran.status === 0)
      trials.push({
        ...trialOf(pair, out),
        run: commandOf(pair, expectedOf(kernel, pair).boot!),
        livepatch: true,
        sites: rewrittenSites(out),
        ...targetsOf(kernel, pair),
      });
    else unmade.set(pair, ran.stdout + ran.stderr);
  }
  return { trials, unmade };
}

/** A module of the kernel itself: where that cannot be loaded, the guest is to blame. */
export function templateTrial(kernel: AnyKernel, folder: string): Trial {
  const template = join(folder, `${kernel}.ko`);
  copyFileSync(join(CORPUS, kernel, 'template.ko'), template);
  return { ...trialOf('template', template), run: 'cat /proc/modules', livepatch: false, sites: [] };
}

function trialOf(name: string, path: string): Pick<Trial, 'name' | 'moduleName' | 'module'> {
  const module = readFileSync(path);
  return { name, module, moduleName: /\0name=([^\0]+)\0/.exec(module.toString('latin1'))![1]! };
}
