/**
 * What no object brings into a finished module: descriptors, init and exit code, versions. What this guards against: a list
 * without its end, a function whose stack cannot be unwound, a pointer that stands where another kernel has it.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeModule } from '../../src/livepatch/ko';
import type { PlatformFacts } from '../../src/livepatch/object';
import { PatchedObject } from '../support/patched-object';
import { OPTIONS, STRUCTS, TARGET, moduleOf, templateOf } from '../support/target-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);

/** Bytes of a function with the padding before it. */
function entry(
  facts: Partial<PlatformFacts>,
  name: string,
): { code: string; tables: string[]; prefix: string | undefined; orc: string } {
  const file = at(`entry-${Math.random()}.ko`);
  const patched = new PatchedObject('vmlinux', facts);
  const module = moduleOf(file, [patched.object]);
  const { value, size, type, bind } = module.symbols.get(name)!;
  expect({ type, bind, size: size > 0 }).toEqual({ type: 'FUNC', bind: 'GLOBAL', size: true });
  const padding = facts.prefixBytes ?? 16;
  const prefix = [...module.symbols].find(([other, line]) => other.endsWith(`_${name}`) && line.type === 'FUNC');
  if (prefix !== undefined) expect(prefix[1]).toMatchObject({ value: value - padding, size: padding });
  return {
    code: module.bytes('.text').toString('hex', value - padding, value + size),
    tables: ['.return_sites', '.cfi_sites', '.ibt_endbr_seal', '__mcount_loc', '.call_sites'].flatMap((table) =>
      module.relas(table).map((line) => `${table} ${line}`),
    ),
    prefix: prefix?.[0],
    orc: module.sections.has('.orc_unwind') ? module.bytes('.orc_unwind').toString('hex') : '',
  };
}

describe('init_module and cleanup_module', () => {
  const NOPS = '90'.repeat(16);
  const ENABLE = '48c7c700000000e900000000';

  test('with padding, ENDBR and return thunk', () => {
    const init = entry({}, 'init_module');
    expect(init.code).toBe(`${NOPS}f30f1efa${ENABLE}`);
    expect(init.prefix).toBe('__pfx_init_module');
    const exit = entry({}, 'cleanup_module');
    expect(exit.code).toBe(`${NOPS}f30f1efae900000000`);
    // The jump of cleanup_module is a return; that of init_module is not, and neither may be sealed or traced.
    expect(exit.tables).toEqual(['.return_sites 0 R_X86_64_PC32 .text + 34']);
    expect(exit.orc).toBe('080000000502000000000000'.repeat(2));
  });

  test('what they call, and where', () => {
    const module = moduleOf(at('calls.ko'), [new PatchedObject().object]);
    expect(module.relas('.text')).toEqual([
      '17 R_X86_64_32S klp_patch + 0',
      '1c R_X86_64_PLT32 klp_enable_patch - 4',
      '35 R_X86_64_PLT32 __x86_return_thunk - 4',
    ]);
    // Stack layouts from the start of the padding to the end of the code.
    expect(module.relas('.orc_unwind_ip').map((line) => line.split('+ ')[1])).toEqual(['0', '20', '20', '39']);
    expect(module.relas('.gnu.linkonce.this_module')).toEqual([
      '148 R_X86_64_64 init_module + 0',
      '388 R_X86_64_64 cleanup_module + 0',
    ]);
  });

  test('without padding, IBT, thunks and ORC there is nothing of them', () => {
    const plain: Partial<PlatformFacts> = {
      prefixBytes: 0,
      ibt: false,
      returns: 'ret',
      orcAtStart: null,
      functionAlign: 16,
    };
    expect(entry(plain, 'init_module')).toEqual({ code: ENABLE, tables: [], prefix: undefined, orc: '' });
    expect(entry(plain, 'cleanup_module').code).toBe('c3');
    expect(entry({ ...plain, returns: 'ret-int3' }, 'cleanup_module').code).toBe('c3cc');
  });

  test('the words of another release are copied, never known', () => {
    expect(entry({ orcAtStart: '080000000302' }, 'init_module').orc).toBe('080000000302000000000000'.repeat(2));
  });

  test("with kCFI each has its type's hash where callers look, and a .cfi_sites entry", () => {
    const kcfi = { init: 0x12345678, exit: 0x9abcdef0 };
    const init = entry({ kcfi }, 'init_module');
    expect(init.code).toBe(`b878563412${'90'.repeat(11)}f30f1efa${ENABLE}`);
    expect(init.prefix).toBe('__cfi_init_module');
    expect(init.tables.filter((line) => line.startsWith('.cfi_sites'))).toEqual([
      '.cfi_sites 0 R_X86_64_PC32 .text + 0',
      '.cfi_sites 4 R_X86_64_PC32 .text + 20',
    ]);
    expect(entry({ kcfi }, 'cleanup_module').code).toBe(`b8f0debc9a${'90'.repeat(11)}f30f1efae900000000`);
  });

  test('in a kernel without NOPs for tracing the hash stands at the end of the padding, right before the function', () => {
    const kcfi = { init: 0x12345678, exit: 0x9abcdef0, at: 11 };
    expect(entry({ kcfi }, 'init_module').code).toBe(`${'90'.repeat(11)}b878563412f30f1efa${ENABLE}`);
    expect(entry({ kcfi }, 'cleanup_module').code).toBe(`${'90'.repeat(11)}b8f0debc9af30f1efae900000000`);
  });

  test('kCFI without a hash to copy is refused', () => {
    for (const facts of [{ kcfi: 'no-donor' as const }, { kcfi: { init: 1, exit: 2 }, prefixBytes: 0 }]) {
      const { chunks, diagnostics } = writeModule([new PatchedObject('vmlinux', facts).object], TARGET, OPTIONS);
      expect(chunks).toBeNull();
      expect(diagnostics.map(({ code }) => code)).toEqual(['no-kcfi-donor']);
    }
  });
});

describe('descriptors', () => {
  test("klp_patch, klp_object and klp_func stand where the kernel's types say, each list with its end", () => {
    const [kernel, ext4] = [new PatchedObject(), new PatchedObject('ext4')];
    kernel.replace('one');
    kernel.replace('two', 3);
    kernel.object.callbacks.post_unpatch = kernel.func('after');
    ext4.replace('three');
    const module = moduleOf(at('descriptors.ko'), [kernel.object, ext4.object], TARGET, {
      states: [{ id: 0x1234, version: 7 }],
      replace: false,
    });
    const placeOf = (name: string): number => module.symbols.get(name)!.value;
    const data = module.bytes('.data');
    const pointers = new Map(
      module.relas('.data').map((line) => [parseInt(line, 16), line.split(' ').slice(2).join(' ')]),
    );
    const used = new Set<number>();
    const pointer = (offset: number): string | undefined => {
      used.add(offset);
      return pointers.get(offset);
    };
    const text = (offset: number): string => module.text(`0 R ${pointer(offset)}`);

    const patch = placeOf('klp_patch');
    expect(module.symbols.get('klp_patch')!.size).toBe(256);
    expect([pointer(patch + 16), pointer(patch + 32), pointer(patch + 48), data[patch + 65]]).toEqual([
      '__this_module + 0',
      'klp_objects + 0',
      'klp_states + 0',
      0,
    ]);

    const objects = placeOf('klp_objects');
    expect(module.symbols.get('klp_objects')!.size).toBe(3 * 192);
    expect([pointer(objects + 8), pointer(objects + 24), pointer(objects + 40 + 32)]).toEqual([
      undefined,
      'klp_funcs.vmlinux + 0',
      'after + 0',
    ]);
    expect([text(objects + 192 + 8), pointer(objects + 192 + 24)]).toEqual(['ext4', 'klp_funcs.ext4 + 0']);

    const funcs = placeOf('klp_funcs.vmlinux');
    expect(module.symbols.get('klp_funcs.vmlinux')!.size).toBe(3 * 176);
    expect([text(funcs + 16), pointer(funcs + 32), data.readBigUInt64LE(funcs + 48)]).toEqual(['one', 'one + 0', 0n]);
    expect([text(funcs + 176 + 16), pointer(funcs + 176 + 32), data.readBigUInt64LE(funcs + 176 + 48)]).toEqual([
      'two',
      'two + 0',
      3n,
    ]);
    const others = placeOf('klp_funcs.ext4');
    expect([text(others + 16), pointer(others + 32)]).toEqual(['three', 'three + 0']);

    const states = placeOf('klp_states');
    expect([
      data.readBigUInt64LE(states + 8),
      data.readUInt32LE(states + 20),
      data.readBigUInt64LE(states + 32 + 8),
    ]).toEqual([0x1234n, 7, 0n]);
    // Ends and everything else are zeros: no pointer is left, and no byte.
    expect([...pointers.keys()].filter((offset) => !used.has(offset))).toEqual([]);
    const numbers = new Set([funcs + 176 + 48, states + 8, states + 9, states + 20]);
    expect([...data.keys()].filter((offset) => data[offset] !== 0 && !numbers.has(offset))).toEqual([]);
    // The kernel's kobjects live here.
    for (const start of [patch, objects, funcs, others, states]) expect(start % 8).toBe(0);
    expect(module.sections.get('.data')).toMatchObject({ flags: 'WA', align: 8 });
  });

  test('an atomic replacement is the default, and an object may have callbacks alone', () => {
    const patched = new PatchedObject();
    patched.object.callbacks.pre_patch = patched.func('before');
    const module = moduleOf(at('callbacks.ko'), [patched.object]);
    expect(module.bytes('.data')[module.symbols.get('klp_patch')!.value + 65]).toBe(1);
    // An object without a list of functions is refused by klp_enable_patch; an empty list is not.
    expect(module.symbols.get('klp_funcs.vmlinux')!.size).toBe(176);
  });

  test('objects of one name are one klp_object; what is there twice is refused', () => {
    // The kernel makes a directory of each name in sysfs.
    const make = (name: string, sympos: number): PatchedObject => {
      const patched = new PatchedObject();
      patched.replace(name, sympos);
      return patched;
    };
    const module = moduleOf(at('one-object.ko'), [make('one', 0).object, make('two', 0).object]);
    expect(module.symbols.get('klp_objects')!.size).toBe(2 * 192);
    expect(module.symbols.get('klp_funcs.vmlinux')!.size).toBe(3 * 176);
    const { chunks, diagnostics } = writeModule([make('one', 0).object, make('one', 1).object], TARGET, OPTIONS);
    expect(chunks).toBeNull();
    expect(diagnostics).toMatchObject([{ code: 'duplicate-definition' }]);
  });

  test('struct module is zero but for the name', () => {
    const module = moduleOf(at('self.ko'), [new PatchedObject().object]);
    expect(module.sections.get('.gnu.linkonce.this_module')).toMatchObject({
      size: 1024,
      align: 64,
      flags: 'WA',
      type: 'PROGBITS',
    });
    const expected = Buffer.alloc(1024);
    expected.write('livepatch_test', 24);
    expect(module.bytes('.gnu.linkonce.this_module').equals(expected)).toBe(true);
    expect(module.symbols.get('__this_module')).toMatchObject({ value: 0, size: 1024, type: 'OBJECT', bind: 'GLOBAL' });
  });
});

describe('modinfo and versions', () => {
  test('what the loader and modinfo read', () => {
    const [kernel, ext4] = [new PatchedObject(), new PatchedObject('ext4')];
    kernel.call('one', 'crypto_secret');
    ext4.call('two', 'mii_link_ok');
    ext4.object.importNs.push('EXT4_TEST');
    const module = moduleOf(at('modinfo.ko'), [kernel.object, ext4.object], TARGET, {
      description: 'a fix\nsecond line',
    });
    expect(module.modinfo()).toEqual([
      'license=GPL',
      'livepatch=Y',
      'description=a fix?second line',
      'import_ns=CRYPTO_INTERNAL',
      'import_ns=EXT4_TEST',
      'klpflow=9.8.7 vmlinux:vmlinux-orig:vmlinux-patched ext4:ext4-orig:ext4-patched',
      'depends=mii',
      'retpoline=Y',
      'name=livepatch_test',
      'vermagic=6.12.0 SMP preempt mod_unload modversions ',
    ]);
    expect(Object.fromEntries(module.versions())).toEqual({
      module_layout: 0x11111111,
      klp_enable_patch: 0x22222222,
      __x86_return_thunk: 0x33333333,
      crypto_secret: 0x55555555,
      mii_link_ok: 0x77777777,
    });
    expect(module.sections.get('__versions')).toMatchObject({ flags: 'A', align: 32 });
  });

  test('a kernel without modversions gets no versions, one without retpolines no claim', () => {
    const module = moduleOf(at('plain-info.ko'), [
      new PatchedObject('vmlinux', { vermagic: '6.12.0 SMP preempt mod_unload ', retpoline: false }).object,
    ]);
    expect(module.sections.has('__versions')).toBe(false);
    expect(module.modinfo().some((line) => line.startsWith('retpoline'))).toBe(false);
  });

  test('a weak reference needs no definition, but a version where there is one', () => {
    const patched = new PatchedObject();
    patched.call('one', 'nobody_has_this', { weak: true });
    patched.call('two', '_printk', { weak: true });
    const module = moduleOf(at('weak.ko'), [patched.object]);
    expect(module.symbols.get('nobody_has_this')).toMatchObject({ bind: 'WEAK', index: 'UND' });
    expect([...module.versions().keys()]).toContain('_printk');
    expect([...module.versions().keys()]).not.toContain('nobody_has_this');
  });

  test("the template's vermagic wins over ORIG's", () => {
    // A rebuilt ORIG has the release of the rebuild.
    const template = templateOf(folder, { vermagic: '6.12.0+deb12-amd64 SMP preempt mod_unload modversions ' });
    const module = moduleOf(at('vermagic.ko'), [new PatchedObject().object], { ...TARGET, template });
    expect(module.modinfo()).toContain('vermagic=6.12.0+deb12-amd64 SMP preempt mod_unload modversions ');
  });

  test("long names go into extended versions where the kernel's modules have them", () => {
    const patched = new PatchedObject();
    const long = 'a_function_whose_name_has_exactly_fifty_six_characters_x';
    patched.call('one', long);
    const module = moduleOf(at('extended.ko'), [patched.object], {
      ...TARGET,
      template: templateOf(folder, { form: 'both' }),
    });
    const names = module.bytes('__version_ext_names').toString('latin1').split('\0').slice(0, -1);
    const crcs = module.bytes('__version_ext_crcs');
    expect(names.map((name, i) => [name, crcs.readUInt32LE(i * 4)])).toContainEqual([long, 0x88888888]);
    expect(crcs.length).toBe(names.length * 4);
    // The short form stands beside it, without the long name.
    expect([...module.versions().keys()].sort()).toEqual(names.filter((name) => name !== long).sort());
    const alone = moduleOf(at('extended-alone.ko'), [patched.object], {
      ...TARGET,
      template: templateOf(folder, { form: 'extended' }),
    });
    expect(alone.sections.has('__versions')).toBe(false);
    expect(alone.bytes('__version_ext_crcs').equals(crcs)).toBe(true);
  });
});

describe('layouts', () => {
  test('a template alone tells struct module; klp structs are the common ones, with room behind klp_patch', () => {
    const patched = new PatchedObject();
    patched.replace('one');
    const module = moduleOf(at('template-only.ko'), [patched.object], {
      symvers: TARGET.symvers,
      template: templateOf(folder),
    });
    expect(module.relas('.gnu.linkonce.this_module')).toEqual([
      '148 R_X86_64_64 init_module + 0',
      '388 R_X86_64_64 cleanup_module + 0',
    ]);
    expect([
      module.symbols.get('klp_patch')!.size,
      module.symbols.get('klp_objects')!.size,
      module.symbols.get('klp_funcs.vmlinux')!.size,
    ]).toEqual([200, 2 * 168, 2 * 152]);
    expect(module.sections.get('.data')!.size - module.symbols.get('klp_patch')!.value).toBe(512);
  });

  test('BTF and a template of another kernel do not go together', () => {
    for (const [draft, says] of [
      [{ size: 1088 }, /sizeof/],
      [{ init: 336 }, /offset of init/],
      [{ exit: 896 }, /offset of exit/],
    ] as const) {
      const { chunks, diagnostics } = writeModule(
        [new PatchedObject().object],
        { ...TARGET, template: templateOf(folder, draft) },
        OPTIONS,
      );
      expect(chunks).toBeNull();
      expect(diagnostics).toMatchObject([{ code: 'kernel-mismatch', message: expect.stringMatching(says) }]);
    }
    expect(
      writeModule([new PatchedObject().object], { ...TARGET, template: templateOf(folder, { exit: null }) }, OPTIONS)
        .chunks,
    ).not.toBeNull();
  });
});

// What the tests above take for granted of the made-up kernel: nothing can be right by habit.
test('no struct of the made-up kernel is laid out as a real one', () => {
  expect(STRUCTS.klp_func.size).not.toBe(152);
  expect(STRUCTS.klp_patch.offsets.mod).not.toBe(0);
});
