/**
 * The rules that no livepatch may break, as `verify` checks them in its own way. Each module here loads without a message: what it guards
 * against is a livepatch that runs and does the wrong thing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Diagnostic } from '../../src/diagnostics';
import {
  R_X86_64_PLT32,
  SHF_ALLOC,
  SHF_MERGE,
  SHF_STRINGS,
  STB_LOCAL,
  STT_FUNC,
  STT_OBJECT,
} from '../../src/elf/constants';
import { verify, type VerifyRequest } from '../../src/verify';
import { code, hex, ptr64, ref32, ref64, u64 } from '../support/elf-builder';
import type { LinkedKernel } from '../support/linked-kernel';
import {
  PREFIX,
  kernelFiles,
  klp,
  livepatchModule,
  testKernel,
  type KernelFiles,
  type Places,
} from '../support/livepatch-module';
import type { ModuleDraft } from '../support/module-draft';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const path = (name: string): string => join(folder, name);
let files: KernelFiles;

beforeAll(() => {
  files = kernelFiles(folder);
});

function module(spoil: (draft: ModuleDraft, at: Places) => void = () => undefined): string {
  const { module: draft, at } = livepatchModule();
  spoil(draft, at);
  writeFileSync(path('made.ko'), draft.bytes());
  return path('made.ko');
}

/** PATCHED's object as the fixture has it, changed. */
function object(change: (draft: ModuleDraft, at: Places) => void): string {
  const { module: draft, at } = livepatchModule();
  for (const section of draft.sections)
    section.relas = section.relas.map(({ off, type, sym, addend }) => ({ off, type, sym: plain(sym), addend }));
  for (const symbol of draft.symbols)
    if (symbol.section === 'livepatch')
      Object.assign(symbol, { name: plain(symbol.name), section: 'undefined', binding: 1 });
  change(draft, at);
  writeFileSync(path('patched.o'), draft.bytes());
  return path('patched.o');
}

const plain = (name: string): string => /^\.klp\.sym\.[^.]+\.(.+),\d+$/.exec(name)?.[1] ?? name;

const kernel = (first?: (kernel: LinkedKernel) => LinkedKernel): string => testKernel(first).write(path('kernel'));

function found(request: VerifyRequest): string[] {
  const { symvers, btf, template } = files;
  const all: Diagnostic[] = verify({ symvers, btf, template, ...request }).diagnostics;
  return all.filter((one) => one.code !== 'verify-not-checked').map((one) => `${one.code}: ${one.message}`);
}

const ALPHA = (own: LinkedKernel): LinkedKernel => own.func('alpha');

describe("keys of the patched module, whose addresses come too late for a livepatch's tables", () => {
  /** An entry of the object that the module does not have. */
  const lost = (place: string, key: string, exporter?: string): string[] => {
    const symvers = path('keys.symvers');
    const line = exporter === undefined ? '' : `0x00000001\t${key}\t${exporter}\tEXPORT_SYMBOL_GPL\t\n`;
    writeFileSync(symvers, readFileSync(files.symvers, 'utf8') + line);
    const objects = [
      object((draft, at) => {
        draft.append('__jump_table', code([ref32('.text', at[place]!)], [ref32('.text', at[place]!)], [ref64(key, 8)]));
        draft.define({ name: key, section: 'undefined' });
      }),
    ];
    return found({ module: module(), vmlinux: kernel(ALPHA), objects, symvers });
  };
  const MISSING = [expect.stringMatching(/^verify-missing-entry: .*the object has an entry in __jump_table here/)];

  test('a tracepoint of it may stay off', () => {
    expect(lost('late', '__tracepoint_loop_read')).toEqual([]);
  });

  // Debian's 6.12: nvme_poll_cq() of nvme traces nvme_sq, which nvme_core exports, and may come later than the livepatch.
  test('one that another module exports may, too; one of vmlinux may not', () => {
    expect(lost('late', '__tracepoint_nvme_sq', 'drivers/nvme/host/nvme-core')).toEqual([]);
    expect(lost('late', '__tracepoint_nvme_sq', 'vmlinux')).toEqual(MISSING);
  });

  test('a call of its tracepoint goes through the trampoline', () => {
    const without = (name: string): string[] => {
      const own = (draft: ModuleDraft, at: Places): void => {
        // Another has one, so that static calls are in use.
        draft.rela('.static_call_sites', 0).addend = at['callHelper']!;
        const rela = draft.section('.text').relas.find(({ off }) => off === at['staticCall']! + 1)!;
        Object.assign(rela, { sym: klp(name, 0, 'loop'), klp: 'loop' });
        draft.define({ name: klp(name, 0, 'loop'), section: 'livepatch', binding: 2 });
      };
      const all = found({ module: module(own), vmlinux: kernel(ALPHA) });
      return all.filter((one) => one.startsWith('verify-missing-entry'));
    };
    expect(without('__SCT__tp_func_loop_read')).toEqual([]);
    expect(without('__SCT__loop_op')).toEqual([expect.stringContaining('a static call (__SCT__loop_op)')]);
  });

  test('a key that decides what its code does may not be lost, nor any of vmlinux', () => {
    expect(lost('late', 'loop_key')).toEqual(MISSING);
    expect(lost('increment', '__tracepoint_sys_enter')).toEqual(MISSING);
  });
});

test('where a function ends and another begins at once, what counts is how that begins', () => {
  // bm_status_read.cold of 6.1 lies right behind its function: the end of the one and the start of the other have one address.
  const entry = (draft: ModuleDraft, at: Places, word: string): void => {
    draft.append('.orc_unwind_ip', code([ref32('.text', at['beta']!)]));
    draft.append('.orc_unwind', hex(word));
  };
  const objects = [object((draft, at) => entry(draft, at, '080000000302'))];
  const words = (...all: string[]): string[] => {
    const own = module((draft, at) => all.forEach((word) => entry(draft, at, word)));
    return found({ module: own, vmlinux: kernel(ALPHA), objects }).filter((one) => one.includes('ORC word'));
  };
  expect(words('000000000000', '080000000302')).toEqual([]);
  expect(words('000000000000', '100000000302')).toEqual([expect.stringMatching(/^verify-object-differs/)]);
  expect(words('000000000000')).toEqual([expect.stringMatching(/^verify-object-differs/)]);
});

describe('an address that is redirected', () => {
  /** Two functions of vmlinux in the form of klp-build: the second one under another name. */
  const twoFuncs = (): string =>
    module((draft) => {
      draft.sections.splice(draft.sections.indexOf(draft.section('.ibt_endbr_seal')), 1);
      for (const name of ['alpha', 'loader']) draft.relaTo('.data', name).sym = 'own_table';
      const name = draft.append('.rodata', Buffer.from('gamma\0'));
      draft.append(
        '.init.klp_objects',
        code(u64(0), [ptr64('.init.klp_funcs')], new Uint8Array(40), [2, 0, 0, 0, 0, 0, 0, 0]),
      );
      draft.append(
        '.init.klp_funcs',
        code([ptr64('.rodata')], [ptr64('alpha')], u64(0), [ptr64('.rodata', name)], [ptr64('loader')], u64(0)),
      );
    });

  test('has one klp_func, under whatever names', () => {
    expect(found({ module: twoFuncs(), vmlinux: kernel((own) => ALPHA(own).func('gamma')) })).toEqual([]);
    expect(found({ module: twoFuncs(), vmlinux: kernel((own) => ALPHA(own).alias('gamma')) })).toEqual([
      expect.stringMatching(/^verify-klp-func: .*gamma stands at the address of alpha/),
    ]);
  });

  test('stands for one function: another name of the address must not be another body in the object', () => {
    const vmlinux = kernel((own) => ALPHA(own).alias('omega'));
    const place =
      (name: string) =>
      (draft: ModuleDraft, at: Places): void =>
        draft.define({
          name: 'omega',
          section: '.text',
          type: STT_FUNC,
          binding: STB_LOCAL,
          value: at[name]!,
          size: draft.symbol(name).size,
        });
    expect(found({ module: module(), vmlinux, objects: [object(place('alpha'))] })).toEqual([]);
    expect(found({ module: module(), vmlinux, objects: [object(place('beta'))] })).toEqual([
      expect.stringMatching(/^verify-klp-func: .*omega stands at the address of alpha, too/),
    ]);
  });

  test("is kept as the original's: a pointer to the replacement would not compare equal, and dangle", () => {
    const vmlinux = kernel();
    const kept = module((draft) => void (draft.relaTo('.data', 'beta').sym = 'alpha'));
    expect(found({ module: kept, vmlinux }).filter((text) => text.startsWith('verify-function-address'))).toEqual([
      expect.stringContaining('the address of alpha is kept'),
    ]);
    // The premise: the same pointer to a function that replaces nothing is right.
    expect(found({ module: module(), vmlinux })).toEqual([]);
  });
});

describe('a variable of the kernel', () => {
  test('that is read-only there is not written', () => {
    const vmlinux = (section: '.data' | '.rodata'): string => {
      const path = join(folder, `kernel${section}`);
      const own = testKernel((first) => ALPHA(first).data('state', 4, true, '.data').data('config', 4, true, section));
      return own.write(path);
    };
    const stores = module((draft, at) => {
      draft.define({ name: klp('config'), section: 'livepatch', binding: 2 });
      draft.rela('.text', at['store']! + 2).sym = klp('config');
    });
    const reads = (): string =>
      module((draft, at) => {
        draft.define({ name: klp('config'), section: 'livepatch', binding: 2 });
        draft.rela('.text', at['load']! + 2).sym = klp('config');
      });
    expect(found({ module: stores, vmlinux: vmlinux('.data') })).toEqual([]);
    expect(found({ module: stores, vmlinux: vmlinux('.rodata') })).toEqual([
      expect.stringMatching(/^verify-placement: .*config of vmlinux is written/),
    ]);
    expect(
      found({ module: reads(), vmlinux: vmlinux('.rodata') }).filter((text) => text.startsWith('verify-placement')),
    ).toEqual([]);
  });

  test("that leads into the middle of a function is that function's, and no klp relocation leads there", () => {
    const table =
      (into: number) =>
      (draft: ModuleDraft, at: Places): void => {
        const value = draft.append('.data', code([ptr64('.text', at['alpha']! + into)]));
        draft.symbols.splice(draft.symbols.indexOf(draft.symbol('counter')), 1);
        draft.define({ name: 'counter', section: '.data', type: STT_OBJECT, value, size: 8 });
      };
    const [entry, inside] = [0, 9].map((into) =>
      found({ module: module(), vmlinux: kernel(), objects: [object(table(into))] }),
    );
    expect(entry!.filter((text) => text.includes('leads into'))).toEqual([]);
    expect(inside).toContainEqual(
      expect.stringMatching(/^verify-target: .*counter of the kernel leads into the middle of alpha/),
    );
  });
});

test('two references into one literal keep their distance', () => {
  const STRINGS = { flags: SHF_ALLOC | SHF_MERGE | SHF_STRINGS, entsize: 1 };
  const both =
    (torn: boolean) =>
    (draft: ModuleDraft, at: Places): void => {
      const start = draft.append('.rodata.str1.1', Buffer.from('a literal\0'), STRINGS);
      const copy = draft.append('.rodata.str1.1', Buffer.from('literal\0'), STRINGS);
      Object.assign(draft.rela('.text', at['format']! + 3), { sym: '.rodata.str1.1', addend: start });
      Object.assign(draft.rela('.text', at['wide']! + 3), { sym: '.rodata.str1.1', addend: torn ? copy : start + 2 });
    };
  const objects = [object(both(false))];
  expect(found({ module: module(both(false)), vmlinux: kernel(), objects })).toEqual([]);
  expect(found({ module: module(both(true)), vmlinux: kernel(), objects })).toEqual([
    expect.stringMatching(/^verify-object-differs: .*2 bytes behind another reference.*torn/),
  ]);
});

test('data keeps its alignment', () => {
  const aligned = object((draft) => void (draft.section('.data').align = 64));
  expect(
    found({
      module: module((draft) => void (draft.section('.data').align = 64)),
      vmlinux: kernel(),
      objects: [aligned],
    }),
  ).toEqual([]);
  expect(found({ module: module(), vmlinux: kernel(), objects: [aligned] })).toContainEqual(
    expect.stringMatching(/^verify-object-differs: .*not aligned as in the object.* 64 bytes/),
  );
});

describe('kCFI', () => {
  const hashed =
    (opcode: string, hash: string) =>
    (draft: ModuleDraft, at: Places): void => {
      draft.section('.text').bytes.set(hex(`${opcode}${hash}`), at['alpha']! - PREFIX);
      draft.define({
        name: '__cfi_alpha',
        section: '.text',
        type: STT_FUNC,
        binding: STB_LOCAL,
        value: at['alpha']! - PREFIX,
        size: PREFIX,
      });
    };

  /** The draft's own init and exit have no preambles. */
  const ofAlpha = (all: string[]): string[] =>
    all.filter((each) => !/^verify-type-hash: (?:init|cleanup)_module/.test(each));

  test("the type of a replacement is its original's, whatever register tells of its arguments", () => {
    const vmlinux = kernel((own) => own.func('alpha', { hash: 0x12345678 }));
    for (const opcode of ['b8', 'b9', 'bf'])
      expect(ofAlpha(found({ module: module(hashed(opcode, '78563412')), vmlinux })), opcode).toEqual([]);
    const other = module(hashed('b8', '79563412'));
    // A table of PATCHED has it, so one of the kernel may: the call traps.
    expect(ofAlpha(found({ module: other, vmlinux, objects: [object(hashed('b8', '79563412'))] }))).toEqual([
      expect.stringMatching(/^verify-type-hash: .*0x12345678 in the kernel, 0x12345679/),
    ]);
    // Nobody calls it but by its name, and the patch changes all callers: a refusal would be wrong.
    const called = object((draft, at) => {
      hashed('b8', '79563412')(draft, at);
      draft.relaTo('.data', 'alpha').sym = 'beta';
    });
    expect(
      ofAlpha(found({ module: other, vmlinux, objects: [called] })).filter((each) =>
        each.startsWith('verify-type-hash'),
      ),
    ).toEqual([]);
    // Without PATCHED nothing tells, and that is said.
    expect(ofAlpha(found({ module: other, vmlinux }))).toEqual([]);
    const { symvers, btf, template } = files;
    expect(
      verify({ module: other, vmlinux, symvers, btf, template }).diagnostics.map(({ message }) => message),
    ).toContainEqual(expect.stringMatching(/^whether anything calls alpha through a pointer, .*0x12345679/));
    // No preamble but other bytes before the function.
    expect(found({ module: module(hashed('3d', '78563412')), vmlinux })).toContainEqual(
      expect.stringMatching(/^verify-prefix: /),
    );
  });
});

describe('a runtime constant', () => {
  test('of a mask is no immediate of a module', () => {
    for (const placed of ['25 78 56 34 12', '81 e1 78 56 34 12', '41 81 e1 78 56 34 12']) {
      const bytes = hex(placed);
      const masked = module((draft) => {
        const value = draft.append('.text.more', code(bytes, hex('c3')), { flags: SHF_ALLOC | 4, align: 16 });
        draft.define({
          name: 'more',
          section: '.text.more',
          type: STT_FUNC,
          binding: STB_LOCAL,
          value,
          size: bytes.length + 1,
        });
      });
      expect(found({ module: masked, vmlinux: kernel() }), placed).toContainEqual(
        expect.stringMatching(/^verify-runtime-constant: .*0x12345678/),
      );
    }
    // The number alone is none: `or $0x12345678,%ecx`.
    const other = module((draft) => {
      const value = draft.append('.text.more', hex('81 c9 78 56 34 12 c3'), { flags: SHF_ALLOC | 4, align: 16 });
      draft.define({ name: 'more', section: '.text.more', type: STT_FUNC, binding: STB_LOCAL, value, size: 7 });
    });
    expect(found({ module: other, vmlinux: kernel() }).filter((text) => text.startsWith('verify-runtime'))).toEqual([]);
  });

  test('of any kind has no table in a module', () => {
    const table = module((draft) => void draft.append('runtime_slope_x', hex('00000000')));
    expect(found({ module: table, vmlinux: kernel() })).toContainEqual(
      expect.stringMatching(/^verify-runtime-constant: runtime_slope_x/),
    );
  });

  test('is read from its variable by an instruction of the same length', () => {
    const mask =
      (bytes: string, reads: boolean) =>
      (draft: ModuleDraft): void => {
        const value = draft.append('.text', code(hex(`f3 0f 1e fa ${bytes} c3`)), { flags: SHF_ALLOC | 4 });
        draft.define({ name: 'masked', section: '.text', type: STT_FUNC, binding: STB_LOCAL, value, size: 11 });
        if (reads) {
          draft.define({ name: klp('limit'), section: 'livepatch', binding: 2 });
          draft.section('.text').relas.push({ off: value + 6, type: 2, sym: klp('limit'), addend: -4, klp: 'vmlinux' });
        } else {
          draft.append('runtime_mask_limit', hex('00000000'));
          draft.section('runtime_mask_limit').relas.push({ off: 0, type: 2, sym: '.text', addend: value + 6 });
        }
      };
    const objects = [object(mask('81 e1 78 56 34 12', false))];
    const vmlinux = kernel((own) => ALPHA(own).data('limit', 4, true));
    const about = (list: string[]): string[] => list.filter((text) => text.includes('runtime'));
    expect(about(found({ module: module(mask('23 0d 00 00 00 00', true)), vmlinux, objects }))).toEqual([]);
    expect(about(found({ module: module(mask('23 15 00 00 00 00', true)), vmlinux, objects }))).toEqual([
      expect.stringMatching(/the runtime constant limit is not read/),
    ]);
  });
});

test('the fixture itself has no finding, so that each of these has one reason', () => {
  expect(found({ module: module(), vmlinux: kernel(), objects: files.objects })).toEqual([]);
  expect(readFileSync(path('made.ko')).equals(livepatchModule().module.bytes())).toBe(true);
});

describe('a branch through the GOT in the object', () => {
  const GOTPCRELX = 41;
  const JUMP = { object: [0xff, 0x25], module: 0xe9 } as const;
  const CALL = { object: [0xff, 0x15], module: 0xe8 } as const;
  /** Six bytes of alpha, a load in the fixture, as `call *helper@GOTPCREL(%rip)` or `jmp *`. */
  const through = ({ object: opcode }: typeof JUMP | typeof CALL, addend = -4): string =>
    object((draft, at) => {
      draft.section('.text').bytes.set([...opcode, 0, 0, 0, 0], at['load']!);
      Object.assign(draft.rela('.text', at['load']! + 2), { type: GOTPCRELX, sym: 'helper', addend });
    });
  const direct = (opcode: number, last: number, sym: string): string =>
    module((draft, at) => {
      draft.section('.text').bytes.set([opcode, 0, 0, 0, 0, last], at['load']!);
      Object.assign(draft.rela('.text', at['load']! + 2), {
        off: at['load']! + 1,
        type: R_X86_64_PLT32,
        sym: klp(sym),
        addend: -4,
      });
    });
  const differences = (made: string, original: string): string[] =>
    found({ module: made, vmlinux: kernel(), objects: [original] })
      .filter((text) => text.startsWith('verify-object-differs'))
      .map((text) => text.replace(/^verify-object-differs: /, ''));

  test.each([
    ['call', CALL],
    ['jmp', JUMP],
  ] as const)('%s is a direct one in the module, with a nop behind it', (_, form) => {
    expect(differences(direct(form.module, 0x90, 'helper'), through(form))).toEqual([]);
  });

  // Each loads; the last byte would be executed when the call returns.
  test('to another function, of the other kind, or with something else behind it is found', () => {
    expect(differences(direct(CALL.module, 0x90, 'assist'), through(CALL))).toEqual([
      expect.stringMatching(/assist.*helper|helper.*assist/),
    ]);
    expect(differences(direct(JUMP.module, 0x90, 'helper'), through(CALL))).toEqual([
      expect.stringMatching(/the byte here is e9, in the object e8/),
    ]);
    expect(differences(direct(CALL.module, 0xc3, 'helper'), through(CALL))).toEqual([
      expect.stringMatching(/the byte here is c3, in the object 90/),
    ]);
  });

  test('that does not end with its field stays what it is', () => {
    expect(differences(direct(CALL.module, 0x90, 'helper'), through(CALL, -5))).not.toEqual([]);
  });
});
