/** What only the objects of the build tell of a livepatch: each of these is as good a module as the right one. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Diagnostic } from '../../src/diagnostics';
import { R_X86_64_PC32 } from '../../src/elf/constants';
import { hex } from '../support/elf-builder';
import { klp, livepatchModule } from '../support/livepatch-module';
import { type Spoil, brief, files, found, known, made, rename, swap, write } from '../support/spoiled-module';

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
  const diagnostics = found({ module, ...known(), objects: files().objects });
  expect(
    brief(diagnostics).filter((text) => (text.startsWith(code) || text.startsWith('verify-entry')) && says.test(text)),
    brief(diagnostics).join('\n'),
  ).not.toEqual([]);
});
