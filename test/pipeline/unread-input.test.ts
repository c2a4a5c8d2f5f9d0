/** Input that nobody reads is an error or a refusal: passed over in silence it made two builds that call different functions equal. */
import { describe, expect, test } from 'vitest';
import { readTable } from '../../src/stages/scan';
import { BODY, body, lea, movEax, opened } from '../support/diff-objects';
import { hex, object, ref32, u32, type ObjectBuilder } from '../support/elf-builder';
import { extractObjects } from '../support/extract-objects';

const LOCAL = { bind: 'local' } as const;
const EXPORTS = { exports: ['__x86_return_thunk'] };
const SITE = BODY + 5;
const plain = (): ObjectBuilder =>
  object()
    .file('x.c')
    .func('f', body(movEax(1)));

describe('sections', () => {
  test.each([
    ['SHT_CREL', 20],
    ['SHT_CREL', 0x40000014],
    ['SHT_RELR', 19],
  ])('relocations of the form %s (type %i) end the run', (name, type) => {
    expect(() => opened(plain().section('.crel.text.f', { type, flags: 0 }).special('.crel.text.f', u32(1)))).toThrow(
      name,
    );
  });

  test('a loaded section of an unknown type, too; what LLVM leaves for its tools does not', () => {
    expect(() =>
      opened(plain().section('.strange', { type: 0x6ffffff0, flags: 2 }).special('.strange', u32(1))),
    ).toThrow('.strange');
    expect(() =>
      opened(plain().section('.llvm_bb_addr_map', { type: 0x6fff4c0a, flags: 0 }).special('.llvm_bb_addr_map', u32(1))),
    ).not.toThrow();
  });

  test("GCC's slim LTO objects have no code yet; fat ones have", () => {
    const lto = (slim: number): ObjectBuilder =>
      plain()
        .section('.gnu.lto_.lto.b8fb69e4', { flags: 0 })
        .special('.gnu.lto_.lto.b8fb69e4', hex(`0c 00 00 00 0${slim} 00 01 00`));
    expect(() => readTable(opened(lto(1)))).toThrow('LTO');
    expect(() => readTable(opened(lto(0)))).not.toThrow();
    expect(() => readTable(opened(lto(0).symbol('__gnu_lto_slim', { section: '.text.f', size: 1 })))).toThrow('LTO');
  });
});

describe('runtime constants of 7.3', () => {
  const masked = (code: string, at: number, section = 'runtime_mask_mask') => {
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .bss('mask', 4, LOCAL)
        .func('f', body(movEax(value), hex(`${code} 78 56 34 12`)))
        .special(section, ref32('f', SITE + at));
    return extractObjects(build(1), build(2), EXPORTS);
  };

  test.each([
    ['%ecx', '81 e1', 2, '230d'],
    ['%edi', '81 e7', 2, '233d'],
    ['%r8d', '41 81 e0', 3, '442305'],
    ['%r15d', '41 81 e7', 3, '44233d'],
  ])('a mask of %s is read from its variable', (register, code, at, and) => {
    // Copied, `and $0x12345678` leaves an index that lies outside of its table.
    const made = masked(code, at);
    expect(made.told, register).toEqual([]);
    expect(made.hex('f').slice(SITE * 2, (SITE + at + 4) * 2)).toBe(`${and}00000000`);
    expect(made.relas('f')[0]).toBe(`+0x${(SITE + at).toString(16)} klp PC32 vmlinux.mask,0-4`);
  });

  test('%eax has no room, and a kind that is not known is refused by name', () => {
    expect(masked('25', 1).told).toEqual(['runtime-constant f']);
    const unknown = masked('81 e1', 2, 'runtime_slope_mask');
    expect(unknown.told).toEqual(['runtime-constant f']);
    expect(unknown.diff.diagnostics[0]!.message).toContain('runtime_slope_mask');
  });
});

describe('lists of BTF ids', () => {
  /** A list of one id behind `before` others; f reads the list. */
  const reading = (value: number, before: string[], list: string, type: string, counter: number): ObjectBuilder => {
    const builder = object().file('x.c').section('.BTF_ids', { flags: 2 });
    before.forEach((name, i) =>
      builder
        .label(`btf_${name}`, { section: '.BTF_ids', at: i * 4, bind: 'local' })
        .data(`__BTF_ID__struct__${name}__${i}`, [u32(0)], { section: '.BTF_ids', align: 4, ...LOCAL }),
    );
    const at = before.length * 4;
    builder
      .label(list, { section: '.BTF_ids', at, bind: 'local' })
      .data(`__BTF_ID__struct__${type}__${counter}`, [u32(0)], { section: '.BTF_ids', align: 4, ...LOCAL });
    return builder.func('f', body(movEax(value), lea({ section: '.BTF_ids' }, at)));
  };

  test("one that ORIG has is the running kernel's, wherever it lies and whatever its counter", () => {
    // A copy holds zeros for ever: the kernel's build fills the ids in after linking.
    const made = extractObjects(
      reading(1, ['task'], 'btf_file_ids', 'file', 12),
      reading(2, [], 'btf_file_ids', 'file', 14),
      EXPORTS,
    );
    expect(made.told).toEqual([]);
    expect(made.relas('f')[0]).toContain('klp PC32 vmlinux.btf_file_ids,0-4');
  });

  test('a new one and one with another entry are refused by name', () => {
    expect(
      extractObjects(reading(1, [], 'btf_file_ids', 'file', 1), reading(2, ['file'], 'btf_vma_ids', 'vma', 2), EXPORTS)
        .told,
    ).toEqual(['btf-ids btf_vma_ids']);
    expect(
      extractObjects(reading(1, [], 'btf_ids', 'file', 1), reading(2, [], 'btf_ids', 'vma', 1), EXPORTS).told,
    ).toContain('btf-ids btf_ids');
  });
});
