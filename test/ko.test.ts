/**
 * The finished module. What this guards against mostly shows only in the kernel, and late: a table that is one entry off, a
 * list without its end, a function whose stack cannot be unwound, a pointer that was put where another kernel has it.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { R_X86_64_NONE, R_X86_64_PC32, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE } from '../src/elf';
import { writeModule } from '../src/livepatch/ko';
import { moduleSection } from '../src/livepatch/ko/section-names';
import type { OutputSection, PlatformFacts } from '../src/livepatch/object';
import { Symvers } from '../src/livepatch/symvers';
import { PatchedObject } from './support/patched-object';
import { readelf, readelfComplaints } from './support/readelf';
import { OPTIONS, STRUCTS, SYMVERS, TARGET, bytesOf, moduleOf, templateOf } from './support/target-kernel';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);

describe('the file', () => {
  test('readelf takes it without a word, and sections are merged as the linker script of modules does', () => {
    const patched = new PatchedObject();
    patched.replace('one');
    patched.print('two', 'hello');
    patched.data('counter', 4, '.bss.counter');
    patched.data('table', Uint8Array.of(1, 2, 3), '.data.table');
    patched.section('.discard.annotate_insn', SHF_ALLOC, { use: 'build' }).append(8);
    patched.section('.comment', 0).append(Uint8Array.of(1));
    const module = moduleOf(at('plain.ko'), [patched.object]);
    expect(readelfComplaints(at('plain.ko'))).toBe('');
    expect(Object.fromEntries([...module.sections].map(([name, { type, flags, entsize }]) => [name, `${type} ${flags} ${entsize}`.trim()]))).toEqual({
      '.text': 'PROGBITS AX 0', '.rodata': 'PROGBITS A 0', '.bss': 'NOBITS WA 0', '.data': 'PROGBITS WA 0', '.return_sites': 'PROGBITS A 4', '.orc_unwind_ip': 'PROGBITS A 4',
      '.orc_unwind': 'PROGBITS A 6', '.gnu.linkonce.this_module': 'PROGBITS WA 0', '.modinfo': 'PROGBITS A 0', '__versions': 'PROGBITS A 0',
      '.rela.text': 'RELA I 24', '.rela.data': 'RELA I 24', '.rela.return_sites': 'RELA I 24', '.rela.orc_unwind_ip': 'RELA I 24', '.rela.gnu.linkonce.this_module': 'RELA I 24',
      '.symtab': 'SYMTAB  24', '.strtab': 'STRTAB  0', '.shstrtab': 'STRTAB  0',
    });
  });

  test.each([
    ['.text.foo', '.text'], ['.text.unlikely.foo', '.text'], ['.text..refcount', '.text..refcount'], ['.noinstr.text', '.noinstr.text'], ['.init.text', '.init.text'],
    ['.data.x', '.data'], ['.data..Lubsan_1', '.data'], ['.data..once', '.data..once'], ['.data..read_mostly', '.data..read_mostly'], ['.data..ro_after_init', '.data..ro_after_init'],
    ['.rodata.str1.8', '.rodata'], ['.rodata..Lswitch.table', '.rodata'], ['.rodata.cst16', '.rodata'], ['.bss.x', '.bss'], ['.bss..page_aligned', '.bss..page_aligned'],
    ['.data..percpu', '.data..percpu'], ['.data..percpu..read_mostly', '.data..percpu'], ['.data..percpu..shared_aligned', '.data..percpu'],
    ['.kcfi_traps', '__kcfi_traps'], ['__bug_table', '__bug_table'], ['.discard.addressable', null], ['.export_symbol', null], ['.modinfo', null], ['__versions', null],
  ])('%s goes to %s', (name, into) => {
    expect(moduleSection(name)).toBe(into);
  });

  test('the same objects give the same bytes, and giving them out twice too', () => {
    const make = (): PatchedObject => {
      const patched = new PatchedObject();
      patched.replace('one');
      patched.load('two', 'vmlinux', 'jiffies_lock', 2);
      return patched;
    };
    const result = writeModule([make().object], TARGET, OPTIONS);
    const bytes = bytesOf(result);
    expect(bytesOf(result).equals(bytes)).toBe(true);
    expect(bytesOf(writeModule([make().object], TARGET, OPTIONS)).equals(bytes)).toBe(true);
  });

  test('functions of all objects stay aligned behind their padding, and gaps are NOPs', () => {
    // Call-depth tracking writes into the 16 bytes before a function, whatever they are.
    const [first, second] = [new PatchedObject(), new PatchedObject('nf_tables')];
    first.replace('one', 0, [0x90]);
    second.replace('two');
    const module = moduleOf(at('aligned.ko'), [first.object, second.object]);
    const text = module.bytes('.text');
    let end = 0;
    for (const name of ['one', 'two', 'init_module', 'cleanup_module']) {
      const { value, size } = module.symbols.get(name)!;
      expect(value % 16, name).toBe(0);
      expect(value - end, name).toBeGreaterThanOrEqual(16);
      expect(text.subarray(end, value).every((byte) => byte === 0x90), name).toBe(true);
      end = value + size;
    }
    expect(module.sections.get('.text')!.align).toBe(16);
  });

  test('the per-CPU section has bytes where objects have zeros only', () => {
    // The loader copies it to each processor; as .bss it would be one variable for all.
    const patched = new PatchedObject();
    patched.data('hits', 8, '.data..percpu..shared_aligned', 64);
    const module = moduleOf(at('percpu.ko'), [patched.object]);
    expect(module.sections.get('.data..percpu')).toMatchObject({ type: 'PROGBITS', size: 8, align: 64, flags: 'WA' });
  });

  test('hidden or not, symbols are of default visibility, and locals, labels and numbers stay', () => {
    const patched = new PatchedObject();
    const { section, value } = patched.replace('one');
    patched.object.define({ name: 'local_label', info: 0, section, value: value + 2, size: 0 });
    patched.object.define({ name: 'sp_reg', info: 0, section: 'absolute', value: -2, size: 0 });
    const module = moduleOf(at('symbols.ko'), [patched.object]);
    expect(module.symbols.get('local_label')).toMatchObject({ bind: 'LOCAL', type: 'NOTYPE', value: value + 2 });
    expect(module.symbols.get('sp_reg')!.index).toBe('ABS');
    expect(new Set([...module.symbols.values()].map(({ visibility }) => visibility))).toEqual(new Set(['DEFAULT']));
  });
});

describe('tables', () => {
  test('the n-th address has the n-th stack layout, through several objects', () => {
    // One padding byte between two objects' parts and every function after it is unwound by another's layout.
    const objects = ['vmlinux', 'a', 'b'].map((name, i) => {
      const patched = new PatchedObject(name);
      const func = patched.replace(`${name}_func`);
      patched.orc(func, 4, Uint8Array.of(i, i, i, i, i, i));
      patched.section('.orc_unwind', SHF_ALLOC, { entsize: 6, use: 'module' }).align = 8;
      return patched.object;
    });
    const module = moduleOf(at('orc.ko'), objects);
    const words = module.bytes('.orc_unwind').toString('hex').match(/.{12}/g)!;
    const addresses = module.relas('.orc_unwind_ip');
    expect(addresses.map((line) => line.split(' ')[0])).toEqual(words.map((_, i) => (i * 4).toString(16)));
    const start = '080000000502';
    const end = '000000000000';
    expect(words).toEqual([start, end, '000000000000', start, end, '010101010101', start, end, '020202020202', start, end, start, end]);
    expect(addresses[5]).toBe('14 R_X86_64_PC32 a_func + 4');
  });

  test('tables of fixed-size entries have no gaps between objects, and the alignment that the kernel wants', () => {
    const objects = ['vmlinux', 'a'].map((name) => {
      const patched = new PatchedObject(name);
      patched.replace(`${name}_func`);
      for (const [table, size] of [['.altinstructions', 14], ['__bug_table', 12], ['__ex_table', 12]] as const) {
        const section = patched.section(table, SHF_ALLOC | (table === '__bug_table' ? SHF_WRITE : 0));
        section.append(new Uint8Array(size).fill(0x11), 4);
      }
      return patched.object;
    });
    const module = moduleOf(at('tables.ko'), objects);
    expect(module.sections.get('.altinstructions')).toMatchObject({ size: 28, align: 8 });
    expect(module.sections.get('__bug_table')).toMatchObject({ size: 24, align: 8 });
    expect(module.sections.get('__ex_table')).toMatchObject({ size: 24, align: 4 });
  });

  test('.kcfi_traps is renamed as the loader looks for it', () => {
    const patched = new PatchedObject();
    patched.entry('.kcfi_traps', patched.replace('one'), 2);
    const module = moduleOf(at('traps.ko'), [patched.object]);
    expect(module.sections.has('.kcfi_traps')).toBe(false);
    expect(module.relas('__kcfi_traps')).toEqual(['0 R_X86_64_PC32 one + 2']);
  });
});

describe('relocations', () => {
  test('klp relocations stand in a section of each object and section, their symbols are SHN_LIVEPATCH and shared', () => {
    const [kernel, ext4] = [new PatchedObject(), new PatchedObject('ext4')];
    kernel.load('one', 'vmlinux', 'secret', 2);
    kernel.load('two', 'vmlinux', 'secret', 2);
    ext4.load('three', 'vmlinux', 'secret', 2);
    ext4.load('four', 'ext4', 'ext4_private');
    // Exported by a module that ext4 depends on: it is there when ext4 is.
    ext4.load('five', 'jbd2', 'jbd2_private', 1);
    const module = moduleOf(at('klp.ko'), [kernel.object, ext4.object]);
    expect(module.sections.get('.klp.rela.vmlinux..text')).toMatchObject({ type: 'RELA', flags: 'AIo', align: 8, entsize: 24 });
    expect(module.relas('.klp.rela.vmlinux..text').map((line) => line.split(' ').slice(1).join(' '))).toEqual(Array(3).fill('R_X86_64_PC32 .klp.sym.vmlinux.secret,2 - 4'));
    expect(module.relas('.klp.rela.ext4..text').map((line) => line.split(' ').slice(1).join(' '))).toEqual(['R_X86_64_PC32 .klp.sym.ext4.ext4_private,0 - 4', 'R_X86_64_PC32 .klp.sym.jbd2.jbd2_private,1 - 4']);
    const klp = [...module.symbols].filter(([name]) => name.startsWith('.klp.sym.'));
    expect(klp.map(([, { index, size, value }]) => [index, size, value])).toEqual(Array(3).fill(['OS [0xff20]', 0, 0]));
    expect(readelf(at('klp.ko'), '-sW').filter((line) => line.includes('secret,2'))).toHaveLength(1);
  });

  test('fields are zero in the file, and relocations that do nothing are gone with what only they named', () => {
    // The loader refuses a field that is not zero; __fentry__ of an NOP-ed ftrace site would need a version.
    const patched = new PatchedObject();
    const func = patched.load('one', 'vmlinux', 'secret');
    const text = func.section as OutputSection;
    text.relas.push({ offset: func.value, type: R_X86_64_NONE, symbol: patched.object.reference('__fentry__', 1 << 4), addend: -4 });
    text.bytes.fill(0xee, func.value + 6, func.value + 10);
    text.bytes.fill(0xdd, func.value + 11, func.value + 15);
    const module = moduleOf(at('fields.ko'), [patched.object]);
    expect(module.bytes('.text').subarray(func.value, func.value + 15).toString('hex')).toBe('f30f1efa8b0500000000e900000000');
    expect(module.symbols.has('__fentry__')).toBe(false);
    expect(module.relas('.text').some((line) => line.includes('NONE'))).toBe(false);
  });

  test('strings and other nameless data move with their section', () => {
    const [first, second] = [new PatchedObject(), new PatchedObject('a')];
    first.print('one', 'of vmlinux');
    second.print('two', 'of a');
    const module = moduleOf(at('strings.ko'), [first.object, second.object]);
    const printed = module.relas('.text').filter((line) => line.includes('.rodata'));
    expect(printed.map((line) => module.text(line))).toEqual(['of vmlinux', 'of a']);
  });
});

describe('several objects', () => {
  test('what one leaves undefined and another defines is bound, unless symvers says it is another module\'s', () => {
    const [kernel, ext4] = [new PatchedObject(), new PatchedObject('ext4')];
    kernel.func('new_helper');
    kernel.replace('patched_export');
    // A global of ext4 with the name of a vmlinux export: nobody else means it.
    ext4.func('_printk');
    ext4.call('one', 'new_helper');
    ext4.call('two', 'patched_export');
    kernel.call('three', '_printk');
    const module = moduleOf(at('bound.ko'), [kernel.object, ext4.object]);
    expect(readelf(at('bound.ko'), '-sW').filter((line) => / UND /.test(line)).map((line) => line.split(' ').at(-1)).filter((name) => name !== 'UND').sort()).toEqual(['__x86_return_thunk', '_printk', 'klp_enable_patch']);
    expect(module.relas('.text').filter((line) => /new_helper|patched_export/.test(line))).toHaveLength(2);
    expect([...module.versions().keys()]).not.toContain('patched_export');
  });

  test('globals of one name in two objects become local, each with its own users', () => {
    const [kernel, ext4] = [new PatchedObject(), new PatchedObject('ext4')];
    const own = [kernel, ext4].map((patched) => patched.func('helper', patched === kernel ? [0x90] : []));
    for (const [i, patched] of [kernel, ext4].entries()) patched.entry('.static_call_sites', own[i]!, 0);
    const module = moduleOf(at('twice.ko'), [kernel.object, ext4.object]);
    const lines = readelf(at('twice.ko'), '-sW').filter((line) => line.endsWith(' helper'));
    expect(lines.map((line) => line.split(/\s+/)[4])).toEqual(['LOCAL', 'LOCAL']);
    expect(new Set(lines.map((line) => line.split(/\s+/)[1])).size).toBe(2);
    const values = readelf(at('twice.ko'), '-rW').filter((line) => line.endsWith('helper + 0')).map((line) => line.split(/\s+/)[3]);
    expect(new Set(values).size).toBe(2);
    expect(module.relas('.static_call_sites')).toHaveLength(2);
  });

  test('a third object that means one of them is refused', () => {
    const [a, b, c] = [new PatchedObject('a'), new PatchedObject('b'), new PatchedObject('c')];
    a.func('helper');
    b.func('helper');
    c.call('user', 'helper');
    const { chunks, diagnostics } = writeModule([a.object, b.object, c.object], TARGET, OPTIONS);
    expect(chunks).toBeNull();
    expect(diagnostics).toMatchObject([{ code: 'duplicate-definition', where: { object: 'c', symbol: 'helper' } }]);
    expect(diagnostics[0]!.message).toContain('a and b');
  });
});

/** Bytes of a function with the padding before it. */
function entry(facts: Partial<PlatformFacts>, name: string): { code: string; tables: string[]; prefix: string | undefined; orc: string } {
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
    tables: ['.return_sites', '.cfi_sites', '.ibt_endbr_seal', '__mcount_loc', '.call_sites'].flatMap((table) => module.relas(table).map((line) => `${table} ${line}`)),
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
    expect(module.relas('.text')).toEqual(['17 R_X86_64_32S klp_patch + 0', '1c R_X86_64_PLT32 klp_enable_patch - 4', '35 R_X86_64_PLT32 __x86_return_thunk - 4']);
    // Stack layouts from the start of the padding to the end of the code.
    expect(module.relas('.orc_unwind_ip').map((line) => line.split('+ ')[1])).toEqual(['0', '20', '20', '39']);
    expect(module.relas('.gnu.linkonce.this_module')).toEqual(['148 R_X86_64_64 init_module + 0', '388 R_X86_64_64 cleanup_module + 0']);
  });

  test('without padding, IBT, thunks and ORC there is nothing of them', () => {
    const plain: Partial<PlatformFacts> = { prefixBytes: 0, ibt: false, returns: 'ret', orcAtStart: null, functionAlign: 16 };
    expect(entry(plain, 'init_module')).toEqual({ code: ENABLE, tables: [], prefix: undefined, orc: '' });
    expect(entry(plain, 'cleanup_module').code).toBe('c3');
    expect(entry({ ...plain, returns: 'ret-int3' }, 'cleanup_module').code).toBe('c3cc');
  });

  test('the words of another release are copied, never known', () => {
    expect(entry({ orcAtStart: '080000000302' }, 'init_module').orc).toBe('080000000302000000000000'.repeat(2));
  });

  test('with kCFI each has its type\'s hash where callers look, and a .cfi_sites entry', () => {
    const kcfi = { init: 0x12345678, exit: 0x9abcdef0 };
    const init = entry({ kcfi }, 'init_module');
    expect(init.code).toBe(`b878563412${'90'.repeat(11)}f30f1efa${ENABLE}`);
    expect(init.prefix).toBe('__cfi_init_module');
    expect(init.tables.filter((line) => line.startsWith('.cfi_sites'))).toEqual(['.cfi_sites 0 R_X86_64_PC32 .text + 0', '.cfi_sites 4 R_X86_64_PC32 .text + 20']);
    expect(entry({ kcfi }, 'cleanup_module').code).toBe(`b8f0debc9a${'90'.repeat(11)}f30f1efae900000000`);
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
  test('klp_patch, klp_object and klp_func stand where the kernel\'s types say, each list with its end', () => {
    const [kernel, ext4] = [new PatchedObject(), new PatchedObject('ext4')];
    kernel.replace('one');
    kernel.replace('two', 3);
    kernel.object.callbacks.post_unpatch = kernel.func('after');
    ext4.replace('three');
    const module = moduleOf(at('descriptors.ko'), [kernel.object, ext4.object], TARGET, { states: [{ id: 0x1234, version: 7 }], replace: false });
    const placeOf = (name: string): number => module.symbols.get(name)!.value;
    const data = module.bytes('.data');
    const pointers = new Map(module.relas('.data').map((line) => [parseInt(line, 16), line.split(' ').slice(2).join(' ')]));
    const used = new Set<number>();
    const pointer = (offset: number): string | undefined => {
      used.add(offset);
      return pointers.get(offset);
    };
    const text = (offset: number): string => module.text(`0 R ${pointer(offset)}`);

    const patch = placeOf('klp_patch');
    expect(module.symbols.get('klp_patch')!.size).toBe(256);
    expect([pointer(patch + 16), pointer(patch + 32), pointer(patch + 48), data[patch + 65]]).toEqual(['__this_module + 0', 'klp_objects + 0', 'klp_states + 0', 0]);

    const objects = placeOf('klp_objects');
    expect(module.symbols.get('klp_objects')!.size).toBe(3 * 192);
    expect([pointer(objects + 8), pointer(objects + 24), pointer(objects + 40 + 32)]).toEqual([undefined, 'klp_funcs.vmlinux + 0', 'after + 0']);
    expect([text(objects + 192 + 8), pointer(objects + 192 + 24)]).toEqual(['ext4', 'klp_funcs.ext4 + 0']);

    const funcs = placeOf('klp_funcs.vmlinux');
    expect(module.symbols.get('klp_funcs.vmlinux')!.size).toBe(3 * 176);
    expect([text(funcs + 16), pointer(funcs + 32), data.readBigUInt64LE(funcs + 48)]).toEqual(['one', 'one + 0', 0n]);
    expect([text(funcs + 176 + 16), pointer(funcs + 176 + 32), data.readBigUInt64LE(funcs + 176 + 48)]).toEqual(['two', 'two + 0', 3n]);
    const others = placeOf('klp_funcs.ext4');
    expect([text(others + 16), pointer(others + 32)]).toEqual(['three', 'three + 0']);

    const states = placeOf('klp_states');
    expect([data.readBigUInt64LE(states + 8), data.readUInt32LE(states + 20), data.readBigUInt64LE(states + 32 + 8)]).toEqual([0x1234n, 7, 0n]);
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
    expect(module.sections.get('.gnu.linkonce.this_module')).toMatchObject({ size: 1024, align: 64, flags: 'WA', type: 'PROGBITS' });
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
    const module = moduleOf(at('modinfo.ko'), [kernel.object, ext4.object], TARGET, { description: 'a fix\nsecond line' });
    expect(module.modinfo()).toEqual([
      'license=GPL', 'livepatch=Y', 'description=a fix?second line', 'import_ns=CRYPTO_INTERNAL', 'import_ns=EXT4_TEST', 'klpflow=9.8.7 vmlinux:vmlinux-orig:vmlinux-patched ext4:ext4-orig:ext4-patched',
      'depends=mii', 'retpoline=Y', 'name=livepatch_test', 'vermagic=6.12.0 SMP preempt mod_unload modversions ',
    ]);
    expect(Object.fromEntries(module.versions())).toEqual({
      module_layout: 0x11111111, klp_enable_patch: 0x22222222, __x86_return_thunk: 0x33333333, crypto_secret: 0x55555555, mii_link_ok: 0x77777777,
    });
    expect(module.sections.get('__versions')).toMatchObject({ flags: 'A', align: 32 });
  });

  test('a kernel without modversions gets no versions, one without retpolines no claim', () => {
    const module = moduleOf(at('plain-info.ko'), [new PatchedObject('vmlinux', { vermagic: '6.12.0 SMP preempt mod_unload ', retpoline: false }).object]);
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

  test('the template\'s vermagic wins over ORIG\'s', () => {
    // A rebuilt ORIG has the release of the rebuild.
    const template = templateOf(folder, { vermagic: '6.12.0+deb12-amd64 SMP preempt mod_unload modversions ' });
    const module = moduleOf(at('vermagic.ko'), [new PatchedObject().object], { ...TARGET, template });
    expect(module.modinfo()).toContain('vermagic=6.12.0+deb12-amd64 SMP preempt mod_unload modversions ');
  });

  test('long names go into extended versions where the kernel\'s modules have them', () => {
    const patched = new PatchedObject();
    const long = 'a_function_whose_name_has_exactly_fifty_six_characters_x';
    patched.call('one', long);
    const module = moduleOf(at('extended.ko'), [patched.object], { ...TARGET, template: templateOf(folder, { extended: true }) });
    const names = module.bytes('__version_ext_names').toString('latin1').split('\0').slice(0, -1);
    const crcs = module.bytes('__version_ext_crcs');
    expect(names.map((name, i) => [name, crcs.readUInt32LE(i * 4)])).toContainEqual([long, 0x88888888]);
    expect(crcs.length).toBe(names.length * 4);
    // The short form stands beside it, without the long name.
    expect([...module.versions().keys()].sort()).toEqual(names.filter((name) => name !== long).sort());
  });
});

describe('layouts', () => {
  test('a template alone tells struct module; klp structs are the common ones, with room behind klp_patch', () => {
    const patched = new PatchedObject();
    patched.replace('one');
    const module = moduleOf(at('template-only.ko'), [patched.object], { symvers: TARGET.symvers, template: templateOf(folder) });
    expect(module.relas('.gnu.linkonce.this_module')).toEqual(['148 R_X86_64_64 init_module + 0', '388 R_X86_64_64 cleanup_module + 0']);
    expect([module.symbols.get('klp_patch')!.size, module.symbols.get('klp_objects')!.size, module.symbols.get('klp_funcs.vmlinux')!.size]).toEqual([200, 2 * 168, 2 * 152]);
    expect(module.sections.get('.data')!.size - module.symbols.get('klp_patch')!.value).toBe(512);
  });

  test('BTF and a template of another kernel do not go together', () => {
    for (const [draft, says] of [[{ size: 1088 }, /sizeof/], [{ init: 336 }, /offset of init/], [{ exit: 896 }, /offset of exit/]] as const) {
      const { chunks, diagnostics } = writeModule([new PatchedObject().object], { ...TARGET, template: templateOf(folder, draft) }, OPTIONS);
      expect(chunks).toBeNull();
      expect(diagnostics).toMatchObject([{ code: 'kernel-mismatch', message: expect.stringMatching(says) }]);
    }
    expect(writeModule([new PatchedObject().object], { ...TARGET, template: templateOf(folder, { exit: null }) }, OPTIONS).chunks).not.toBeNull();
  });
});

describe('refusals', () => {
  const refused: Array<[what: string, make: () => Parameters<typeof writeModule>, codes: string[]]> = [
    ['neither BTF nor template', () => [[new PatchedObject().object], { symvers: TARGET.symvers }, OPTIONS], ['no-btf']],
    ['a template alone for a kernel with larger kobjects', () => [[new PatchedObject('vmlinux', { kobjectRelease: true }).object], { symvers: TARGET.symvers, template: templateOf(folder) }, OPTIONS], ['no-btf']],
    ['a template without an exit function, alone', () => [[new PatchedObject().object], { symvers: TARGET.symvers, template: templateOf(folder, { exit: null }) }, OPTIONS], ['not-a-module']],
    ['no vermagic', () => [[new PatchedObject('ext4', { vermagic: null }).object], TARGET, OPTIONS], ['no-vermagic']],
    ['a template with other flags', () => [[new PatchedObject().object], { ...TARGET, template: templateOf(folder, { vermagic: '6.12.0 SMP mod_unload modversions ' }) }, OPTIONS], ['kernel-mismatch']],
    ['a template of another release where symbols have no versions', () => {
      const patched = new PatchedObject('vmlinux', { vermagic: '6.12.0 SMP preempt mod_unload ' });
      return [[patched.object], { ...TARGET, template: templateOf(folder, { vermagic: '6.12.1 SMP preempt mod_unload ', versions: null }) }, OPTIONS];
    }, ['kernel-mismatch']],
    ['a template with other versions', () => [[new PatchedObject().object], { ...TARGET, template: templateOf(folder, { versions: { module_layout: 0x11111112 } }) }, OPTIONS], ['kernel-mismatch']],
    ['objects of two kernels', () => [[new PatchedObject().object, new PatchedObject('ext4', { vermagic: '6.12.0 SMP mod_unload modversions ', orcAtStart: '080000000302' }).object], TARGET, OPTIONS], ['kernel-mismatch', 'kernel-mismatch']],
    ['a symbol that nobody exports', () => {
      const patched = new PatchedObject();
      patched.call('one', 'do_exit_secretly');
      return [[patched.object], TARGET, OPTIONS];
    }, ['not-exported']],
    ['a symbol that is exported to other modules', () => {
      const patched = new PatchedObject();
      patched.call('one', 'kvm_private');
      return [[patched.object], TARGET, OPTIONS];
    }, ['not-exported']],
    ['a name too long for a version', () => {
      const patched = new PatchedObject();
      patched.call('one', 'a_function_whose_name_has_exactly_fifty_six_characters_x');
      return [[patched.object], TARGET, OPTIONS];
    }, ['no-symbol-version']],
    ['no version of module_layout', () => [[new PatchedObject().object], { ...TARGET, symvers: Symvers.parse(SYMVERS.replace('module_layout', 'module_leyout'), 'Module.symvers') }, OPTIONS], ['no-symbol-version']],
    ['a reference to what the linker drops', () => {
      const patched = new PatchedObject();
      const func = patched.func('one', [0x8b, 0x05, 0, 0, 0, 0]);
      const dropped = patched.data('noted', Uint8Array.of(1), '.discard.note');
      (func.section as OutputSection).relas.push({ offset: func.value + 6, type: R_X86_64_PC32, symbol: dropped, addend: -4 });
      return [[patched.object], TARGET, OPTIONS];
    }, ['dropped-reference']],
    ['a relocation that the loader does not know', () => relocated(9, 6), ['unsupported-relocation']],
    ['an unsigned 32-bit address', () => relocated(10, 6), ['unsupported-relocation']],
    ['a relocation past the end', () => relocated(R_X86_64_PC32, 4000), ['malformed-elf']],
    ['two relocations in one field', () => relocated(R_X86_64_PC32, 12), ['malformed-elf']],
    ['stack layouts that do not pair', () => {
      const patched = new PatchedObject();
      patched.section('.orc_unwind', SHF_ALLOC, { entsize: 6, use: 'module' }).append(new Uint8Array(6));
      return [[patched.object], TARGET, OPTIONS];
    }, ['malformed-elf']],
    ['code that can be written to', () => {
      const patched = new PatchedObject();
      patched.section('.text.rwx', SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR).append(new Uint8Array(4));
      return [[patched.object], TARGET, OPTIONS];
    }, ['malformed-elf']],
    ['an absurd alignment', () => {
      const patched = new PatchedObject();
      patched.section('.data.wide', SHF_ALLOC | SHF_WRITE).align = 2 ** 40;
      return [[patched.object], TARGET, OPTIONS];
    }, ['malformed-elf']],
    ['a replacement that is no function', () => {
      const patched = new PatchedObject();
      patched.object.funcs.push({ oldName: 'one', sympos: 0, evidence: '', replacement: patched.data('one', Uint8Array.of(1)) });
      return [[patched.object], TARGET, OPTIONS];
    }, ['malformed-elf']],
    ['its own init_module', () => {
      const patched = new PatchedObject();
      patched.func('init_module');
      return [[patched.object], TARGET, OPTIONS];
    }, ['duplicate-definition']],
    ['a symbol name with a comma', () => {
      const patched = new PatchedObject();
      patched.load('one', 'vmlinux', 'a,b');
      return [[patched.object], TARGET, OPTIONS];
    }, ['name-limit']],
    ['a module name of 56 characters', () => [[new PatchedObject('m'.repeat(56)).object], TARGET, OPTIONS], ['name-limit']],
    ['a symbol name of 512 characters', () => {
      const patched = new PatchedObject();
      patched.load('one', 'vmlinux', 's'.repeat(512));
      return [[patched.object], TARGET, OPTIONS];
    }, ['name-limit']],
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
    expect(diagnostics.map(({ code }) => code).sort()).toEqual(['no-btf', 'no-kcfi-donor', 'no-vermagic', 'not-exported']);
  });
});

// What the tests above take for granted of the made-up kernel.
test('no struct of the made-up kernel is laid out as a real one', () => {
  expect(STRUCTS.klp_func.size).not.toBe(152);
  expect(STRUCTS.klp_patch.offsets.mod).not.toBe(0);
});
