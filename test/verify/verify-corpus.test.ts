/**
 * `verify` on modules of real kernels. A module that the kernel's own build made must have no finding but that it is no
 * livepatch: a rule that real code breaks would refuse good livepatches. And a livepatch that klpflow made must pass, while
 * no relocation of it can be changed without a finding.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { verify, type VerifyRequest, type VerifyResult } from '../../src/verify';
import { CORPUS, KERNELS, skipWithout, unavailable, unpack, type Kernel } from '../support/corpus';
import { readelf } from '../support/readelf';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

/** The pair whose livepatch has entries in the most tables. */
const PAIR = 'special-sections';

/** Relocations that are changed, one at a time: every so many of all. */
const SAMPLES = 12;

const findings = ({ diagnostics }: VerifyResult): string[] =>
  diagnostics.filter(({ severity }) => severity !== 'note').map(({ code, message }) => `${code}: ${message}`);

function filesOf(kernel: Kernel): {
  orig: string;
  patched: string;
  about: Required<Omit<VerifyRequest, 'module' | 'modules' | 'objects' | 'shipped' | 'stepped'>>;
} {
  const { orig, patched } = unpack(kernel, PAIR);
  const file = (name: string): string => join(orig, '..', name);
  const vmlinux = file(kernel === 'linux-7.2-thinlto' ? 'vmlinux' : 'kallsyms.txt');
  return {
    orig,
    patched,
    about: {
      vmlinux,
      symvers: file('Module.symvers'),
      btf: file('types.btf'),
      template: join(CORPUS, kernel, 'template.ko'),
    },
  };
}

describe.each(KERNELS)('%s', (kernel) => {
  beforeEach((context) => skipWithout(context, unavailable(kernel, true)));

  test('a module of the kernel is right in all but being a livepatch', () => {
    const { about } = filesOf(kernel);
    // The premise: there is something to check in it.
    expect(
      readelf(about.template, '-SW').filter((line) =>
        /\.(return_sites|call_sites|orc_unwind_ip)|__mcount_loc|__versions/.test(line),
      ).length,
    ).toBeGreaterThanOrEqual(5);
    expect(findings(verify({ module: about.template, ...about }))).toEqual([
      expect.stringMatching(/^verify-modinfo: .*livepatch=Y is missing/),
      expect.stringMatching(/^verify-klp-struct: .*init_module does not call klp_enable_patch/),
    ]);
  });

  test('a livepatch passes, and no changed relocation of it does', async () => {
    const { orig, patched, about } = filesOf(kernel);
    const module = join(folder, `${kernel}.ko`);
    const made = await running([
      'diff',
      orig,
      patched,
      '-o',
      module,
      '--vmlinux',
      about.vmlinux,
      '--symvers',
      about.symvers,
      '--btf',
      about.btf,
      '--template',
      about.template,
      '--run-dir',
      join(folder, kernel),
      '--progress',
      'none',
    ]);
    expect(made.status, made.stderr).toBe(0);
    const result = verify({ module, ...about, objects: [patched] });
    expect(findings(result)).toEqual([]);
    expect(result.module.objects.flatMap(({ functions }) => functions).length).toBeGreaterThan(0);
    expect(result.module.relocations.livepatch).toBeGreaterThan(0);

    const file = readFileSync(module);
    const records = relocations(file);
    expect(records.length).toBeGreaterThan(100);
    for (let sample = 0; sample < SAMPLES; sample++) {
      const { at, section } = records[Math.floor(((sample + 0.5) * records.length) / SAMPLES)]!;
      const copy = Buffer.from(file);
      copy.writeBigInt64LE(copy.readBigInt64LE(at + 16) + 8n, at + 16);
      const mutant = join(folder, 'mutant.ko');
      writeFileSync(mutant, copy);
      expect(
        findings(verify({ module: mutant, ...about, objects: [patched] })),
        `${section}: addend of the relocation at ${at} plus 8`,
      ).not.toEqual([]);
    }
  });
});

/** Places of all rela records that do something, in the file. */
function relocations(file: Buffer): Array<{ at: number; section: string }> {
  const table = Number(file.readBigUInt64LE(40));
  const names = Number(file.readBigUInt64LE(table + file.readUInt16LE(62) * 64 + 24));
  const found: Array<{ at: number; section: string }> = [];
  for (let header = table; header < table + file.readUInt16LE(60) * 64; header += 64) {
    if (file.readUInt32LE(header + 4) !== 4) continue;
    const name = names + file.readUInt32LE(header);
    const start = Number(file.readBigUInt64LE(header + 24));
    for (let at = start; at < start + Number(file.readBigUInt64LE(header + 32)); at += 24)
      if (file.readUInt32LE(at + 8) !== 0)
        found.push({ at, section: file.toString('latin1', name, file.indexOf(0, name)) });
  }
  return found;
}
