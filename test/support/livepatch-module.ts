import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  R_X86_64_64,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_MERGE,
  SHF_STRINGS,
  SHF_WRITE,
  STB_LOCAL,
  STT_FUNC,
  STT_OBJECT,
} from '../../src/elf/constants';
import {
  ENDBR,
  FTRACE_NOP,
  abs32s,
  code,
  disp32,
  encode,
  hex,
  plt32,
  ptr64,
  ref32,
  ref64,
  u16,
  u32,
  u64,
  type Body,
} from './fields';
import { LinkedKernel } from './linked-kernel';
import { ModuleDraft } from './module-draft';

/** Bytes before a function, sizes and places as a real 7.2 kernel has them. */
export const PREFIX = 16;
export const STRUCT_MODULE = { size: 1216, name: 24, init: 304, exit: 1176 };
export const KLP = { patch: 200, object: 168, func: 152 };

const WA = { flags: SHF_ALLOC | SHF_WRITE, align: 8 };
const AX = { flags: SHF_ALLOC | SHF_EXECINSTR };
const START_ORC = hex('080000000302');
const END_ORC = hex('000000000000');
const CRCS: Record<string, number> = {
  module_layout: 0x11111111,
  klp_enable_patch: 0x22222222,
  __x86_return_thunk: 0x33333333,
  __x86_indirect_thunk_rax: 0x44444444,
  _printk: 0x55555555,
  net_secret: 0x66666666,
};

/** A klp symbol's name. */
export const klp = (name: string, position = 0, object = 'vmlinux'): string => `.klp.sym.${object}.${name},${position}`;

/** What the tests call the places of `alpha`, in bytes from the section's start. */
export type Places = Record<string, number>;

export interface LivepatchFixture {
  module: ModuleDraft;
  /** Offsets in .text of labelled instructions, and of functions by name. */
  at: Places;
}

/** Pieces of code, some with a label, and where each label came to lie. */
function assemble(pieces: ReadonlyArray<readonly [label: string, body: Body]>): { body: Body; labels: Places } {
  const labels: Places = {};
  let at = 0;
  for (const [label, body] of pieces) {
    if (label !== '') labels[label] = at;
    at += encode(body, true).bytes.length;
  }
  return { body: code(...pieces.map(([, body]) => body)), labels };
}

/**
 * A small livepatch that is correct in all that the kernel looks at, with one entry at least in every table: replaces `alpha`
 * of vmlinux, which uses variables, functions, a static branch, a static call, an alternative and the like, and `loader` of
 * the module `loop`. Laid out as a writer of final modules does it, for a kernel with IBT, return thunks and prefixes of 16 NOPs.
 */
export function livepatchModule(): LivepatchFixture {
  const draft = new ModuleDraft();
  const at: Places = {};
  const strings: Places = {};
  let text = '';
  for (const string of ['alpha', 'loop', 'loader', 'alpha: %d\n', 'kernel/alpha.c']) {
    strings[string] = text.length;
    text += `${string}\0`;
  }
  draft.append('.rodata', Buffer.from(text));
  draft.append('.rodata.str2.2', hex('61 00 62 00 00 00'), {
    flags: SHF_ALLOC | SHF_MERGE | SHF_STRINGS,
    entsize: 2,
    align: 2,
  });
  const string = (value: string): [string, number] => ['.rodata', strings[value]!];

  const alpha = assemble([
    ['', ENDBR],
    ['ftrace', FTRACE_NOP],
    ['load', code(0x8b, 0x05, disp32(klp('counter')))],
    ['store', code(0x89, 0x05, disp32(klp('state', 2)))],
    ['increment', code(0xf0, 0xff, 0x05, disp32(klp('counter')))],
    ['callHelper', code(0xe8, plt32(klp('helper')))],
    ['callAssist', code(0xe8, plt32(klp('assist')))],
    ['callBeta', code(0xe8, plt32('beta'))],
    ['format', code(0x48, 0xc7, 0xc7, abs32s(...string('alpha: %d\n')))],
    ['wide', code(0x48, 0xc7, 0xc6, abs32s('.rodata.str2.2'))],
    ['print', code(0xe8, plt32('_printk'))],
    ['secret', code(0xe8, plt32('net_secret'))],
    ['branch', hex('0f 1f 44 00 00')],
    ['staticCall', code(0xe8, plt32(klp('__SCT__thing')))],
    ['alternative', hex('0f 1f 00')],
    ['faulting', hex('8b 06')],
    ['fixup', hex('31 c0')],
    ['indirect', code(0xe8, plt32('__x86_indirect_thunk_rax'))],
    ['table', code(0x48, 0x8b, 0x05, disp32('own_table', 8))],
    ['warn', hex('0f 0b')],
    ['slow', hex('31 d2')],
    ['return', code(0xe9, plt32('__x86_return_thunk'))],
  ]);
  const beta = assemble([
    ['', ENDBR],
    ['betaFtrace', FTRACE_NOP],
    ['', hex('31 c0')],
    ['betaReturn', code(0xe9, plt32('__x86_return_thunk'))],
  ]);
  const loader = assemble([
    ['', ENDBR],
    ['loaderFtrace', FTRACE_NOP],
    ['late', code(0x8b, 0x05, disp32(klp('loop_state', 0, 'loop')))],
    ['loaderReturn', code(0xe9, plt32('__x86_return_thunk'))],
  ]);
  const init = assemble([
    ['', ENDBR],
    ['patch', code(0x48, 0xc7, 0xc7, abs32s('patch'))],
    ['enable', code(0xe9, plt32('klp_enable_patch'))],
  ]);
  const cleanup = assemble([
    ['', ENDBR],
    ['cleanupReturn', code(0xe9, plt32('__x86_return_thunk'))],
  ]);
  const ends: number[] = [];
  for (const [name, { body, labels }] of Object.entries({
    alpha,
    beta,
    loader,
    init_module: init,
    cleanup_module: cleanup,
  })) {
    const size = encode(body, true).bytes.length;
    const start = draft.append('.text', code(new Uint8Array(PREFIX).fill(0x90), body), {
      ...AX,
      align: PREFIX,
      pad: 0xcc,
    });
    draft.define({
      name: `__pfx_${name}`,
      section: '.text',
      type: STT_FUNC,
      binding: STB_LOCAL,
      value: start,
      size: PREFIX,
    });
    draft.define({
      name,
      section: '.text',
      type: STT_FUNC,
      binding: name === 'beta' ? STB_LOCAL : 1,
      value: start + PREFIX,
      size,
    });
    at[name] = start + PREFIX;
    for (const [label, offset] of Object.entries(labels)) at[label] = start + PREFIX + offset;
    ends.push(start + PREFIX + size);
    draft.append('.orc_unwind_ip', code(ref32('.text', start), ref32('.text', start + PREFIX + size)));
    draft.append('.orc_unwind', code(START_ORC, END_ORC));
  }
  const site = (label: string): Body => [ref32('.text', at[label]!)];

  draft.append('.altinstr_replacement', hex('0f 01 cb'), AX);
  draft.append('.altinstructions', code(site('alternative'), ref32('.altinstr_replacement'), u32(0x134), [3, 3]));
  draft.append('__bug_table', code(site('warn'), ref32(...string('kernel/alpha.c')), u32(0), u16(12), u16(0x901)), {
    ...WA,
    entsize: 16,
  });
  draft.append('__ex_table', code(site('faulting'), site('fixup'), u32(3)), { align: 4 });
  draft.append('__jump_table', code(site('branch'), site('slow'), [ref64(klp('key'), 2)]), WA);
  draft.append('.static_call_sites', code(site('staticCall'), [ref32(klp('__SCK__thing'))]), {
    flags: SHF_ALLOC | SHF_WRITE,
    align: 4,
  });
  draft.append('.smp_locks', code(site('increment')), { align: 4 });
  draft.append(
    '__mcount_loc',
    code([ptr64('.text', at['ftrace'])], [ptr64('.text', at['betaFtrace'])], [ptr64('.text', at['loaderFtrace'])]),
    { align: 8 },
  );
  draft.append('.return_sites', code(...['return', 'betaReturn', 'loaderReturn', 'cleanupReturn'].map(site)));
  draft.append('.retpoline_sites', code(site('indirect')));
  draft.append('.call_sites', code(...['callHelper', 'callAssist', 'callBeta', 'print', 'secret'].map(site)));
  draft.append('.ibt_endbr_seal', code(site('alpha')));

  const table = draft.append('.data', code([ptr64('beta')], u64(7)), WA);
  draft.define({ name: 'own_table', section: '.data', type: STT_OBJECT, binding: STB_LOCAL, value: table, size: 16 });
  const zeros = (count: number): Uint8Array => new Uint8Array(count);
  const func = (name: string, replacement: string, position = 0): Body =>
    code([ptr64(...string(name))], [ptr64(replacement)], u64(position), zeros(KLP.func - 24));
  const funcs = {
    vmlinux: code(func('alpha', 'alpha'), zeros(KLP.func)),
    loop: code(func('loader', 'loader', 1), zeros(KLP.func)),
  };
  const place = (name: string, body: Body): void => {
    const value = draft.append('.data', body, WA);
    draft.define({
      name,
      section: '.data',
      type: STT_OBJECT,
      binding: STB_LOCAL,
      value,
      size: encode(body, true).bytes.length,
    });
    at[name] = value;
  };
  place('funcs_vmlinux', funcs.vmlinux);
  place('funcs_loop', funcs.loop);
  place(
    'objects',
    code(
      u64(0),
      [ptr64('funcs_vmlinux')],
      zeros(KLP.object - 16),
      [ptr64(...string('loop'))],
      [ptr64('funcs_loop')],
      zeros(KLP.object - 16),
      zeros(KLP.object),
    ),
  );
  place('patch', code([ptr64('__this_module')], [ptr64('objects')], u64(0), [1], zeros(KLP.patch - 25)));

  draft.append(
    '.modinfo',
    Buffer.from(
      'name=livepatch_alpha\0license=GPL\0livepatch=Y\0depends=\0retpoline=Y\0import_ns=NET\0vermagic=7.2.13 SMP preempt mod_unload modversions \0',
    ),
  );
  for (const [name, crc] of Object.entries(CRCS))
    draft.append(
      '__versions',
      code(u32(crc), u32(0), Buffer.concat([Buffer.from(name), Buffer.alloc(56)]).subarray(0, 56)),
      { align: 32 },
    );
  thisModule(draft, 'livepatch_alpha');
  for (const name of Object.keys(CRCS)) if (name !== 'module_layout') draft.define({ name, section: 'undefined' });
  for (const name of [
    klp('counter'),
    klp('state', 2),
    klp('helper'),
    klp('assist'),
    klp('__SCT__thing'),
    klp('key'),
    klp('__SCK__thing'),
    klp('loop_state', 0, 'loop'),
  ])
    draft.define({ name, section: 'livepatch', binding: 2 });
  return { module: draft, at };
}

function thisModule(draft: ModuleDraft, name: string): void {
  const content = Buffer.alloc(STRUCT_MODULE.size);
  content.write(name, STRUCT_MODULE.name);
  draft.append('.gnu.linkonce.this_module', content, { flags: SHF_ALLOC | SHF_WRITE, align: 64 });
  const { relas } = draft.section('.gnu.linkonce.this_module');
  for (const [off, sym] of [
    [STRUCT_MODULE.init, 'init_module'],
    [STRUCT_MODULE.exit, 'cleanup_module'],
  ] as const)
    relas.push({ off, type: R_X86_64_64, sym, addend: 0 });
  draft.define({
    name: '__this_module',
    section: '.gnu.linkonce.this_module',
    type: STT_OBJECT,
    size: STRUCT_MODULE.size,
  });
}

/** The files that the module is checked against: the kernel, its exports and types, another module of it, and PATCHED. */
export interface KernelFiles {
  vmlinux: string;
  symvers: string;
  btf: string;
  template: string;
  objects: string[];
}

export function kernelFiles(folder: string): KernelFiles {
  const path = (name: string): string => join(folder, name);
  const { module } = livepatchModule();
  const lines = Object.entries(CRCS).map(
    ([name, crc]) =>
      `0x${crc.toString(16)}\t${name}\tvmlinux\tEXPORT_SYMBOL_GPL\t${name === 'net_secret' ? 'NET' : ''}\n`,
  );
  writeFileSync(path('Module.symvers'), lines.join(''));
  writeFileSync(
    path('types.btf'),
    btf({
      module: { size: STRUCT_MODULE.size, members: { name: 24, init: 304, exit: 1176 } },
      klp_patch: { size: KLP.patch },
      klp_object: { size: KLP.object },
      klp_func: { size: KLP.func },
      bug_entry: { size: 16 },
    }),
  );
  return {
    vmlinux: testKernel().write(path('vmlinux')),
    symvers: path('Module.symvers'),
    btf: path('types.btf'),
    template: template(module).write(path('template.ko')),
    objects: [patched(module).write(path('patched.o'))],
  };
}

/** The kernel of the fixture: `state` twice, `dark` without an ftrace site, `early` in memory that is given back. */
export function testKernel(
  first: (kernel: LinkedKernel) => LinkedKernel = (kernel) => kernel.func('alpha'),
): LinkedKernel {
  return first(new LinkedKernel())
    .func('helper')
    .func('assist', { sealed: true })
    .func('dark', { site: false })
    .func('early', { init: true })
    .func('_printk')
    .func('net_secret')
    .func('klp_enable_patch')
    .func('__x86_return_thunk', { site: false })
    .func('__x86_indirect_thunk_rax', { site: false })
    .func('__SCT__thing', { site: false, size: 8 })
    .data('counter', 4)
    .data('state', 4, true)
    .data('state', 4, true)
    .data('key', 16)
    .data('__SCK__thing', 16);
}

/** A module of the kernel that is no livepatch. */
function template(module: ModuleDraft): ModuleDraft {
  const other = module.copy();
  other.section('.modinfo').bytes = Buffer.from(
    'name=other\0license=GPL\0retpoline=Y\0vermagic=7.2.13 SMP preempt mod_unload modversions \0',
  );
  return other;
}

/** PATCHED's object: the same functions and entries, with plain references. */
function patched(module: ModuleDraft): ModuleDraft {
  const object = module.copy();
  const plain = (name: string): string => /^\.klp\.sym\.[^.]+\.(.+),\d+$/.exec(name)?.[1] ?? name;
  for (const section of object.sections)
    section.relas = section.relas.map(({ off, type, sym, addend }) => ({ off, type, sym: plain(sym), addend }));
  for (const symbol of object.symbols)
    if (symbol.section === 'livepatch')
      Object.assign(symbol, { name: plain(symbol.name), section: 'undefined', binding: 1 });
  return object;
}

/** Raw BTF of structs whose members are all of one type, by offset in bytes. */
export function btf(structs: Record<string, { size: number; members?: Record<string, number> }>): Buffer {
  let strings = '\0';
  const name = (text: string): number => {
    const at = strings.length;
    strings += `${text}\0`;
    return at;
  };
  const words = [name('long'), 1 << 24, 8, 64];
  for (const [struct, { size, members = {} }] of Object.entries(structs)) {
    words.push(name(struct), (4 << 24) | Object.keys(members).length, size);
    for (const [member, offset] of Object.entries(members)) words.push(name(member), 1, offset * 8);
  }
  const types = Buffer.from(Uint32Array.from(words).buffer);
  const header = Buffer.alloc(24);
  header.writeUInt16LE(0xeb9f, 0);
  header[2] = 1;
  [24, 0, types.length, types.length, strings.length].forEach((value, i) => header.writeUInt32LE(value, 4 + i * 4));
  return Buffer.concat([header, types, Buffer.from(strings, 'latin1')]);
}
