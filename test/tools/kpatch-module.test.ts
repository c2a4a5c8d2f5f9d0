/**
 * A whole kpatch module: objects of create-diff-object for two pairs of a real kernel and for a unit with callbacks, linked as kpatch-build
 * and kbuild do, finished by create-klp-module, judged by `verify`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createKlpModule, type VerifyResult } from '../../src';
import { verify } from '../../src/verify';
import { kernelFiles, skipWithout, unavailable, unpack } from '../support/corpus';
import { callbackUnit, linkKpatchModule } from '../support/kpatch-module';
import { kpatchDiff } from '../support/kpatch-run';
import { noCompiler } from '../support/kpatch-sources';
import { ModuleBytes } from '../support/module-bytes';
import { ModuleFile } from '../support/module-file';
import { orcWordsOf } from '../support/objtool-tables';
import { readelfComplaints } from '../support/readelf';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const KERNEL = 'linux-7.2-thinlto';
const PAIRS = ['new-function-static-local', 'special-sections'] as const;
const folder = tempFolder();
const module = join(folder, 'livepatch_kpatch.ko');
const missing = unavailable(KERNEL, true) ?? noCompiler();
let linked = '';
/** What the module is made from. */
let objects: string[] = [];

beforeEach((context) => skipWithout(context, missing));

beforeAll(async () => {
  if (missing !== undefined) return;
  const outputs: string[] = [];
  for (const pair of PAIRS) {
    const { orig, patched } = unpack(KERNEL, pair);
    const output = join(folder, `${pair}.o`);
    const { vmlinux, symvers } = kernelFiles(KERNEL);
    const { exit, diagnostics } = await kpatchDiff(orig, patched, vmlinux, output, { symvers });
    if (exit !== 0) throw new Error(diagnostics.map(({ message }) => message).join('; '));
    outputs.push(output);
    objects.push(patched);
  }
  const words = orcWordsOf(objects[0]!);
  const callbacks = await callbackUnit(folder, words);
  const { btf, symvers, template } = kernelFiles(KERNEL);
  const vermagic = /\0vermagic=([^\0]*)/.exec(readFileSync(template, 'latin1'))![1]!;
  const made = linkKpatchModule(folder, 'livepatch_kpatch', [...outputs, callbacks.output], words, {
    btf,
    symvers,
    vermagic,
  });
  linked = made.linked;
  objects = [...objects, callbacks.patched, ...made.own];
  await createKlpModule({ input: linked, output: module, archSections: false, environment: {} });
}, 120_000);

/** With all that can be known of the kernel, and of what it was made from. */
function judge(path: string, made: readonly string[] = []): VerifyResult {
  const { vmlinux, symvers, btf, template } = kernelFiles(KERNEL);
  return verify({ module: path, vmlinux, symvers, btf, template, objects: made });
}

const refusals = ({ diagnostics }: VerifyResult): string[] =>
  diagnostics.filter(({ severity }) => severity === 'refusal').map(({ code, message }) => `${code}: ${message}`);

// Guards against what each object alone does not show: tables that do not fit together behind the link, symbols that another object defines.
test('it is what the kernel takes, by readelf and by verify', async () => {
  expect(readelfComplaints(module)).toBe('');
  const file = new ModuleFile(module);
  expect(
    [...file.sections.keys()].filter((name) => /^\.(rela)?\.?kpatch\.(symbols|relocations|arch)$/.test(name)),
  ).toEqual([]);
  expect(
    [...file.sections].filter(([name]) => name.startsWith('.klp.rela.vmlinux.')).map(([, { flags }]) => flags),
  ).toContain('AIo');
  const result = judge(module, objects);
  expect(refusals(result)).toEqual([]);
  expect(result.ok).toBe(true);
  expect(result.module.objects).toHaveLength(1);
  const [{ name, functions }] = result.module.objects as [VerifyResult['module']['objects'][number]];
  expect({
    name,
    functions: functions
      .map(({ name: old, sympos, replacement }) => `${old},${sympos} by ${replacement}`.replace(/\.llvm\.\d+/g, ''))
      .sort(),
  }).toEqual({
    name: 'vmlinux',
    functions: ['__se_sys_newuname,1 by __se_sys_newuname', 'kernel_clone,1 by kernel_clone'],
  });
  expect(result.module.relocations.livepatch).toBeGreaterThan(5);

  const { vmlinux, symvers, btf, template } = kernelFiles(KERNEL);
  const ran = await running([
    'verify',
    module,
    '--vmlinux',
    vmlinux,
    '--symvers',
    symvers,
    '--btf',
    btf,
    '--template',
    template,
    ...objects.flatMap((object) => ['--object', object]),
  ]);
  expect(ran.status, ran.stdout).toBe(0);
}, 60_000);

/** What is spoilt, what must be said of it. Nearly all of it loads without a complaint, or the kernel says no more than EINVAL. */
const FAULTS: Array<[what: string, code: string, says: RegExp, spoil: (file: ModuleBytes) => void]> = [
  [
    'a klp symbol at another position',
    'verify-unresolved',
    /,7: /,
    (file) => replace(file, klpNames(file)[0]!, (name) => name.replace(/,\d+$/, ',7')),
  ],
  [
    'a klp symbol that the kernel does not have',
    'verify-unresolved',
    /vmlinux\.z/,
    (file) => replace(file, klpNames(file)[1]!, (name) => name.replace(/\.vmlinux\../, '.vmlinux.z')),
  ],
  [
    'a klp section without its flag',
    'verify-klp-section',
    /0x100000/,
    (file) => file.bytes.writeUInt32LE(0x42, file.header(KLP_SECTION) + 8),
  ],
  [
    'a klp symbol that is merely undefined',
    'verify-klp-symbol',
    /SHN_LIVEPATCH/,
    (file) => file.bytes.writeUInt16LE(0, file.symbol(klpNames(file)[0]!) + 6),
  ],
  [
    'a record whose function is nowhere',
    'verify-klp-func',
    /replacement/,
    (file) => file.bytes.writeUInt32LE(0, file.rela('.kpatch.funcs', 0) + 8),
  ],
  [
    "a record that points behind its function's start",
    'verify-klp-func',
    /replacement/,
    (file) => file.bytes.writeInt32LE(4, file.rela('.kpatch.funcs', 56) + 16),
  ],
  [
    'a record at another position',
    'verify-klp-func',
    /.kpatch.funcs\+0x0/,
    (file) => file.bytes.writeUInt8(9, file.content('.kpatch.funcs') + 32),
  ],
  [
    'a record without a name',
    'verify-klp-struct',
    /names no function/,
    (file) => file.bytes.writeUInt32LE(0, file.rela('.kpatch.funcs', 40) + 8),
  ],
  [
    'a record of no object',
    'verify-klp-struct',
    /patched object/,
    (file) => file.bytes.writeUInt32LE(0, file.rela('.kpatch.funcs', 48) + 8),
  ],
  [
    'records that the hook does not reach',
    'verify-klp-struct',
    /__kpatch_funcs_end/,
    (file) => file.bytes.writeUInt8(56, file.symbol('__kpatch_funcs_end') + 8),
  ],
  [
    'callbacks that the hook does not reach',
    'verify-klp-struct',
    /__kpatch_callbacks_pre_patch_end/,
    (file) => file.bytes.writeUInt8(0, file.symbol('__kpatch_callbacks_pre_patch_end') + 8),
  ],
  [
    'a callback that is no function',
    'verify-klp-struct',
    /callback/,
    (file) => file.bytes.writeInt32LE(1, file.rela('.kpatch.callbacks.post_unpatch', 0) + 16),
  ],
  [
    'a callback of no object',
    'verify-klp-struct',
    /patched object/,
    (file) => file.bytes.writeUInt32LE(0, file.rela('.kpatch.callbacks.pre_patch', 8) + 8),
  ],
  ['no livepatch=Y', 'verify-modinfo', /livepatch=Y/, (file) => file.bytes.write('N', file.text('livepatch=Y') + 10)],
  [
    'another version of an import',
    'verify-version',
    /module_layout/,
    (file) => file.bytes.writeUInt32LE(1, file.content('__versions')),
  ],
  [
    'an ftrace site beside the call',
    'verify-entry',
    /__mcount_loc/,
    (file) =>
      file.bytes.writeInt32LE(
        file.bytes.readInt32LE(file.rela('__mcount_loc', 0) + 16) + 1,
        file.rela('__mcount_loc', 0) + 16,
      ),
  ],
];

const KLP_SECTION = '.klp.rela.vmlinux..text.kernel_clone';
const klpNames = ({ names }: ModuleBytes): string[] => names.filter((name) => name.startsWith('.klp.sym.vmlinux.'));

/** Another name of the same length, for one symbol. */
function replace(file: ModuleBytes, name: string, by: (name: string) => string): void {
  if (by(name).length !== name.length) throw new Error(`${name}, ${by(name)}`);
  file.bytes.write(by(name), file.text(`\0${name}\0`) + 1, 'latin1');
}

describe('one fault in it', () => {
  test.each(FAULTS)(
    '%s',
    (_, code, says, spoil) => {
      const file = new ModuleBytes(module);
      spoil(file);
      expect(file.bytes.equals(readFileSync(module)), 'premise').toBe(false);
      const spoilt = join(folder, 'spoilt.ko');
      writeFileSync(spoilt, file.bytes);
      const found = refusals(judge(spoilt));
      expect(
        found.filter((line) => line.startsWith(`${code}: `) && says.test(line)),
        found.join('\n'),
      ).not.toEqual([]);
    },
    60_000,
  );

  test('create-klp-module has not been run', () => {
    expect(
      refusals(judge(linked)).filter((line) => /^verify-klp-section: .*create-klp-module/.test(line)),
    ).toHaveLength(2);
  });
});
