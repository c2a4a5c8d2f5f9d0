/**
 * Modules of kpatch's flow in the kernels they are for: the patches of all pairs and a unit's callbacks in one module, enabled by our own
 * hook. Such a module finds its functions when it is loaded, so that only loading it tells whether it patches anything.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createKlpModule } from '../../src/index';
import { CORPUS, KERNELS, expectedOf, kernelFiles, skipWithout, unpack, type Kernel } from '../support/corpus';
import { callbackUnit, linkKpatchModule } from '../support/kpatch-module';
import { kpatchDiff } from '../support/kpatch-run';
import { orcWordsOf } from '../support/objtool-tables';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';
import type { Trial } from './init';
import { boot, type Booted } from './qemu';
import { complaints, readReport, type Report } from './report';
import { rewriting } from './rewriting';
import { rewrittenSites, type Site } from './sites';
import { initramfs } from './root';
import { IMAGES, VARIANTS, commandOf, domainName, missing, patchablePairs, unexpected } from './suite';

const NAME = 'livepatch_kpatch';
const folder = tempFolder();

/** The object with the changed functions of a pair: where the parent is a linked vmlinux by create-diff-object, else by `diff`, which takes /proc/kallsyms. */
async function outputOf(kernel: Kernel, pair: string): Promise<string> {
  const { orig, patched } = unpack(kernel, pair);
  const { symvers, vmlinux, btf } = kernelFiles(kernel);
  const output = join(folder, `${kernel}-${pair}.o`);
  if (kernel === 'linux-7.2-thinlto') {
    const { exit, diagnostics } = await kpatchDiff(orig, patched, vmlinux, output, { symvers });
    expect({ exit, refusals: diagnostics.filter(({ severity }) => severity === 'refusal') }).toEqual({
      exit: 0,
      refusals: [],
    });
  } else {
    const ran = await running([
      'diff',
      orig,
      patched,
      '--format',
      'kpatch',
      '-o',
      output,
      '--symvers',
      symvers,
      '--vmlinux',
      vmlinux,
      '--btf',
      btf,
      '--run-dir',
      join(folder, 'run', kernel),
      '--progress',
      'none',
    ]);
    expect(ran.status, ran.stdout + ran.stderr).toBe(0);
  }
  return output;
}

describe.each(KERNELS)('%s', (kernel) => {
  const reason = missing(kernel);
  beforeEach((context) => skipWithout(context, reason));
  const pairs = reason === undefined ? patchablePairs(kernel) : [];
  const trials: Trial[] = [];

  beforeAll(async () => {
    if (reason !== undefined) return;
    const outputs: string[] = [];
    for (const pair of pairs) outputs.push(await outputOf(kernel, pair));
    const words = orcWordsOf(unpack(kernel, pairs[0]!).orig);
    const callbacks = await callbackUnit(folder, words);
    const { btf, symvers, template } = kernelFiles(kernel);
    const vermagic = /\0vermagic=([^\0]*)/.exec(readFileSync(template, 'latin1'))![1]!;
    const { linked } = linkKpatchModule(folder, NAME, [...outputs, callbacks.output], words, {
      btf,
      symvers,
      vermagic,
    });
    const module = join(folder, `${kernel}.ko`);
    await createKlpModule({ input: linked, output: module, archSections: false, environment: {} });
    trials.push({
      name: NAME,
      moduleName: NAME,
      module: readFileSync(module),
      run: pairs.map((pair) => commandOf(pair, expectedOf(kernel, pair).boot!)).join('\n'),
      livepatch: true,
      sites: rewrittenSites(module),
    });
  }, 400_000);

  describe.each(VARIANTS)('$name', ({ name, cpu, cpus, append, returns, indirect }) => {
    let booted: Booted;
    let report: Report;

    beforeAll(async () => {
      if (reason !== undefined) return;
      booted = await boot({
        image: join(CORPUS, kernel, IMAGES[kernel]),
        initramfs: initramfs(trials, folder),
        append,
        cpu,
        cpus,
        folder: join(folder, `${kernel}-${name.length}`),
      });
      report = readReport(booted.report);
    }, 400_000);

    test('one module with every pair is loaded, patches, is taken back and unloaded', () => {
      expect(pairs.length).toBeGreaterThan(4);
      const tail = [booted.qemu, booted.log, booted.report].map((text) => text.slice(-6000)).join('\n-----\n');
      expect({ done: report.done, hung: booted.hung }, tail).toEqual({ done: true, hung: false });
      const told = report.trials.get(NAME)!;
      expect(told.steps, tail).toEqual(['loaded', 'patched', 'unpatched', 'unloaded']);
      for (const pair of pairs) expect(unexpected(expectedOf(kernel, pair).boot!, told), pair).toEqual([]);
      expect([told.before, told.after, told.restored].map(domainName)).toEqual([
        '(none)',
        expect.stringMatching(/^call-4\d$/),
        '(none)',
      ]);
    });

    test('the kernel has nothing to say against it', () => {
      expect(booted.log).toContain(`klpflow trial ${NAME}`);
      expect(complaints(booted.log)).toEqual([]);
    });

    // Guards against callbacks that the hook finds and the kernel never calls, or calls at the wrong end.
    test('callbacks of the patched object run before and after', () => {
      expect(booted.log.replaceAll('\r', '').match(/kpatch callback \w+, call \d/g)).toEqual([
        'kpatch callback before, call 1',
        'kpatch callback after, call 2',
      ]);
    });

    test('returns and alternatives are rewritten as the kernel rewrites its own', () => {
      const { sites } = trials[0]!;
      const { memory } = report.trials.get(NAME)!;
      const found: Record<Site['kind'], Set<string>> = {
        return: new Set(),
        indirect: new Set(),
        alternative: new Set(),
        preamble: new Set(),
      };
      sites.forEach((site, i) => found[site.kind].add(rewriting(site, memory[i]!, report.symbols)));
      expect({ returns: [...found.return], alternatives: [...found.alternative] }).toEqual({
        returns,
        alternatives: ['rewritten'],
      });
      for (const what of found.indirect) expect(indirect).toContain(what);
    });
  });
});
