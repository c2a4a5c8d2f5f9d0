import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ElfObject } from '../src/elf';
import { hasKlpBuild } from '../src/arch';
import type { Input } from './input';

/** The folder of real kernels beside the project, or `undefined` where the project stands alone. */
export function findCorpus(projectRoot: string): string | undefined {
  const corpus = resolve(projectRoot, '..', 'shared', 'corpus');
  return existsSync(join(corpus, 'unpack')) ? corpus : undefined;
}

/** A pair of the corpus, unpacked (once: what stands in the cache folder is left alone). */
export function corpusInput(corpus: string, kernel: string, wanted: string | undefined): Input {
  const pairs = join(corpus, kernel, 'pairs');
  if (!existsSync(pairs)) throw new Error(`the corpus has no kernel '${kernel}' with pairs`);
  const names = readdirSync(pairs).sort();
  if (wanted !== undefined && !names.includes(wanted))
    throw new Error(`${kernel} has no pair '${wanted}'; it has ${names.join(', ')}`);
  // Pairs of modules have no kernel that is patched.
  const patchable = names.filter(
    (name) => existsSync(join(pairs, name, 'patched.o.delta.zst')) && verdict(join(pairs, name)) === 'patchable',
  );
  const pair = wanted ?? USUAL.find((name) => patchable.includes(name)) ?? patchable[0];
  if (pair === undefined) throw new Error(`${kernel} has no patchable pair`);
  const other = patchable.find((name) => name !== pair);
  if (other === undefined) throw new Error(`${kernel} has no second patchable pair`);

  const folder = join(process.env.KLPFLOW_CORPUS_CACHE ?? join(tmpdir(), 'klpflow-corpus'), kernel);
  execFileSync(join(corpus, 'unpack'), [kernel, folder, pair, other], { stdio: ['ignore', 'inherit', 'inherit'] });
  const optional = (name: string): string | undefined =>
    existsSync(join(folder, name)) ? join(folder, name) : undefined;
  const orig = join(folder, 'orig.o');
  return {
    name: `${kernel}, ${pair}`,
    peer: hasKlpBuild(ElfObject.open(orig).machine),
    orig,
    patched: join(folder, pair, 'patched.o'),
    otherPatched: join(folder, other, 'patched.o'),
    vmlinux: optional('vmlinux'),
    listing: optional('vmlinux') ?? optional('kallsyms.txt') ?? optional('System.map'),
    symvers: optional('Module.symvers'),
    template: [join(corpus, kernel, 'template.ko')].find(existsSync),
  };
}

/** What is measured where no pair is named. */
const USUAL = ['special-sections', 'string-change'];

function verdict(pairFolder: string): string {
  return (JSON.parse(readFileSync(join(pairFolder, 'expected.json'), 'utf8')) as { verdict: string }).verdict;
}
