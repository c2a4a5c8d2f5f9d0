/**
 * A program: damages one kind of input many times in one process and prints what went wrong as JSON lines.
 *
 *     node main.js FOLDER CORPUS SUBJECT FIRST-SEED COUNT
 *
 * CORPUS is the folder with kpatch's units; for the subject `large` it is the object.
 * The seed under way stands in FOLDER/seed, so that whoever ends a process that hangs, or finds it dead, knows where. With
 * KLPFLOW_FUZZ_GUARD=1 reads past the end of a column are found, too, which takes three times as long.
 */
import { outOfRange } from './guarded';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createDiffObject } from '../../../src/index';
import { kernelImageSubject } from './images';
import { imageSubject, textSubject, typesSubject } from './kernels';
import { largeSubject } from './large';
import { linkSubject, moduleSubject, verifySubject } from './livepatches';
import { outcomeOf, type Subject } from './outcome';
import { recordSubject } from './records';
import { shippedSubject } from './shipped';
import { exportsOf, ppc64Unit, smallKernel, unitsIn, type SmallKernel, type Unit } from './small-kernel';
import { kpatchSubject, objectSubject, parentOf, unitSubject } from './units';

/** A mutant that takes longer hangs, even on a machine that others use. */
const SLOW_SECONDS = 5;

async function subjectOf(name: string, folder: string, corpus: string): Promise<Subject> {
  if (name === 'large') return largeSubject(corpus);
  if (name === 'vmlinuz') return kernelImageSubject(folder);
  if (name === 'shipped') return shippedSubject();
  const kernel = await smallKernel(join(folder, 'kernel'), 24);
  const synthetic: Unit = { name: 'synthetic', orig: readFileSync(kernel.orig), patched: readFileSync(kernel.patched) };
  const units = [synthetic, ppc64Unit(), ...unitsIn(corpus)];
  switch (name) {
    case 'unit':
      return unitSubject(units, folder);
    case 'kpatch':
      return kpatchSubject(units, folder);
    case 'object':
      return objectSubject(units, folder);
    case 'link':
      return linkSubject(folder);
    case 'verify':
      return verifySubject(folder);
    case 'module':
      return moduleSubject(folder, await kpatchObject(kernel, synthetic, folder), kernel.template);
    case 'text':
      return textSubject(kernel, folder);
    case 'types':
      return typesSubject(folder);
    case 'image':
      return imageSubject(kernel, folder);
    case 'record':
      return recordSubject(kernel, folder);
    default:
      throw new Error(`no subject ${name}`);
  }
}

/** What create-diff-object makes of the synthetic pair: create-klp-module takes it as it is. */
async function kpatchObject({ orig, patched }: SmallKernel, unit: Unit, folder: string): Promise<Buffer> {
  const at = (name: string): string => join(folder, name);
  writeFileSync(at('parent'), parentOf(unit, []));
  writeFileSync(at('exports'), exportsOf(['_printk']));
  const { exit, diagnostics } = await createDiffObject({
    orig,
    patched,
    parentName: 'vmlinux',
    parentSymtab: at('parent'),
    symvers: at('exports'),
    output: at('kpatch.o'),
    klpArch: false,
    structSizes: {},
    print: () => undefined,
  });
  if (exit !== 0) throw new Error(`the premise: create-diff-object makes an object, ${JSON.stringify(diagnostics)}`);
  return readFileSync(at('kpatch.o'));
}

async function main([folder = '', corpus = '', name = '', first = '', count = '']: string[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const mark = openSync(join(folder, 'seed'), 'w');
  const subject = await subjectOf(name, folder, corpus);
  const outcomes: Record<string, number> = {};
  for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
    writeSync(mark, `${seed}\n`.padEnd(16), 0);
    const mutant = subject.mutant(seed);
    const started = process.cpuUsage();
    let outcome = await outcomeOf(subject, mutant);
    const { user, system } = process.cpuUsage(started);
    const seconds = (user + system) / 1e6;
    if (outOfRange.length > 0) outcome = `BUG: ${outOfRange.splice(0).slice(0, 3).join('; ')}`;
    if (seconds > SLOW_SECONDS && !outcome.startsWith('BUG'))
      outcome = `BUG: took ${seconds.toFixed(1)} s, then ${outcome}`;
    const kind = outcome.split(':', 1)[0]!;
    outcomes[kind] = (outcomes[kind] ?? 0) + 1;
    if (kind === 'BUG') console.log(JSON.stringify({ seed: `${name}:${seed}`, done: mutant.done, outcome }));
  }
  closeSync(mark);
  const { user, system } = process.cpuUsage();
  console.log(
    JSON.stringify({ outcomes, cpuSeconds: (user + system) / 1e6, peakBytes: process.resourceUsage().maxRSS * 1024 }),
  );
}

void main(process.argv.slice(2));
