import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  EM_AARCH64,
  EM_LOONGARCH,
  EM_PPC64,
  EM_S390,
  EM_X86_64,
  R_X86_64_64,
  R_X86_64_PC32,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_LINK_ORDER,
  SHF_WRITE,
  SHN_ABS,
  SHN_COMMON,
  SHT_NOBITS,
  STB_GLOBAL,
  STB_WEAK,
  STT_FILE,
  STT_FUNC,
  STT_OBJECT,
} from '../../src/elf/constants';
import { ElfWriter } from '../../src/elf/writer';
import { readelf, readelfComplaints } from '../support/readelf';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const TEXT = SHF_ALLOC | SHF_EXECINSTR;

describe('ElfWriter', () => {
  it.each([
    ['x86-64', EM_X86_64, true, 0],
    ['ppc64le', EM_PPC64, true, 2],
    ['s390x', EM_S390, false, 0],
    ['aarch64', EM_AARCH64, true, 0],
    ['loongarch64', EM_LOONGARCH, true, 0],
  ])('writes a %s object that readelf takes without a word', async (name, machine, little, flags) => {
    const writer = new ElfWriter({ machine, little, flags });
    const text = writer.section({ name: '.text', flags: TEXT, align: 16, content: new Uint8Array(24) });
    const bss = writer.section({
      name: '.bss',
      type: SHT_NOBITS,
      flags: SHF_ALLOC | SHF_WRITE,
      align: 4096,
      size: 10_000,
    });
    const foo = writer.symbol({ name: 'foo', type: STT_FUNC, binding: STB_GLOBAL, section: text, size: 24 });
    writer.symbol({ name: 'unit.c', type: STT_FILE, reserved: SHN_ABS });
    writer.symbol({ name: 'page', type: STT_OBJECT, section: bss, value: 4096, size: 4096 });
    writer.relas(text, [
      { offset: 4, type: 1, symbol: foo, addend: -4 },
      { offset: 8, type: 1, symbol: writer.sectionSymbol(bss), addend: 8 },
    ]);
    const path = join(folder, `${name}.o`);
    const size = await writer.write(path);
    expect(readFileSync(path).length).toBe(size);
    expect(readelfComplaints(path)).toBe('');
  });

  it('puts locals before globals and keeps relocations on the symbols they were given', async () => {
    const writer = new ElfWriter({ machine: EM_X86_64 });
    const text = writer.section({ name: '.text', flags: TEXT, content: new Uint8Array(32) });
    const symbols = ['g0', 'l0', 'g1', 'l1'].map((name, index) =>
      writer.symbol({
        name,
        section: text,
        value: index * 8,
        size: 8,
        type: STT_FUNC,
        binding: name.startsWith('g') ? STB_GLOBAL : 0,
      }),
    );
    writer.relas(
      text,
      symbols.map((symbol, index) => ({ offset: index * 8, type: R_X86_64_PC32, symbol, addend: 0 })),
    );
    const path = join(folder, 'order.o');
    await writer.write(path);
    expect(
      readelf(path, '-sW')
        .slice(-4)
        .map((line) => line.split(/\s+/).at(-1)),
    ).toEqual(['l0', 'l1', 'g0', 'g1']);
    expect(
      readelf(path, '-rW')
        .slice(-4)
        .map((line) => line.split(/\s+/)[4]),
    ).toEqual(['g0', 'l0', 'g1', 'l1']);
    expect(Array.from(writer.symbolIndices())).toEqual([0, 3, 1, 4, 2]);
    expect(readelfComplaints(path)).toBe('');
  });

  it.each([
    ['little', true],
    ['big', false],
  ])('keeps 64-bit addends, values and sizes (%s-endian)', async (order, little) => {
    const writer = new ElfWriter({ machine: little ? EM_X86_64 : EM_S390, little });
    const data = writer.section({ name: '.data', flags: SHF_ALLOC | SHF_WRITE, align: 8, content: new Uint8Array(64) });
    const base = writer.symbol({ name: 'base', reserved: SHN_ABS, value: 0xffffffff81000000n, binding: STB_GLOBAL });
    const addends = [0x80000000, -0x80000000, -1, 2n ** 63n - 1n, -(2n ** 63n)];
    const type = little ? R_X86_64_64 : 22;
    writer.relas(
      data,
      addends.map((addend, index) => ({ offset: index * 8, type, symbol: base, addend })),
    );
    const path = join(folder, `addends-${order}.o`);
    await writer.write(path);
    const printed = readelf(path, '-rW')
      .slice(-5)
      .map((line) => line.split(/base /)[1]);
    expect(printed).toEqual(['+ 80000000', '- 80000000', '- 1', '+ 7fffffffffffffff', '- 8000000000000000']);
    expect(readelf(path, '-sW').find((line) => line.endsWith('base'))).toContain('ffffffff81000000');
  });

  it.each([
    ['little', true],
    ['big', false],
  ])(
    'moves counts that do not fit into section header 0, for 70,000 sections of one name (%s-endian)',
    { timeout: 60_000 },
    async (order, little) => {
      const writer = new ElfWriter({ machine: little ? EM_X86_64 : EM_S390, little });
      const names: string[] = [];
      for (let i = 0; i < 70_000; i++) {
        const section = writer.section({ name: '.text.same', flags: TEXT, content: Uint8Array.of(i, i >> 8) });
        const symbol = writer.symbol({ name: `f${i}`, type: STT_FUNC, section, size: 2, binding: i % 2 });
        names.push(` ${section} f${i}`);
        if (i % 5000 === 4999) writer.relas(section, [{ offset: 0, type: 1, symbol, addend: 0 }]);
      }
      writer.symbol({ name: 'common', reserved: SHN_COMMON, value: 8, size: 8, type: STT_OBJECT, binding: STB_GLOBAL });
      const path = join(folder, `many-${order}.o`);
      await writer.write(path);
      expect(readelfComplaints(path)).toBe('');
      expect(readelf(path, '-hW').slice(-2)).toEqual([
        'Number of section headers:         0 (70019)',
        'Section header string table index: 65535 (70016)',
      ]);
      const symbols = new Set(readelf(path, '-sW').map((line) => line.replace(/^.* (\S+ \S+)$/, ' $1')));
      expect(names.filter((name) => !symbols.has(name))).toEqual([]);
      expect(symbols.has(' COM common')).toBe(true);
    },
  );

  it.each([0xfeff, 0xff00, 0xff01, 0xff02])('holds the format at the border: %i sections', async (total) => {
    const writer = new ElfWriter({ machine: EM_X86_64 });
    for (let i = 1; i < total - 3; i++) writer.section({ name: '.data', content: new Uint8Array(1) });
    const path = join(folder, `border-${total}.o`);
    await writer.write(path);
    expect(readelfComplaints(path, '-hSsgW')).toBe('');
    expect(readelf(path, '-hW').find((line) => line.startsWith('Number of section headers'))).toContain(String(total));
  });

  it('writes section groups and link-order sections', async () => {
    const writer = new ElfWriter({ machine: EM_X86_64 });
    const signature = writer.symbol({ name: 'inline_fn', type: STT_FUNC, binding: STB_WEAK, section: 2, size: 4 }); // section 2 follows the group
    const group = writer.group(signature);
    const text = writer.section({ name: '.text.inline_fn', flags: TEXT, content: new Uint8Array(4), group });
    const sites = writer.section({
      name: '__patchable_function_entries',
      flags: SHF_ALLOC | SHF_WRITE | SHF_LINK_ORDER,
      align: 8,
      link: text,
      content: new Uint8Array(8),
      group,
    });
    writer.relas(sites, [{ offset: 0, type: R_X86_64_64, symbol: signature, addend: 0 }], { group });
    const path = join(folder, 'group.o');
    await writer.write(path);
    expect(readelfComplaints(path)).toBe('');
    const groups = readelf(path, '-gW').join('\n');
    expect(groups).toMatch(/COMDAT group section \[\s*1\] `.group' \[inline_fn\] contains 3 sections/);
  });

  it('produces content while it writes, and refuses a producer that breaks its word', async () => {
    const content = (promised: number) => ({
      size: promised,
      *chunks() {
        for (let i = 0; i < 300; i++) yield new Uint8Array(10_000).fill(i);
      },
    });
    const right = new ElfWriter({ machine: EM_X86_64 });
    right.section({ name: '.debug_info', content: content(3_000_000) });
    const path = join(folder, 'producer.o');
    await right.write(path);
    const bytes = readFileSync(path);
    expect(bytes[64 + 10_000 * 255 + 5]).toBe(255);
    let largest = 0;
    for (const chunk of right.chunks()) largest = Math.max(largest, chunk.length);
    expect(largest).toBe(1 << 20);

    const wrong = new ElfWriter({ machine: EM_X86_64 });
    wrong.section({ name: '.debug_info', content: content(2_999_999) });
    await expect(wrong.write(path)).rejects.toThrow(RangeError);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('reports what the file system refuses and leaves nothing behind', async () => {
    const writer = new ElfWriter({ machine: EM_X86_64 });
    await expect(writer.write(join(folder, 'missing', 'x.o'))).rejects.toMatchObject({ code: 'write-failed' });
    writeFileSync(join(folder, 'plain'), '');
    await expect(writer.write(join(folder, 'plain', 'x.o'))).rejects.toMatchObject({ code: 'write-failed' });
    expect(existsSync(join(folder, 'missing'))).toBe(false);
  });

  it('refuses a symbol or relocation that points nowhere', () => {
    const writer = new ElfWriter({ machine: EM_X86_64 });
    const text = writer.section({ name: '.text', content: new Uint8Array(8) });
    expect(() => writer.section({ name: 'x', align: 3 })).toThrow(RangeError);
    expect(() => writer.symbol({ name: 'x', section: text, value: 0.5 })).toThrow(RangeError);
    writer.relas(text, [{ offset: 0, type: 1, symbol: 77, addend: 0 }]);
    expect(() => [...writer.chunks()]).toThrow(/symbol 77/);
    writer.symbol({ name: 'x', section: 9 });
    expect(() => [...writer.chunks()]).toThrow(/section 9/);
  });
});
