/** `verify` on copies of a correct livepatch that are each wrong in one place: what a kernel would not load, or would load and run wrongly. A check that approves everything shows here. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CATALOGUE, type Diagnostic } from '../../src/diagnostics';
import { R_X86_64_32S, R_X86_64_64, R_X86_64_PC32, SHF_ALLOC, SHF_WRITE, STT_NOTYPE } from '../../src/elf/constants';
import { verify } from '../../src/verify';
import { hex } from '../support/elf-builder';
import { KLP, PREFIX, STRUCT_MODULE, klp, livepatchModule, type Places } from '../support/livepatch-module';
import type { ModuleDraft } from '../support/module-draft';
import {
  type Spoil,
  brief,
  dropEntry,
  dropRela,
  grow,
  known,
  made,
  modinfo,
  moveEntry,
  rename,
  swap,
  write,
} from '../support/spoiled-module';

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
