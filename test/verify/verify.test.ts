/**
 * `verify` on a small livepatch that is correct, and on copies of it that are each wrong in one place. What this guards
 * against is a check that approves everything: a wrong position or addend loads without a message and corrupts the kernel,
 * a missing entry leaves an unpatched return or an oops for later.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { SHF_ALLOC, STB_LOCAL, STB_WEAK } from '../../src/elf/constants';
import { verify, type VerifyRequest } from '../../src/verify';
import { code, hex, ptr64, u64 } from '../support/elf-builder';
import { PREFIX, klp, livepatchModule, testKernel } from '../support/livepatch-module';
import { headerAt } from '../support/module-draft';
import { readelf, readelfComplaints } from '../support/readelf';
import { brief, dropEntry, files, found, known, made, modinfo, path, rename, write } from '../support/spoiled-module';

describe('a correct module', () => {
  test('has no finding, with or without what it can be checked against', () => {
    const module = made('good.ko');
    // The premise: binutils reads it as it is meant.
    expect(readelfComplaints(module)).toBe('');
    expect(readelf(module, '-SW').filter((line) => line.includes('.klp.rela.')).length).toBe(4);
    expect(readelf(module, '-sW').filter((line) => line.includes('OS [0xff20]')).length).toBe(8);

    const result = verify({ module, ...known(), objects: files().objects });
    expect(result.ok).toBe(true);
    // A linked vmlinux says nothing of modules.
    expect(brief(result.diagnostics)).toEqual([
      expect.stringMatching(/^verify-not-checked: klp symbols of module loop:/),
      expect.stringMatching(/^verify-not-checked: loader of module loop:/),
    ]);
    expect(result.module).toMatchObject({
      name: 'livepatch_alpha',
      vermagic: '7.2.13 SMP preempt mod_unload modversions ',
      signed: false,
      klpSymbols: 8,
      relocations: { livepatch: 9 },
      objects: [
        { name: 'vmlinux', functions: [{ name: 'alpha', sympos: 0, replacement: 'alpha' }] },
        { name: 'loop', functions: [{ name: 'loader', sympos: 1, replacement: 'loader' }] },
      ],
    });
    expect(brief(found({ module }))).toEqual([]);
    expect(brief(found({ module, objects: files().objects }))).toEqual([]);
  });

  test('says what it could not check', () => {
    const notes = verify({ module: made('good.ko') })
      .diagnostics.map(({ message }) => message)
      .join('\n');
    for (const flag of ['--vmlinux', '--symvers', '--btf', '--template', '--object']) expect(notes).toContain(flag);
  });

  test('may be signed: what is appended is no part of it', () => {
    const module = made('signed.ko');
    writeFileSync(
      module,
      Buffer.concat([readFileSync(module), Buffer.alloc(300, 0x5a), Buffer.from('~Module signature appended~\n')]),
    );
    const result = verify({ module, ...known() });
    expect(result.module.signed).toBe(true);
    expect(brief(found({ module, ...known() }))).toEqual([]);
  });

  test('is checked against text of /proc/kallsyms, with the module it patches, and of readelf', () => {
    const list = path('kallsyms.txt');
    writeFileSync(
      list,
      `${testKernel().kallsyms()}ffffffffc0000010 t loader\t[loop]\nffffffffc0000000 d loop_state\t[loop]\n`,
    );
    const module = made('good.ko');
    const result = verify({ module, ...known(), vmlinux: list });
    expect(brief(result.diagnostics.filter(({ code }) => code !== 'verify-not-checked'))).toEqual([]);
    expect(brief(result.diagnostics).join()).not.toContain('loop');
    // Names do not say where ftrace has its sites.
    expect(brief(result.diagnostics).filter((text) => text.includes('ftrace'))).toHaveLength(1);
    expect(
      brief(
        found({
          module: made('position.ko', (draft) =>
            rename(draft, klp('loop_state', 0, 'loop'), klp('loop_state', 2, 'loop')),
          ),
          ...known(),
          vmlinux: list,
        }),
      ),
    ).toEqual([expect.stringMatching(/^verify-unresolved: .*one symbol called loop_state, there is no position 2/)]);
    const rows = path('readelf.txt');
    writeFileSync(rows, readelf(files().vmlinux, '-sW').join('\n'));
    expect(brief(found({ module, ...known(), vmlinux: rows }))).toEqual([]);
    expect(
      brief(
        found({
          module: made('position.ko', (draft) => rename(draft, klp('state', 2), klp('state', 0))),
          ...known(),
          vmlinux: rows,
        }),
      ),
    ).toEqual([expect.stringMatching(/^verify-unresolved: .*2 symbols called state/)]);
  });
});

test('the descriptors of a module that klp-build makes are followed', () => {
  const described = (name: number, position: number): string =>
    made('described.ko', (draft) => {
      // Its static structures stay as plain data, whose pointers nobody excuses.
      draft.sections.splice(draft.sections.indexOf(draft.section('.ibt_endbr_seal')), 1);
      for (const name of ['alpha', 'loader']) draft.relaTo('.data', name).sym = 'beta';
      draft.append(
        '.init.klp_objects',
        code(u64(0), [ptr64('.init.klp_funcs')], new Uint8Array(40), [1, 0, 0, 0, 0, 0, 0, 0]),
      );
      draft.append('.init.klp_funcs', code([ptr64('.rodata', name)], [ptr64('alpha')], u64(position)));
    });
  const good = verify({ module: described(0, 0), ...known() });
  expect(good.module.objects).toEqual([
    { name: 'vmlinux', functions: [{ name: 'alpha', sympos: 0, replacement: 'alpha' }] },
  ]);
  expect(good.ok).toBe(true);
  expect(brief(found({ module: described(0, 2), ...known() }))).toEqual([
    expect.stringMatching(/^verify-klp-func: .*there is no position 2/),
  ]);
  expect(brief(found({ module: described(1, 0), ...known() }))).toEqual([
    expect.stringMatching(/^verify-klp-func: .*vmlinux has no symbol lpha/),
  ]);
});

test('flags and target of a klp relocation section', () => {
  const header = (file: Buffer): number => headerAt(file, '.klp.rela.vmlinux..text');
  const cases: Array<[string, (file: Buffer) => unknown]> = [
    [
      'SHF_RELA_LIVEPATCH',
      (file) => file.writeUInt32LE(file.readUInt32LE(header(file) + 8) & ~0x100000, header(file) + 8),
    ],
    ['SHF_ALLOC', (file) => file.writeUInt32LE(file.readUInt32LE(header(file) + 8) & ~SHF_ALLOC, header(file) + 8)],
    [
      'by its name it should not',
      (file) =>
        file.writeUInt32LE(
          (headerAt(file, '.altinstr_replacement') - Number(file.readBigUInt64LE(40))) / 64,
          header(file) + 44,
        ),
    ],
  ];
  for (const [says, raw] of cases) {
    const diagnostics = found({ module: made('mutant.ko', undefined, (file) => void raw(file)), ...known() });
    expect(
      brief(diagnostics)
        .filter((text) => text.startsWith('verify-klp-section'))
        .join(),
      says,
    ).toContain(says);
  }
});

test('every finding of a module with several faults comes in one run, each with its place', () => {
  const module = made('several.ko', (draft, at) => {
    rename(draft, klp('state', 2), klp('state', 3));
    dropEntry(draft, '.return_sites', 4, at['return']!);
    modinfo(draft, 'livepatch=Y', 'livepatch=N');
    write(draft, '.text', at['beta']! - PREFIX, hex('00'));
  });
  const diagnostics = found({ module, ...known() });
  expect(new Set(diagnostics.map(({ code }) => code))).toEqual(
    new Set(['verify-unresolved', 'verify-missing-entry', 'verify-modinfo', 'verify-prefix']),
  );
  const { at } = livepatchModule();
  expect(diagnostics.find(({ code }) => code === 'verify-missing-entry')!.where).toEqual({
    object: module,
    section: '.text',
    symbol: 'alpha',
    offset: at['return']! - at['alpha']!,
  });
});

test('a weak import needs no version, a local function no global symbol', () => {
  const module = made('weak.ko', (draft) => {
    draft.define({ name: 'perhaps', section: 'undefined', binding: STB_WEAK });
    draft.symbol('alpha').binding = STB_LOCAL;
  });
  expect(brief(found({ module, ...known() }))).toEqual([]);
});

test('a file that is no module for this processor, or no ELF file, is an error', () => {
  const { module } = livepatchModule();
  writeFileSync(path('s390.ko'), module.bytes(22));
  writeFileSync(path('text.ko'), 'text');
  const cut = module.bytes();
  writeFileSync(path('cut.ko'), cut.subarray(0, cut.length - 100));
  for (const [name, code] of [
    ['s390.ko', 'unsupported-object'],
    ['text.ko', 'not-elf'],
    ['cut.ko', 'malformed-elf'],
    ['absent.ko', 'unreadable'],
  ] as const) {
    expect(thrown({ module: path(name) }), name).toBe(code);
  }
  const good = made('good.ko');
  writeFileSync(path('stub'), 'ffffffffffffffff B The real System.map is in the linux-image package\n');
  writeFileSync(path('wrong.symvers'), '0x1\tx\n');
  for (const [request, code] of [
    [{ vmlinux: path('stub') }, 'malformed-symbol-list'],
    [{ vmlinux: path('text.ko') }, 'malformed-symbol-list'],
    [{ symvers: path('wrong.symvers') }, 'malformed-symvers'],
    [{ btf: path('text.ko') }, 'malformed-elf'],
    [{ template: path('text.ko') }, 'not-elf'],
    [{ objects: [path('text.ko')] }, 'not-elf'],
  ] as const) {
    expect(thrown({ module: good, ...request }), JSON.stringify(request)).toBe(code);
  }
});

function thrown(request: VerifyRequest): string | undefined {
  try {
    verify(request);
  } catch (error) {
    if (error instanceof KlpflowError) return error.code;
    throw error;
  }
  return undefined;
}
