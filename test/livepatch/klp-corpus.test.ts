/**
 * The object that klpflow writes of real changes, beside the one that `objtool klp diff` of Linux 7.2 wrote: same functions byte for
 * byte, same references, klp symbols, replaced functions and entries of special sections. What differs is listed, with the reason.
 */
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { CORPUS, skipWithout, unavailable, unpack } from '../support/corpus';
import { differences, klpContent } from '../support/klp-content';
import { klpflow, resultOf } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const KERNEL = 'linux-7.2-thinlto';
const folder = tempFolder();

/**
 * Of all pairs: upstream searches PATCHED's .modinfo for `import_ns=` as a substring and takes what it finds, the namespaces of every
 * module that is built in. A livepatch that imports nothing of a namespace needs none.
 */
const NAMESPACES = '~ section .modinfo 556, none';

const PAIRS: Record<string, { differs: string[]; entries: Record<string, number> }> = {
  'cmdline-marker': { differs: [], entries: { __mcount_loc: 1 } },
  'new-function-static-local': { differs: [], entries: { __mcount_loc: 2 } },
  'new-global-two-files': { differs: [], entries: { __mcount_loc: 3 } },
  // Constants that boot code fills in: upstream leaves `mov $0x0123456789abcdef, %r`, here it is a load of the variable and a nop. And a
  // text that is used twice is there twice with upstream.
  'runtime-constants': {
    differs: [
      '+ __fput +0x1fa PC32 .klp.tombstone.__filp_cache-4',
      '+ import USER_PTR_MAX',
      '+ klp __klp_relocs.vmlinux __fput+506 PC32 .klp.sym.vmlinux.__filp_cache,0-4',
      '+ symbol .klp.sym.vmlinux.__filp_cache,0',
      '+ vfs_read +0x5f PC32 USER_PTR_MAX-4',
      '~ code __fput 0x1f8-0x200',
      '~ code vfs_read 0x5c-0x65',
      '~ section .rodata.str1.1 37, 36',
      '~ section __klp_relocs.vmlinux 264, 288',
    ],
    entries: { '.discard.annotate_insn': 2, '.smp_locks': 3, '.static_call_sites': 1, __bug_table: 2, __mcount_loc: 2 },
  },
  // An empty lock key needs an address of its own: one byte. Upstream's has none, so two of them are one lock class.
  'special-sections': {
    differs: [
      '+ kernel_clone +0x1a7 32S .bss.init_completion.__key',
      '- kernel_clone +0x1a7 32S init_completion.__key',
      '~ section .bss.init_completion.__key 0, 1',
    ],
    entries: {
      '.altinstructions': 2,
      '.discard.annotate_insn': 3,
      '.smp_locks': 2,
      '.static_call_sites': 1,
      __bug_table: 1,
      __jump_table: 2,
      __mcount_loc: 1,
    },
  },
  // Upstream copies a text at each reference.
  'string-change': {
    differs: ['~ section .rodata.str1.1 886, 701'],
    entries: { '.altinstructions': 2, __mcount_loc: 1 },
  },
};

describe.each(Object.entries(PAIRS))('%s', (pair, { differs, entries }) => {
  beforeEach((context) => skipWithout(context, unavailable(KERNEL, true)));

  // Guards against a reference that reaches something else, an entry or function too many or too few, and klp symbols that klp-build's kernel does not find.
  test('says what objtool says, but for what is listed', async () => {
    const { orig, patched } = unpack(KERNEL, pair);
    const kernel = join(orig, '..');
    const out = join(folder, `${pair}.o`);
    const ran = await klpflow([
      'diff',
      orig,
      patched,
      '-o',
      out,
      '--symvers',
      join(kernel, 'Module.symvers'),
      '--vmlinux',
      join(kernel, 'vmlinux'),
      '--run-dir',
      join(folder, 'run'),
      '--json',
      '--progress',
      'none',
    ]);
    expect({ verdict: resultOf(ran).verdict, status: ran.status }).toEqual({ verdict: 'patchable', status: 0 });

    const [theirs, ours] = [klpContent(join(CORPUS, KERNEL, 'pairs', pair, 'objtool.o')), klpContent(out)];
    // Premise: the reader sees functions, replaced ones and their klp symbols, and the entries.
    expect(theirs.funcs.length).toBeGreaterThan(0);
    expect(theirs.klpRelocs.length).toBeGreaterThan(0);
    expect(Object.keys(theirs.code).length).toBeGreaterThan(theirs.funcs.length);
    expect(Object.fromEntries(Object.entries(theirs.entries).map(([name, list]) => [name, list.length]))).toEqual(
      entries,
    );
    expect(differences(theirs, ours)).toEqual([...differs, NAMESPACES].sort());
    expect(
      resultOf(ran).objects[0]!.klpSymbols.map(({ name, object, sympos }) => `.klp.sym.${object}.${name},${sympos}`),
    ).toEqual(expect.arrayContaining(ours.klpSymbols));
  });
});

test('the comparison sees what differs', () => {
  const content = {
    klpSymbols: ['.klp.sym.vmlinux.a,0'],
    funcs: [],
    imports: ['x'],
    klpRelocs: [],
    code: { f: { bytes: '00112233', references: ['+0x1 PC32 a'] } },
    data: {},
    entries: { __jump_table: ['00 +0 f', '00 +0 f'] },
    sections: { '.text.f': 4 },
  };
  expect(differences(content, content)).toEqual([]);
  const other = {
    ...content,
    klpSymbols: ['.klp.sym.vmlinux.a,1'],
    code: { f: { bytes: '00aa2244', references: ['+0x1 PC32 b'] } },
    entries: { __jump_table: ['00 +0 f'] },
    sections: {},
  };
  expect(differences(content, other)).toEqual([
    '+ f +0x1 PC32 b',
    '+ symbol .klp.sym.vmlinux.a,1',
    '- __jump_table 00 +0 f',
    '- f +0x1 PC32 a',
    '- symbol .klp.sym.vmlinux.a,0',
    '~ code f 0x1-0x3',
    '~ section .text.f 4, none',
  ]);
});
