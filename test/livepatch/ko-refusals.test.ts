/**
 * Modules that are not written. What this guards against: a file that some kernel loads, and that then calls, writes to or
 * unwinds through something else than was meant.
 */
import { describe, expect, test } from 'vitest';
import { R_X86_64_PC32, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE } from '../../src/elf';
import { writeModule } from '../../src/livepatch/ko';
import type { OutputSection } from '../../src/livepatch/object';
import { Symvers } from '../../src/kernel/symvers';
import { PatchedObject } from '../support/patched-object';
import { OPTIONS, SYMVERS, TARGET, templateOf } from '../support/target-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

describe('refusals', () => {
  const refused: Array<[what: string, make: () => Parameters<typeof writeModule>, codes: string[]]> = [
    [
      'neither BTF nor template',
      () => [[new PatchedObject().object], { symvers: TARGET.symvers }, OPTIONS],
      ['no-btf'],
    ],
    [
      'a template alone for a kernel with larger kobjects',
      () => [
        [new PatchedObject('vmlinux', { kobjectRelease: true }).object],
        { symvers: TARGET.symvers, template: templateOf(folder) },
        OPTIONS,
      ],
      ['no-btf'],
    ],
    [
      'a template without an exit function, alone',
      () => [
        [new PatchedObject().object],
        { symvers: TARGET.symvers, template: templateOf(folder, { exit: null }) },
        OPTIONS,
      ],
      ['not-a-module'],
    ],
    ['no vermagic', () => [[new PatchedObject('ext4', { vermagic: null }).object], TARGET, OPTIONS], ['no-vermagic']],
    [
      'a template with other flags',
      () => [
        [new PatchedObject().object],
        { ...TARGET, template: templateOf(folder, { vermagic: '6.12.0 SMP mod_unload modversions ' }) },
        OPTIONS,
      ],
      ['kernel-mismatch'],
    ],
    [
      'a template of another release where symbols have no versions',
      () => {
        const patched = new PatchedObject('vmlinux', { vermagic: '6.12.0 SMP preempt mod_unload ' });
        return [
          [patched.object],
          { ...TARGET, template: templateOf(folder, { vermagic: '6.12.1 SMP preempt mod_unload ', form: 'none' }) },
          OPTIONS,
        ];
      },
      ['kernel-mismatch'],
    ],
    [
      'a template with other versions',
      () => [
        [new PatchedObject().object],
        { ...TARGET, template: templateOf(folder, { versions: { module_layout: 0x11111112 } }) },
        OPTIONS,
      ],
      ['kernel-mismatch'],
    ],
    [
      'a template with other versions, in their long form alone',
      () => {
        const template = templateOf(folder, { versions: { module_layout: 0x11111112 }, form: 'extended' });
        return [[new PatchedObject().object], { ...TARGET, template }, OPTIONS];
      },
      ['kernel-mismatch'],
    ],
    [
      'objects of two kernels',
      () => [
        [
          new PatchedObject().object,
          new PatchedObject('ext4', { vermagic: '6.12.0 SMP mod_unload modversions ', orcAtStart: '080000000302' })
            .object,
        ],
        TARGET,
        OPTIONS,
      ],
      ['kernel-mismatch', 'kernel-mismatch'],
    ],
    [
      'a symbol that nobody exports',
      () => {
        const patched = new PatchedObject();
        patched.call('one', 'do_exit_secretly');
        return [[patched.object], TARGET, OPTIONS];
      },
      ['not-exported'],
    ],
    [
      'a symbol that is exported to other modules',
      () => {
        const patched = new PatchedObject();
        patched.call('one', 'kvm_private');
        return [[patched.object], TARGET, OPTIONS];
      },
      ['not-exported'],
    ],
    [
      'THIS_MODULE, which the linker would take for the livepatch',
      () => {
        const patched = new PatchedObject('ext4');
        patched.call('one', '__this_module');
        return [[patched.object], TARGET, OPTIONS];
      },
      ['not-exported'],
    ],
    [
      'more sections than the loader counts',
      () => {
        const patched = new PatchedObject();
        for (let i = 0; i < 22_000; i++) patched.section(`__table_${i}`, SHF_ALLOC);
        return [[patched.object], TARGET, OPTIONS];
      },
      ['malformed-elf'],
    ],
    [
      'a name too long for a version',
      () => {
        const patched = new PatchedObject();
        patched.call('one', 'a_function_whose_name_has_exactly_fifty_six_characters_x');
        return [[patched.object], TARGET, OPTIONS];
      },
      ['no-symbol-version'],
    ],
    [
      'no version of module_layout',
      () => [
        [new PatchedObject().object],
        { ...TARGET, symvers: Symvers.parse(SYMVERS.replace('module_layout', 'module_leyout'), 'Module.symvers') },
        OPTIONS,
      ],
      ['no-symbol-version'],
    ],
    [
      'a reference to what the linker drops',
      () => {
        const patched = new PatchedObject();
        const func = patched.func('one', [0x8b, 0x05, 0, 0, 0, 0]);
        const dropped = patched.data('noted', Uint8Array.of(1), '.discard.note');
        (func.section as OutputSection).relas.push({
          offset: func.value + 6,
          type: R_X86_64_PC32,
          symbol: dropped,
          addend: -4,
        });
        return [[patched.object], TARGET, OPTIONS];
      },
      ['dropped-reference'],
    ],
    ['a relocation that the loader does not know', () => relocated(9, 6), ['unsupported-relocation']],
    ['an unsigned 32-bit address', () => relocated(10, 6), ['unsupported-relocation']],
    ['a relocation past the end', () => relocated(R_X86_64_PC32, 4000), ['malformed-elf']],
    ['two relocations in one field', () => relocated(R_X86_64_PC32, 12), ['malformed-elf']],
    [
      'stack layouts that do not pair',
      () => {
        const patched = new PatchedObject();
        patched.section('.orc_unwind', SHF_ALLOC, { entsize: 6, use: 'module' }).append(new Uint8Array(6));
        return [[patched.object], TARGET, OPTIONS];
      },
      ['malformed-elf'],
    ],
    [
      'code that can be written to',
      () => {
        const patched = new PatchedObject();
        patched.section('.text.rwx', SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR).append(new Uint8Array(4));
        return [[patched.object], TARGET, OPTIONS];
      },
      ['malformed-elf'],
    ],
    [
      'an absurd alignment',
      () => {
        const patched = new PatchedObject();
        patched.section('.data.wide', SHF_ALLOC | SHF_WRITE).align = 2 ** 40;
        return [[patched.object], TARGET, OPTIONS];
      },
      ['malformed-elf'],
    ],
    [
      'a record of a kernel that cannot be',
      () => {
        const objects = [
          { prefixBytes: 2 ** 50 },
          { functionAlign: 0 },
          { functionAlign: 48 },
          { kcfi: { init: 2 ** 32, exit: 0 } },
        ].map((facts, i) => new PatchedObject(`m${i}`, facts).object);
        return [objects, TARGET, OPTIONS];
      },
      Array<string>(4).fill('malformed-elf'),
    ],
    [
      'a replacement that is no function',
      () => {
        const patched = new PatchedObject();
        patched.object.funcs.push({
          oldName: 'one',
          sympos: 0,
          evidence: '',
          replacement: patched.data('one', Uint8Array.of(1)),
        });
        return [[patched.object], TARGET, OPTIONS];
      },
      ['malformed-elf'],
    ],
    [
      'its own init_module',
      () => {
        const patched = new PatchedObject();
        patched.func('init_module');
        return [[patched.object], TARGET, OPTIONS];
      },
      ['duplicate-definition'],
    ],
    [
      'a symbol name with a comma',
      () => {
        const patched = new PatchedObject();
        patched.load('one', 'vmlinux', 'a,b');
        return [[patched.object], TARGET, OPTIONS];
      },
      ['name-limit'],
    ],
    [
      'a module name of 56 characters',
      () => [[new PatchedObject('m'.repeat(56)).object], TARGET, OPTIONS],
      ['name-limit'],
    ],
    [
      'a symbol name of 512 characters',
      () => {
        const patched = new PatchedObject();
        patched.load('one', 'vmlinux', 's'.repeat(512));
        return [[patched.object], TARGET, OPTIONS];
      },
      ['name-limit'],
    ],
  ];

  /** A function with one more relocation of `type` at byte `offset`. */
  function relocated(type: number, offset: number): Parameters<typeof writeModule> {
    const patched = new PatchedObject();
    const func = patched.func('one', [0x8b, 0x05, 0, 0, 0, 0]);
    (func.section as OutputSection).relas.push({ offset: func.value + offset, type, symbol: func, addend: 0 });
    return [[patched.object], TARGET, OPTIONS];
  }

  test.each(refused)('%s', (_, make, codes) => {
    const { chunks, diagnostics } = writeModule(...make());
    expect(diagnostics.map(({ code }) => code)).toEqual(codes);
    expect(chunks).toBeNull();
    for (const { hint, message } of diagnostics) expect([hint, message]).not.toContain('');
  });

  test('all reasons are given in one run', () => {
    const patched = new PatchedObject('vmlinux', { vermagic: null, kcfi: 'no-donor' });
    patched.call('one', 'do_exit_secretly');
    const { diagnostics } = writeModule([patched.object], { symvers: TARGET.symvers }, OPTIONS);
    expect(diagnostics.map(({ code }) => code).sort()).toEqual([
      'no-btf',
      'no-kcfi-donor',
      'no-vermagic',
      'not-exported',
    ]);
  });
});
