import {
  EM_X86_64,
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
  SHF_ALLOC,
  SHF_WRITE,
  STT_FUNC,
  STT_NOTYPE,
} from '../elf/constants';
import { half } from './halves';
import type { BodyRules, PlatformRules, SynthProcessor, TableRules, TextRules } from './processor';
import { runsOf } from './runs';
import { STATIC_CALLS } from './static-calls';
import { ENDBR64, PADDING, encodeX8664 } from './x86-64-code';

const R_X86_64_32 = 10;
const A = SHF_ALLOC;
const WA = SHF_ALLOC | SHF_WRITE;

const XOR_EAX = [0x31, 0xc0];
const TEST_EAX = [0x85, 0xc0];
const RUNS = runsOf([
  [0x48, 0x89, 0xfb], // mov %rdi,%rbx
  [0x48, 0x89, 0xdf], // mov %rbx,%rdi
  XOR_EAX,
  TEST_EAX,
  [0x48, 0x83, 0xc3, 0x08], // add $8,%rbx
  [0x48, 0x8b, 0x43, 0x18], // mov 0x18(%rbx),%rax
  [0x89, 0x43, 0x10], // mov %eax,0x10(%rbx)
  [0x0f, 0xb6, 0xc0], // movzbl %al,%eax
  [0x48, 0xc1, 0xe0, 0x03], // shl $3,%rax
  [0x48, 0x85, 0xdb], // test %rbx,%rbx
  [0x48, 0x8d, 0x44, 0x03, 0xff], // lea -1(%rbx,%rax),%rax
  [0x66, 0x90], // xchg %ax,%ax
]);
const STAC = [0x0f, 0x01, 0xcb];
const X86_FEATURE_SMAP = 9 * 32 + 20;
const X86_FEATURE_CLEAR_BHB = 21 * 32 + 1;
const JE = 0x84;
/** Of anything that refers to something. */
const REFERENCE = 7;
const COST = { bytes: REFERENCE, relas: 1 };

const body: BodyRules = {
  landingPad: ENDBR64.length,
  tracing: 5,
  frame: 7,
  return: 6,
  // The return thunk; the call of ftrace.
  relas: { always: 1, traced: 1 },
  cost: () => COST,
  reference: REFERENCE,
  immediate: 5,
  branch: 6,
  conditions: [JE, 0x85, 0x88, 0x8f],
  runs: RUNS,
  sites: (sites) => [
    [
      sites.bugs,
      10,
      (random) => [
        { kind: 'plain', bytes: TEST_EAX },
        { kind: 'branch', condition: JE, over: 1 },
        { kind: 'bug', line: random.below(20), flags: 0x901 + 2 * random.below(2) },
      ],
    ],
    [sites.jumpLabels, 5, (_, key) => ({ kind: 'static-branch', key })],
    [sites.staticCalls, 5, (random) => ({ kind: 'static-call', call: random.below(STATIC_CALLS) })],
    [
      sites.faults,
      5,
      () => [{ kind: 'alternative', feature: X86_FEATURE_SMAP, replacement: STAC }, { kind: 'user-read' }],
    ],
    [
      sites.alternatives - sites.faults,
      5,
      () => ({ kind: 'alternative', feature: X86_FEATURE_CLEAR_BHB, replacement: [], call: 'clear_bhb_loop' }),
    ],
    [sites.locks, 3, () => ({ kind: 'locked' })],
    [sites.runtimeConstants, 10, () => ({ kind: 'runtime-constant' })],
  ],
  linkerSymbol: '__ref_stack_chk_guard',
  edits: { added: [0x48, 0x83, 0xc3, 0x10], cleared: XOR_EAX, reversed: false }, // add $0x10,%rbx
};

const text: TextRules = {
  align: PADDING,
  fill: 0xcc,
  prefixes: true,
  mappingSymbols: false,
  entries: { of: 'alone', before: PADDING },
  stub: (distance) => {
    const code = Uint8Array.of(0xe9, 0, 0, 0, 0);
    new DataView(code.buffer).setInt32(1, distance - code.length, true);
    return code;
  },
};

const list = (name: string, flags: number, align: number, entry: number, entsize: number, type = R_X86_64_PC32) => ({
  name,
  flags,
  align,
  entry,
  entsize,
  type,
});

/** Layouts are those of 6.12: 12-byte bug records, no entsize on what the assembler makes, no entry annotations. */
const tables: TableRules = {
  replacements: '.altinstr_replacement',
  alternative: ({ feature, length }) => [...half(feature), 0, 0, length, length],
  call: { bytes: [0xe8, 0, 0, 0, 0], field: 1, type: R_X86_64_PLT32, addend: -4 },
  bugAlign: 1,
  fault: [3, 0, 0, 0], // EX_TYPE_UACCESS
  staticCalls: true,
  lists: {
    runtime: list('runtime_ptr_USER_PTR_MAX', A, 1, 4, 0),
    returns: list('.return_sites', A, 1, 4, 4),
    calls: list('.call_sites', A, 1, 4, 4),
    retpolines: list('.retpoline_sites', A, 1, 4, 4),
    locks: list('.smp_locks', A, 4, 4, 0),
    unwinds: list('.orc_unwind_ip', A, 1, 4, 4),
    ftrace: list('__mcount_loc', A, 8, 8, 8, R_X86_64_64),
    seals: list('.ibt_endbr_seal', A, 1, 4, 4),
    annotations: list('.discard.annotate_insn', 0, 1, 8, 0),
    addressable: list('.discard.addressable', WA, 8, 8, 0, R_X86_64_64),
  },
  unwind: Uint8Array.of(8, 0, 0xf0, 0xff, 0x25, 0x01), // offsets from the stack pointer
};

/** Return thunks are NOTYPE in assembler. */
const platform: PlatformRules = {
  file: 'entry_64.S',
  functions: [
    ['__fentry__', STT_FUNC],
    ['__x86_return_thunk', STT_NOTYPE],
    ['clear_bhb_loop', STT_FUNC],
    ['memcpy', STT_FUNC],
    ['__x86_indirect_thunk_rax', STT_NOTYPE],
  ],
  code: [...ENDBR64, 0xc3, 0xcc, 0xcc, 0xcc],
  // jmp; ud1 %esp,%ecx marks a trampoline
  trampoline: { code: [0xe9, 0, 0, 0, 0, 0x0f, 0xb9, 0xcc], field: 1, type: R_X86_64_PLT32, addend: -4 },
  runtimeVariable: 'USER_PTR_MAX',
};

export const X86_64: SynthProcessor = {
  machine: EM_X86_64,
  types: { address: R_X86_64_64, distance: R_X86_64_PC32, distance64: R_X86_64_PC64, offset: R_X86_64_32 },
  body,
  text,
  tables,
  platform,
  encode: encodeX8664,
};
