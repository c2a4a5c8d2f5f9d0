/**
 * `verify` on a small livepatch that is correct, and on copies of it that are each wrong in one place. What this guards
 * against is a check that approves everything: a wrong position or addend loads without a message and corrupts the kernel,
 * a missing entry leaves an unpatched return or an oops for later.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { CATALOGUE, KlpflowError, type Diagnostic } from '../../src/diagnostics';
import {
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_PC32,
  SHF_ALLOC,
  SHF_WRITE,
  STB_LOCAL,
  STB_WEAK,
  STT_NOTYPE,
} from '../../src/elf/constants';
import { verify, type VerifyRequest } from '../../src/verify';
import { code, hex, ptr64, u64 } from '../support/elf-builder';
import {
  KLP,
  PREFIX,
  STRUCT_MODULE,
  kernelFiles,
  klp,
  livepatchModule,
  testKernel,
  type KernelFiles,
  type Places,
} from '../support/livepatch-module';
import { headerAt, type ModuleDraft } from '../support/module-draft';
import { readelf, readelfComplaints } from '../support/readelf';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const path = (name: string): string => join(folder, name);
let files: KernelFiles;

beforeAll(() => {
  files = kernelFiles(folder);
});

/** All but the objects, with which everything could be compared. */
function known(): Omit<VerifyRequest, 'module'> {
  const { vmlinux, symvers, btf, template } = files;
  return { vmlinux, symvers, btf, template };
}

type Spoil = (draft: ModuleDraft, at: Places) => void;

function made(name: string, spoil: Spoil = () => undefined, raw: (file: Buffer) => void = () => undefined): string {
  const { module, at } = livepatchModule();
  spoil(module, at);
  const file = module.bytes();
  raw(file);
  writeFileSync(path(name), file);
  return path(name);
}

const found = (request: VerifyRequest): Diagnostic[] =>
  verify(request).diagnostics.filter(({ code }) => code !== 'verify-not-checked');
const brief = (list: readonly Diagnostic[]): string[] => list.map(({ code, message }) => `${code}: ${message}`);

describe('a correct module', () => {
  test('has no finding, with or without what it can be checked against', () => {
    const module = made('good.ko');
    // The premise: binutils reads it as it is meant.
    expect(readelfComplaints(module)).toBe('');
    expect(readelf(module, '-SW').filter((line) => line.includes('.klp.rela.')).length).toBe(4);
    expect(readelf(module, '-sW').filter((line) => line.includes('OS [0xff20]')).length).toBe(8);

    const result = verify({ module, ...known(), objects: files.objects });
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
    expect(brief(found({ module, objects: files.objects }))).toEqual([]);
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
    writeFileSync(rows, readelf(files.vmlinux, '-sW').join('\n'));
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

function rename(draft: ModuleDraft, from: string, to: string): void {
  draft.symbol(from).name = to;
  for (const { relas } of draft.sections) for (const rela of relas) if (rela.sym === from) rela.sym = to;
}

/** Takes the entry out that is for a place in `.text`. */
function dropEntry(draft: ModuleDraft, table: string, size: number, place: number): void {
  const entry = draft
    .section(table)
    .relas.find(({ off, sym, addend }) => off % size === 0 && sym === '.text' && addend === place);
  if (entry === undefined) throw new Error(`${table} has no entry for ${place}`);
  draft.cut(table, entry.off, size);
}

/** Moves the entry for a place to another. */
function moveEntry(draft: ModuleDraft, table: string, place: number, to: number): void {
  const entry = draft.section(table).relas.find(({ sym, addend }) => sym === '.text' && addend === place);
  if (entry === undefined) throw new Error(`${table} has no entry for ${place}`);
  entry.addend = to;
}

function modinfo(draft: ModuleDraft, from: string, to: string): void {
  const section = draft.section('.modinfo');
  const text = section.bytes.toString('latin1');
  if (!text.includes(from)) throw new Error(`no ${from}`);
  section.bytes = Buffer.from(text.replace(from, to), 'latin1');
}

const write = (draft: ModuleDraft, section: string, at: number, bytes: Uint8Array): unknown =>
  draft.section(section).bytes.set(bytes, at);

/** One wrong thing each, and the code that names it. */
const MUTATIONS: ReadonlyArray<readonly [string, Diagnostic['code'], Spoil]> = [
  ['a position that does not exist', 'verify-unresolved', (draft) => rename(draft, klp('state', 2), klp('state', 3))],
  [
    'position 0 of a name that is there twice',
    'verify-unresolved',
    (draft) => rename(draft, klp('state', 2), klp('state', 0)),
  ],
  [
    'a klp symbol that the kernel does not have',
    'verify-unresolved',
    (draft) => rename(draft, klp('counter'), klp('conter')),
  ],
  ['a klp symbol of init memory', 'verify-discarded-target', (draft) => rename(draft, klp('helper'), klp('early'))],
  [
    'a klp symbol that is an ordinary undefined one',
    'verify-klp-symbol',
    (draft) => void (draft.symbol(klp('counter')).section = 'undefined'),
  ],
  [
    'a klp symbol without position',
    'verify-klp-symbol',
    (draft) => rename(draft, klp('counter'), '.klp.sym.vmlinux.counter'),
  ],
  [
    'a klp symbol of an object with a dot',
    'verify-klp-symbol',
    (draft) => rename(draft, klp('counter'), '.klp.sym.vm.linux,counter'),
  ],
  [
    'a klp symbol whose object is too long',
    'verify-klp-symbol',
    (draft) => rename(draft, klp('counter'), klp('counter', 0, 'x'.repeat(56))),
  ],
  [
    'a klp relocation against an imported symbol',
    'verify-klp-symbol',
    (draft, at) => void (draft.rela('.text', at['callHelper']! + 1).sym = '_printk'),
  ],
  [
    'a symbol of vmlinux in the section of a module',
    'verify-klp-symbol',
    (draft, at) => void (draft.rela('.text', at['load']! + 2).klp = 'loop'),
  ],
  [
    'a symbol of a module in the section of vmlinux',
    'verify-klp-symbol',
    (draft, at) => void (draft.rela('.text', at['late']! + 2).klp = 'vmlinux'),
  ],
  [
    'an ordinary relocation against a klp symbol',
    'verify-relocation',
    (draft, at) => void delete draft.rela('.text', at['load']! + 2).klp,
  ],

  [
    'a call with a shifted addend',
    'verify-target',
    (draft, at) => void (draft.rela('.text', at['callHelper']! + 1).addend += 4),
  ],
  [
    'a call of data',
    'verify-target',
    (draft, at) => void (draft.rela('.text', at['callHelper']! + 1).sym = klp('counter')),
  ],
  [
    'a variable read behind its end',
    'verify-target',
    (draft, at) => void (draft.rela('.text', at['load']! + 2).addend += 4),
  ],
  [
    'a variable read before its start',
    'verify-target',
    (draft, at) => void (draft.rela('.text', at['load']! + 2).addend -= 4),
  ],
  [
    'a variable read across its end',
    'verify-target',
    (draft, at) => void (draft.rela('.text', at['load']! + 2).addend += 2),
  ],
  [
    'code read as data',
    'verify-target',
    (draft, at) => void (draft.rela('.text', at['load']! + 2).sym = klp('helper')),
  ],
  [
    'targets of a call and a load exchanged',
    'verify-target',
    (draft, at) => swap(draft.rela('.text', at['callHelper']! + 1), draft.rela('.text', at['load']! + 2)),
  ],
  [
    'a call into the middle of a function of the module',
    'verify-target',
    (draft, at) => void (draft.rela('.text', at['callBeta']! + 1).addend += 4),
  ],
  [
    'a call between instructions of the module',
    'verify-target',
    (draft, at) => void (draft.rela('.text', at['callBeta']! + 1).addend += 6),
  ],
  [
    "a jump to another function's middle",
    'verify-target',
    (draft, at) =>
      Object.assign(draft.rela('.text', at['enable']! + 1), { sym: 'alpha', addend: at['store']! - at['alpha']! - 4 }),
  ],
  [
    'a table of the module read behind its end',
    'verify-target',
    (draft, at) => void (draft.rela('.text', at['table']! + 3).addend += 4),
  ],
  [
    'a wide string read at an odd byte',
    'verify-target',
    (draft, at) => void (draft.rela('.text', at['wide']! + 3).addend = 1),
  ],
  [
    'the address of a function whose ENDBR is sealed',
    'verify-sealed-target',
    (draft, at) => {
      const rela = draft.rela('.text', at['format']! + 3);
      Object.assign(rela, { sym: klp('assist'), addend: 0, klp: 'vmlinux' });
    },
  ],
  ['a pointer into an instruction', 'verify-target', (draft) => void (draft.relaTo('.data', 'beta').addend = 5)],
  [
    "an address before a section's start",
    'verify-target-range',
    (draft, at) => void (draft.rela('.text', at['format']! + 3).addend = -8),
  ],

  [
    'a relocation beside its operand',
    'verify-relocation',
    (draft, at) => void (draft.rela('.text', at['load']! + 2).off -= 1),
  ],
  [
    'a relocation wider than its operand',
    'verify-relocation',
    (draft, at) => void (draft.rela('.text', at['load']! + 2).type = R_X86_64_64),
  ],
  [
    'an absolute relocation on a relative operand',
    'verify-relocation',
    (draft, at) => void (draft.rela('.text', at['load']! + 2).type = R_X86_64_32S),
  ],
  [
    'a relative relocation on an immediate',
    'verify-relocation',
    (draft, at) => void (draft.rela('.text', at['format']! + 3).type = R_X86_64_PC32),
  ],
  [
    'a relocation type that modules do not have',
    'verify-relocation',
    (draft, at) => void (draft.rela('.text', at['load']! + 2).type = 9),
  ],
  [
    "a relocation past the section's end",
    'verify-relocation',
    (draft) =>
      draft
        .section('.rodata')
        .relas.push({ off: draft.section('.rodata').bytes.length - 2, type: R_X86_64_64, sym: 'alpha', addend: 0 }),
  ],
  [
    'a klp relocation over an ordinary one',
    'verify-relocation',
    (draft, at) =>
      draft.section('.text').relas.push({ ...draft.rela('.text', at['load']! + 2), off: at['print']! + 1 }),
  ],
  [
    'two relocations that overlap by half',
    'verify-relocation',
    (draft) => draft.section('.data').relas.push({ off: 4, type: R_X86_64_64, sym: 'alpha', addend: 0 }),
  ],
  ['a field that is not zero', 'verify-relocation', (draft, at) => write(draft, '.text', at['load']! + 2, hex('01'))],
  [
    'a call whose relocation is lost',
    'verify-relocation',
    (draft, at) => dropRela(draft, '.text', at['callHelper']! + 1),
  ],
  [
    'a load whose relocation does nothing',
    'verify-relocation',
    (draft, at) => void (draft.rela('.text', at['load']! + 2).type = 0),
  ],
  [
    'a klp_patch pointer whose relocation does nothing',
    'verify-klp-struct',
    (draft, at) => void (draft.rela('.text', at['enable']! - 4).type = 0),
  ],
  ['a load whose relocation is lost', 'verify-relocation', (draft, at) => dropRela(draft, '.text', at['load']! + 2)],
  [
    'code that was cut off',
    'verify-relocation',
    (draft, at) => write(draft, '.text', at['betaReturn']! - 2, hex('48')),
  ],
  [
    'a static branch on a key of a module that is not there yet',
    'verify-late-relocation',
    (draft) => Object.assign(draft.rela('__jump_table', 8), { sym: klp('loop_state', 0, 'loop'), klp: 'loop' }),
  ],
  [
    'an alternative over a reference to a module that is not there yet',
    'verify-late-relocation',
    (draft, at) => {
      moveEntry(draft, '.altinstructions', at['alternative']!, at['late']!);
      write(draft, '.altinstructions', 12, hex('06'));
    },
  ],

  [
    'a klp_func for a function that is not there',
    'verify-klp-func',
    (draft) => write(draft, '.rodata', 0, Buffer.from('alfha')),
  ],
  ['a klp_func without ftrace site', 'verify-klp-func', (draft) => write(draft, '.rodata', 0, Buffer.from('dark\0'))],
  ['a klp_func of init memory', 'verify-discarded-target', (draft) => write(draft, '.rodata', 0, Buffer.from('early'))],
  [
    'a position of a klp_func that does not exist',
    'verify-klp-func',
    (draft, at) => write(draft, '.data', at['funcs_vmlinux']! + 16, hex('02')),
  ],
  [
    "a replacement that is not a function's start",
    'verify-klp-func',
    (draft, at) => void (draft.rela('.data', at['funcs_vmlinux']! + 8).addend = 4),
  ],
  ['a replacement without size', 'verify-klp-func', (draft) => void (draft.symbol('alpha').size = 0)],
  ['a replacement that is no FUNC', 'verify-klp-func', (draft) => void (draft.symbol('alpha').type = STT_NOTYPE)],
  [
    'funcs without terminator',
    'verify-klp-struct',
    (draft, at) => write(draft, '.data', at['funcs_loop']! + KLP.func, hex('01')),
  ],
  [
    'objects without terminator',
    'verify-klp-struct',
    (draft, at) => write(draft, '.data', at['objects']! + 2 * KLP.object, hex('01')),
  ],
  [
    'klp_patch.mod of another symbol',
    'verify-klp-struct',
    (draft, at) => void (draft.rela('.data', at['patch']!).sym = 'own_table'),
  ],
  ['klp_patch.objs of nothing', 'verify-klp-struct', (draft, at) => dropRela(draft, '.data', at['patch']! + 8)],
  ['klp_object.funcs of nothing', 'verify-klp-struct', (draft, at) => dropRela(draft, '.data', at['objects']! + 8)],
  ['klp_func.old_name of nothing', 'verify-klp-struct', (draft, at) => dropRela(draft, '.data', at['funcs_vmlinux']!)],
  [
    'members of klp_func that the kernel fills in',
    'verify-klp-struct',
    (draft, at) => write(draft, '.data', at['funcs_vmlinux']! + 60, hex('01')),
  ],
  [
    'a callback that is data',
    'verify-klp-struct',
    (draft, at) =>
      draft.section('.data').relas.push({ off: at['objects']! + 16, type: R_X86_64_64, sym: 'own_table', addend: 0 }),
  ],
  [
    'two objects of one name',
    'verify-klp-struct',
    (draft, at) => dropRela(draft, '.data', at['objects']! + KLP.object),
  ],
  ["a wrong size of the funcs' symbol", 'verify-klp-struct', (draft) => void (draft.symbol('funcs_vmlinux').size -= 8)],
  ["a wrong size of klp_patch's symbol", 'verify-klp-struct', (draft) => void (draft.symbol('patch').size += 8)],
  ['descriptors in read-only data', 'verify-klp-struct', (draft) => void (draft.section('.data').flags = SHF_ALLOC)],
  [
    'an init_module that does not enable the patch',
    'verify-klp-struct',
    (draft, at) => void (draft.rela('.text', at['enable']! + 1).sym = '_printk'),
  ],
  [
    'an init_module without klp_patch',
    'verify-klp-struct',
    (draft, at) => void (draft.rela('.text', at['enable']! - 4).sym = '.rodata'),
  ],

  [
    'a wrong size of struct module',
    'verify-module-struct',
    (draft) =>
      void (draft.section('.gnu.linkonce.this_module').bytes = Buffer.concat([
        draft.section('.gnu.linkonce.this_module').bytes,
        Buffer.alloc(64),
      ])),
  ],
  [
    'init at another place',
    'verify-module-struct',
    (draft) => void (draft.rela('.gnu.linkonce.this_module', STRUCT_MODULE.init).off += 8),
  ],
  [
    'init and exit exchanged',
    'verify-module-struct',
    (draft) =>
      swap(
        draft.rela('.gnu.linkonce.this_module', STRUCT_MODULE.init),
        draft.rela('.gnu.linkonce.this_module', STRUCT_MODULE.exit),
      ),
  ],
  ['no exit', 'verify-module-struct', (draft) => dropRela(draft, '.gnu.linkonce.this_module', STRUCT_MODULE.exit)],
  [
    'a name that is not ended',
    'verify-module-struct',
    (draft) => write(draft, '.gnu.linkonce.this_module', STRUCT_MODULE.name, Buffer.alloc(56, 0x61)),
  ],

  ['a wrong CRC', 'verify-version', (draft) => write(draft, '__versions', 64, hex('23'))],
  ['a wrong CRC of module_layout', 'verify-version', (draft) => write(draft, '__versions', 0, hex('12'))],
  ['a missing version', 'verify-version', (draft) => draft.cut('__versions', 64, 64)],
  [
    'no versions',
    'verify-version',
    (draft) => draft.sections.splice(draft.sections.indexOf(draft.section('__versions')), 1),
  ],
  [
    'an import that nothing exports',
    'verify-import',
    (draft) => draft.define({ name: 'not_exported', section: 'undefined' }),
  ],
  ['a namespace that is not imported', 'verify-import', (draft) => modinfo(draft, 'import_ns=NET', 'import_ns=SND')],
  ['a vermagic token that is missing', 'verify-modinfo', (draft) => modinfo(draft, ' preempt', '')],
  ['a vermagic without its last space', 'verify-modinfo', (draft) => modinfo(draft, 'modversions ', 'modversions')],
  ['no livepatch=Y', 'verify-modinfo', (draft) => modinfo(draft, 'livepatch=Y', 'livepatch=N')],
  ['another license', 'verify-modinfo', (draft) => modinfo(draft, 'license=GPL', 'license=MIT')],
  ['no retpoline=Y', 'verify-modinfo', (draft) => modinfo(draft, 'retpoline=Y', 'retpoline=N')],
  ['another name', 'verify-modinfo', (draft) => modinfo(draft, 'name=livepatch_alpha', 'name=livepatch-alpha')],

  [
    'a section that is writable and executable',
    'verify-elf-form',
    (draft) => void (draft.section('.text').flags |= SHF_WRITE),
  ],
  ['a table that is not loaded', 'verify-elf-form', (draft) => void (draft.section('.orc_unwind').flags = 0)],
  ['strings that are not loaded', 'verify-target', (draft) => void (draft.section('.rodata').flags = 0)],
  ['two .modinfo', 'verify-elf-form', (draft) => draft.sections.push({ ...draft.section('.modinfo') })],
  [
    'no .modinfo',
    'verify-elf-form',
    (draft) => draft.sections.splice(draft.sections.indexOf(draft.section('.modinfo')), 1),
  ],
  ['types that were left in', 'verify-elf-form', (draft) => void draft.append('.BTF', hex('9feb'))],
  [
    'a function longer than its section',
    'verify-elf-form',
    (draft) => void (draft.symbol('cleanup_module').size += 64),
  ],

  [
    'a prefix that is not NOPs',
    'verify-prefix',
    (draft, at) => write(draft, '.text', at['alpha']! - PREFIX, hex('00')),
  ],
  [
    'no prefix',
    'verify-prefix',
    (draft, at) => write(draft, '.text', at['beta']! - PREFIX, new Uint8Array(PREFIX).fill(0xcc)),
  ],
  ['a text section of another alignment', 'verify-prefix', (draft) => void (draft.section('.text').align = 8)],
  [
    'a placeholder of a runtime constant',
    'verify-runtime-constant',
    (draft, at) => write(draft, '.text', at['alpha']! - PREFIX, hex('efcdab8967452301')),
  ],

  ...(['return', 'betaReturn', 'cleanupReturn'] as const).map(
    (place) =>
      [
        `a missing return site (${place})`,
        'verify-missing-entry',
        (draft: ModuleDraft, at: Places) => dropEntry(draft, '.return_sites', 4, at[place]!),
      ] as const,
  ),
  [
    'no return site at all, in a kernel that has them',
    'verify-missing-entry',
    (draft) => draft.sections.splice(draft.sections.indexOf(draft.section('.return_sites')), 1),
  ],
  [
    'a return site on another instruction',
    'verify-entry',
    (draft, at) => moveEntry(draft, '.return_sites', at['return']!, at['print']!),
  ],
  [
    'a return site inside an instruction',
    'verify-entry',
    (draft, at) => moveEntry(draft, '.return_sites', at['return']!, at['return']! + 1),
  ],
  [
    'a return site in data',
    'verify-entry',
    (draft) => Object.assign(draft.section('.return_sites').relas[0]!, { sym: '.data', addend: 0 }),
  ],
  [
    'a return site of the kernel',
    'verify-entry',
    (draft) =>
      Object.assign(draft.section('.return_sites').relas[0]!, { sym: klp('helper'), addend: 0, klp: 'vmlinux' }),
  ],
  [
    'a table of half an entry',
    'verify-entry',
    (draft) => void (draft.section('.return_sites').bytes = Buffer.alloc(18)),
  ],
  ['an entry without relocation', 'verify-entry', (draft) => dropRela(draft, '.return_sites', 4)],
  [
    'a missing indirect call',
    'verify-missing-entry',
    (draft, at) => {
      dropEntry(draft, '.retpoline_sites', 4, at['indirect']!);
      draft.append('.retpoline_sites', hex('00000000'));
      draft.section('.retpoline_sites').relas.push({ off: 0, type: R_X86_64_PC32, sym: '.text', addend: at['print']! });
    },
  ],
  [
    'an indirect call site on a direct call',
    'verify-entry',
    (draft, at) => moveEntry(draft, '.retpoline_sites', at['indirect']!, at['print']!),
  ],
  ['a missing call site', 'verify-missing-entry', (draft, at) => dropEntry(draft, '.call_sites', 4, at['print']!)],
  [
    'a call site on a jump',
    'verify-entry',
    (draft, at) => moveEntry(draft, '.call_sites', at['print']!, at['return']!),
  ],
  [
    'a missing ftrace site',
    'verify-missing-entry',
    (draft, at) => dropEntry(draft, '__mcount_loc', 8, at['betaFtrace']!),
  ],
  [
    'an ftrace site on another instruction',
    'verify-entry',
    (draft, at) => moveEntry(draft, '__mcount_loc', at['ftrace']!, at['branch']!),
  ],
  [
    'a missing static call',
    'verify-missing-entry',
    (draft) => {
      const section = draft.section('.static_call_sites');
      section.relas = section.relas.map((rela) => (rela.off === 0 ? { ...rela, addend: rela.addend - 5 } : rela));
    },
  ],
  [
    'a static call site on another call',
    'verify-entry',
    (draft, at) => moveEntry(draft, '.static_call_sites', at['staticCall']!, at['print']!),
  ],
  [
    'a static call with another key',
    'verify-entry',
    (draft) => void (draft.rela('.static_call_sites', 4).sym = klp('key')),
  ],
  [
    'a static call whose key is a function',
    'verify-entry',
    (draft) => void (draft.rela('.static_call_sites', 4).sym = klp('helper')),
  ],
  [
    'a missing bug entry',
    'verify-missing-entry',
    (draft, at) => draft.append('.text', [0x0f, 0x0b]) < at['alpha']! || grow(draft, 'cleanup_module', 2),
  ],
  [
    'a bug entry that is no trap',
    'verify-entry',
    (draft, at) => moveEntry(draft, '__bug_table', at['warn']!, at['slow']!),
  ],
  [
    'a fault handled at no instruction',
    'verify-entry',
    (draft, at) => moveEntry(draft, '__ex_table', at['faulting']!, at['faulting']! + 1),
  ],
  [
    'a fixup at no instruction',
    'verify-entry',
    (draft, at) => moveEntry(draft, '__ex_table', at['fixup']!, at['fixup']! + 1),
  ],
  [
    'a static branch at a call',
    'verify-entry',
    (draft, at) => moveEntry(draft, '__jump_table', at['branch']!, at['print']!),
  ],
  [
    'a static branch into another function',
    'verify-entry',
    (draft, at) => moveEntry(draft, '__jump_table', at['slow']!, at['betaReturn']!),
  ],
  [
    'a static branch whose key is code',
    'verify-entry',
    (draft) => void (draft.rela('__jump_table', 8).sym = klp('helper')),
  ],
  [
    'a static branch whose key is behind the variable',
    'verify-entry',
    (draft) => void (draft.rela('__jump_table', 8).addend += 16),
  ],
  [
    'an alternative that ends inside an instruction',
    'verify-entry',
    (draft) => write(draft, '.altinstructions', 12, hex('04')),
  ],
  [
    'a replacement that ends inside an instruction',
    'verify-entry',
    (draft) => write(draft, '.altinstructions', 13, hex('02')),
  ],
  ['a replacement longer than its site', 'verify-entry', (draft) => write(draft, '.altinstructions', 13, hex('04'))],
  ['a replacement that is not there', 'verify-entry', (draft) => void (draft.rela('.altinstructions', 4).addend = 2)],
  ['a missing alternative', 'verify-missing-entry', (draft) => draft.cut('.altinstructions', 0, 14)],
  ['a lock prefix without entry', 'verify-lock', (draft, at) => dropEntry(draft, '.smp_locks', 4, at['increment']!)],
  [
    'a lock entry without lock prefix',
    'verify-entry',
    (draft, at) => moveEntry(draft, '.smp_locks', at['increment']!, at['load']!),
  ],
  [
    'a sealed function start that has no endbr64',
    'verify-entry',
    (draft, at) => moveEntry(draft, '.ibt_endbr_seal', at['alpha']!, at['ftrace']!),
  ],
  [
    'init_module sealed',
    'verify-entry',
    (draft, at) => moveEntry(draft, '.ibt_endbr_seal', at['alpha']!, at['init_module']!),
  ],
  [
    'a function sealed that a table points at',
    'verify-entry',
    (draft, at) => moveEntry(draft, '.ibt_endbr_seal', at['alpha']!, at['beta']!),
  ],

  [
    'a function without unwind data',
    'verify-unwind',
    (draft) => {
      draft.cut('.orc_unwind_ip', 8, 8);
      draft.cut('.orc_unwind', 12, 12);
    },
  ],
  [
    'a function without unwind terminator',
    'verify-unwind',
    (draft) => {
      draft.cut('.orc_unwind_ip', 4, 4);
      draft.cut('.orc_unwind', 6, 6);
    },
  ],
  ['a terminator that says something', 'verify-unwind', (draft) => write(draft, '.orc_unwind', 6, hex('080000000302'))],
  ['unwind data of another length', 'verify-unwind', (draft) => draft.cut('.orc_unwind', 0, 6)],
  [
    'no unwind data',
    'verify-unwind',
    (draft) => draft.sections.splice(draft.sections.indexOf(draft.section('.orc_unwind_ip')), 1),
  ],
];

function swap(a: { sym: string }, b: { sym: string }): void {
  [a.sym, b.sym] = [b.sym, a.sym];
}

function dropRela(draft: ModuleDraft, section: string, off: number): void {
  draft.rela(section, off);
  draft.section(section).relas = draft.section(section).relas.filter((rela) => rela.off !== off);
}

function grow(draft: ModuleDraft, name: string, bytes: number): void {
  draft.symbol(name).size += bytes;
}

test.each(MUTATIONS)('%s is %s', (_, code, spoil) => {
  const module = made('mutant.ko', spoil);
  // The premise: the file is another one.
  expect(readFileSync(module).equals(livepatchModule().module.bytes())).toBe(false);
  const result = verify({ module, ...known() });
  const diagnostics = result.diagnostics.filter((diagnostic) => diagnostic.code !== 'verify-not-checked');
  expect(
    brief(diagnostics).map((text) => text.split(':')[0]),
    brief(diagnostics).join('\n'),
  ).toContain(code);
  expect(result.ok).toBe((CATALOGUE[code] as { severity: string }).severity === 'warning');
  for (const { hint, where } of diagnostics) expect([hint.length > 0, where.object]).toEqual([true, module]);
});

/** What the module alone does not show: it is as good a module as the right one. */
const ONLY_WITH_OBJECTS: ReadonlyArray<readonly [string, Diagnostic['code'], RegExp, Spoil]> = [
  [
    'two calls exchanged',
    'verify-object-differs',
    /refers to assist, in the object to helper/,
    (draft, at) => swap(draft.rela('.text', at['callHelper']! + 1), draft.rela('.text', at['callAssist']! + 1)),
  ],
  [
    'a reference to another variable of the size',
    'verify-object-differs',
    /refers to state, in the object to counter/,
    (draft, at) => void (draft.rela('.text', at['load']! + 2).sym = klp('state', 2)),
  ],
  [
    'an addend that stays within the object',
    'verify-object-differs',
    /refers to own_table, in the object to own_table\+0x8/,
    (draft, at) => void (draft.rela('.text', at['table']! + 3).addend -= 8),
  ],
  [
    'another string',
    'verify-object-differs',
    /refers to \.rodata/,
    (draft, at) => void (draft.rela('.text', at['format']! + 3).addend = 0),
  ],
  [
    'another instruction of the same length',
    'verify-object-differs',
    /the byte here is 30, in the object 31/,
    (draft, at) => write(draft, '.text', at['slow']!, hex('30')),
  ],
  [
    'a pointer in data to another function',
    'verify-object-differs',
    /refers to alpha, in the object to beta/,
    (draft) => void (draft.relaTo('.data', 'beta').sym = 'alpha'),
  ],
  [
    'another value in data',
    'verify-object-differs',
    /the byte here is 08, in the object 07/,
    (draft) => write(draft, '.data', 8, hex('08')),
  ],
  [
    'a bug entry that names no file',
    'verify-object-differs',
    /__bug_table/,
    (draft) => void (draft.rela('__bug_table', 4).type = 0),
  ],
  [
    'a function that was replaced',
    'verify-object-differs',
    /no object has a function gamma/,
    (draft) => rename(draft, 'beta', 'gamma'),
  ],
  ['a fault without handler', 'verify-missing-entry', /__ex_table/, (draft) => draft.cut('__ex_table', 0, 12)],
  [
    'a fault handled another way',
    'verify-object-differs',
    /__ex_table/,
    (draft) => write(draft, '__ex_table', 8, hex('04')),
  ],
  [
    'a static branch that is frozen',
    'verify-missing-entry',
    /__jump_table/,
    (draft) => draft.cut('__jump_table', 0, 16),
  ],
  [
    'a static branch with the other default',
    'verify-object-differs',
    /__jump_table/,
    (draft) => void (draft.rela('__jump_table', 8).addend -= 2),
  ],
  [
    'an alternative for another feature',
    'verify-object-differs',
    /\.altinstructions/,
    (draft) => write(draft, '.altinstructions', 8, hex('35')),
  ],
  [
    'another replacement',
    'verify-object-differs',
    /\.altinstructions/,
    (draft) => write(draft, '.altinstr_replacement', 2, hex('ca')),
  ],
  [
    'other flags of a warning',
    'verify-object-differs',
    /__bug_table/,
    (draft) => write(draft, '__bug_table', 14, hex('03')),
  ],
  [
    'another state of the stack',
    'verify-object-differs',
    /\.orc_unwind_ip/,
    (draft, at) => {
      const { relas } = draft.section('.orc_unwind_ip');
      draft.append('.orc_unwind_ip', hex('00000000'));
      relas.push({ off: relas.length * 4, type: R_X86_64_PC32, sym: '.text', addend: at['load']! });
      draft.append('.orc_unwind', hex('100000000302'));
    },
  ],
];

test.each(ONLY_WITH_OBJECTS)('%s is %s once the objects are there', (_, code, says, spoil) => {
  const module = made('mutant.ko', spoil);
  expect(readFileSync(module).equals(livepatchModule().module.bytes())).toBe(false);
  const diagnostics = found({ module, ...known(), objects: files.objects });
  expect(
    brief(diagnostics).filter((text) => (text.startsWith(code) || text.startsWith('verify-entry')) && says.test(text)),
    brief(diagnostics).join('\n'),
  ).not.toEqual([]);
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
  writeFileSync(path('arm.ko'), module.bytes(183));
  writeFileSync(path('text.ko'), 'text');
  const cut = module.bytes();
  writeFileSync(path('cut.ko'), cut.subarray(0, cut.length - 100));
  for (const [name, code] of [
    ['arm.ko', 'unsupported-object'],
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
