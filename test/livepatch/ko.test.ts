/**
 * The finished module: what is made of the objects' own code, data and tables. What this guards against mostly shows only in the
 * kernel, and late: a table that is one entry off, a reference to another object's string, a variable that all processors share.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { R_X86_64_NONE, SHF_ALLOC, SHF_WRITE } from '../../src/elf';
import { writeModule } from '../../src/livepatch/ko';
import { moduleSection } from '../../src/livepatch/ko/section-names';
import type { OutputSection } from '../../src/livepatch/object';
import { PatchedObject } from '../support/patched-object';
import { readelf, readelfComplaints } from '../support/readelf';
import { OPTIONS, TARGET, bytesOf, moduleOf } from '../support/target-kernel';
import { tempFolder } from '../support/temp-folder';

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
    expect(
      Object.fromEntries(
        [...module.sections].map(([name, { type, flags, entsize }]) => [name, `${type} ${flags} ${entsize}`.trim()]),
      ),
    ).toEqual({
      '.text': 'PROGBITS AX 0',
      '.rodata': 'PROGBITS A 0',
      '.bss': 'NOBITS WA 0',
      '.data': 'PROGBITS WA 0',
      '.return_sites': 'PROGBITS A 4',
      '.orc_unwind_ip': 'PROGBITS A 4',
      '.orc_unwind': 'PROGBITS A 6',
      '.gnu.linkonce.this_module': 'PROGBITS WA 0',
      '.modinfo': 'PROGBITS A 0',
      __versions: 'PROGBITS A 0',
      '.rela.text': 'RELA I 24',
      '.rela.data': 'RELA I 24',
      '.rela.return_sites': 'RELA I 24',
      '.rela.orc_unwind_ip': 'RELA I 24',
      '.rela.gnu.linkonce.this_module': 'RELA I 24',
      '.symtab': 'SYMTAB  24',
      '.strtab': 'STRTAB  0',
      '.shstrtab': 'STRTAB  0',
    });
  });

  test.each([
    ['.text.foo', '.text'],
    ['.text.unlikely.foo', '.text'],
    ['.text..refcount', '.text..refcount'],
    ['.noinstr.text', '.noinstr.text'],
    ['.init.text', '.init.text'],
    ['.data.x', '.data'],
    ['.data..Lubsan_1', '.data'],
    ['.data..once', '.data..once'],
    ['.data..read_mostly', '.data..read_mostly'],
    ['.data..ro_after_init', '.data..ro_after_init'],
    ['.rodata.str1.8', '.rodata'],
    ['.rodata..Lswitch.table', '.rodata'],
    ['.rodata.cst16', '.rodata'],
    ['.bss.x', '.bss'],
    ['.bss..page_aligned', '.bss..page_aligned'],
    ['.data..percpu', '.data..percpu'],
    ['.data..percpu..read_mostly', '.data..percpu'],
    ['.data..percpu..shared_aligned', '.data..percpu'],
    ['.kcfi_traps', '__kcfi_traps'],
    ['__bug_table', '__bug_table'],
    ['.discard.addressable', null],
    ['.export_symbol', null],
    ['.modinfo', null],
    ['__versions', null],
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
      expect(
        text.subarray(end, value).every((byte) => byte === 0x90),
        name,
      ).toBe(true);
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
    expect(words).toEqual([
      start,
      end,
      '000000000000',
      start,
      end,
      '010101010101',
      start,
      end,
      '020202020202',
      start,
      end,
      start,
      end,
    ]);
    expect(addresses[5]).toBe('14 R_X86_64_PC32 a_func + 4');
  });

  test('tables of fixed-size entries have no gaps between objects, and the alignment that the kernel wants', () => {
    const objects = ['vmlinux', 'a'].map((name) => {
      const patched = new PatchedObject(name);
      patched.replace(`${name}_func`);
      for (const [table, size] of [
        ['.altinstructions', 14],
        ['__bug_table', 12],
        ['__ex_table', 12],
      ] as const) {
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
    expect(module.sections.get('.klp.rela.vmlinux..text')).toMatchObject({
      type: 'RELA',
      flags: 'AIo',
      align: 8,
      entsize: 24,
    });
    expect(module.relas('.klp.rela.vmlinux..text').map((line) => line.split(' ').slice(1).join(' '))).toEqual(
      Array(3).fill('R_X86_64_PC32 .klp.sym.vmlinux.secret,2 - 4'),
    );
    expect(module.relas('.klp.rela.ext4..text').map((line) => line.split(' ').slice(1).join(' '))).toEqual([
      'R_X86_64_PC32 .klp.sym.ext4.ext4_private,0 - 4',
      'R_X86_64_PC32 .klp.sym.jbd2.jbd2_private,1 - 4',
    ]);
    const klp = [...module.symbols].filter(([name]) => name.startsWith('.klp.sym.'));
    expect(klp.map(([, { index, size, value }]) => [index, size, value])).toEqual(Array(3).fill(['OS [0xff20]', 0, 0]));
    expect(readelf(at('klp.ko'), '-sW').filter((line) => line.includes('secret,2'))).toHaveLength(1);
  });

  test('fields are zero in the file, and relocations that do nothing are gone with what only they named', () => {
    // The loader refuses a field that is not zero; __fentry__ of an NOP-ed ftrace site would need a version.
    const patched = new PatchedObject();
    const func = patched.load('one', 'vmlinux', 'secret');
    const text = func.section as OutputSection;
    text.relas.push({
      offset: func.value,
      type: R_X86_64_NONE,
      symbol: patched.object.reference('__fentry__', 1 << 4),
      addend: -4,
    });
    text.bytes.fill(0xee, func.value + 6, func.value + 10);
    text.bytes.fill(0xdd, func.value + 11, func.value + 15);
    const module = moduleOf(at('fields.ko'), [patched.object]);
    expect(
      module
        .bytes('.text')
        .subarray(func.value, func.value + 15)
        .toString('hex'),
    ).toBe('f30f1efa8b0500000000e900000000');
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
  test("what one leaves undefined and another defines is bound, unless symvers says it is another module's", () => {
    const [kernel, ext4] = [new PatchedObject(), new PatchedObject('ext4')];
    kernel.func('new_helper');
    kernel.replace('patched_export');
    // A global of ext4 with the name of a vmlinux export: nobody else means it.
    ext4.func('_printk');
    ext4.call('one', 'new_helper');
    ext4.call('two', 'patched_export');
    kernel.call('three', '_printk');
    const module = moduleOf(at('bound.ko'), [kernel.object, ext4.object]);
    expect(
      readelf(at('bound.ko'), '-sW')
        .filter((line) => / UND /.test(line))
        .map((line) => line.split(' ').at(-1))
        .filter((name) => name !== 'UND')
        .sort(),
    ).toEqual(['__x86_return_thunk', '_printk', 'klp_enable_patch']);
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
    const values = readelf(at('twice.ko'), '-rW')
      .filter((line) => line.endsWith('helper + 0'))
      .map((line) => line.split(/\s+/)[3]);
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
