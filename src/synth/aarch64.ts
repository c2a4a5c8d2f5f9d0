import { EM_AARCH64, SHF_ALLOC, SHF_WRITE, STT_FUNC } from '../elf/constants';
import { NOP, RET, encodeAarch64 } from './aarch64-code';
import { R_AARCH64 } from './aarch64-relocations';
import { half, word } from './halves';
import type { Op } from './model';
import type { BodyRules, PlatformRules, SynthProcessor, TableRules, TextRules } from './processor';
import type { Random } from './random';
import { runsOf } from './runs';
import { STATIC_CALLS } from './static-calls';

const A = SHF_ALLOC;
const WA = SHF_ALLOC | SHF_WRITE;

const CLEAR = word(0x2a1f03e0); // mov w0,wzr
const TEST = word(0x7100001f); // cmp w0,#0
/** With kCFI's check: ldur w16,[x8,#-4]; movk w17,#lo; movk w17,#hi,lsl #16; cmp w16,w17; b.eq .+8; brk #0x8228; blr x8 */
const INDIRECT_CALL = [0xb85fc110, 0x7298b4d1, 0x72a6d631, 0x6b11021f, 0x54000040, 0xd4304500, 0xd63f0100];
const RUNS = runsOf([
  word(0xaa0003f3), // mov x19,x0
  word(0xaa1303e0), // mov x0,x19
  CLEAR,
  TEST,
  word(0x91002273), // add x19,x19,#8
  word(0xf9400e60), // ldr x0,[x19,#24]
  word(0xb9001260), // str w0,[x19,#16]
  word(0x12001c00), // and w0,w0,#0xff
  word(0xd37df000), // lsl x0,x0,#3
  word(0xf100027f), // cmp x19,#0
  word(0xd1000400), // sub x0,x0,#1
  word(0x8b000260), // add x0,x19,x0
  word(0x1ac02021), // lslv w1,w1,w0
  word(0xb9400408), // ldr w8,[x0,#4]
  INDIRECT_CALL.flatMap(word),
]);
const EQ = 0;
/** Capabilities by their numbers in 7.3.4: they are numbered when a kernel is built. */
const LDAPR = 0x29;
const LSE_ATOMICS = 0x2b;
const VIRT_HOST = 0x41;
/** Bit of a capability: a function writes the instructions. */
const CALLBACK = 0x8000;

const PAIR = { bytes: 8, relas: 2 };
const CALL = { bytes: 4, relas: 1 };
const STORE = { bytes: 12, relas: 2 };

/** Shares as in 7.3.4: READ_ONCE under LTO, per-CPU variables' base, and atomic instructions. */
function alternative(random: Random): Op {
  const roll = random.below(100);
  // ldr x8,[x0] and ldapr x8,[x0]
  if (roll < 65)
    return { kind: 'alternative', feature: LDAPR, original: word(0xf9400008), replacement: word(0xf8bfc008) };
  // mrs x8,tpidr_el1 and mrs x8,tpidr_el2
  if (roll < 85)
    return { kind: 'alternative', feature: VIRT_HOST, original: word(0xd538d088), replacement: word(0xd53cd048) };
  return { kind: 'alternative', feature: LSE_ATOMICS | CALLBACK, original: NOP, replacement: [], call: PATCH_NOPS };
}

const PATCH_NOPS = 'alt_cb_patch_nops';

const body: BodyRules = {
  landingPad: 0,
  tracing: 8,
  frame: 28,
  return: 4,
  relas: { always: 0, traced: 0 },
  cost: ({ kind }) => (kind === 'call' ? CALL : kind === 'store' ? STORE : PAIR),
  reference: 8,
  immediate: 4,
  branch: 4,
  conditions: [EQ, 1, 8, 12], // eq, ne, hi, gt
  runs: RUNS,
  sites: (sites) => [
    [
      sites.bugs,
      12,
      (random) => [
        { kind: 'plain', bytes: TEST },
        { kind: 'branch', condition: EQ, over: 1 },
        { kind: 'bug', line: random.below(20), flags: 0x901 + 2 * random.below(2) },
      ],
    ],
    [sites.jumpLabels, 4, (_, key) => ({ kind: 'static-branch', key })],
    [sites.staticCalls, 4, (random) => ({ kind: 'static-call', call: random.below(STATIC_CALLS) })],
    [sites.faults, 4, () => ({ kind: 'user-read' })],
    [sites.alternatives, 4, alternative],
    [sites.runtimeConstants, 16, () => ({ kind: 'runtime-constant' })],
  ],
  // The linker script says where it is: in jiffies_64.
  linkerSymbol: 'jiffies',
  edits: { added: word(0x91004273), cleared: CLEAR, reversed: true }, // add x19,x19,#16
};

const text: TextRules = {
  align: 4,
  fill: 0,
  prefixes: false,
  mappingSymbols: true,
  entries: { of: 'traced', before: 0 },
  stub: (distance) => Uint8Array.from(word(0x14000000 | ((distance >> 2) & 0x3ffffff))), // b
};

/** Layouts are those of 7.3. */
const tables: TableRules = {
  replacements: null,
  alternative: ({ feature, length, written }) => [...half(feature), length, written ? 0 : length],
  call: null,
  bugAlign: 4,
  fault: [2, 0, 0x08, 0], // EX_TYPE_UACCESS_ERR_ZERO: nothing gets the error, w8 becomes 0
  staticCalls: false,
  lists: {
    runtime: {
      name: 'runtime_ptr_dentry_hashtable',
      flags: A,
      align: 1,
      entry: 4,
      entsize: 0,
      type: R_AARCH64.PREL32,
    },
    addressable: {
      name: '.discard.addressable',
      flags: WA,
      align: 8,
      entry: 8,
      entsize: 0,
      type: R_AARCH64.ABS64,
    },
  },
  unwind: null,
};

const platform: PlatformRules = {
  file: 'entry.S',
  functions: [
    ['memcpy', STT_FUNC],
    [PATCH_NOPS, STT_FUNC],
  ],
  code: [...NOP, ...RET],
  trampoline: null,
  runtimeVariable: 'dentry_hashtable',
};

export const AARCH64: SynthProcessor = {
  machine: EM_AARCH64,
  types: {
    address: R_AARCH64.ABS64,
    distance: R_AARCH64.PREL32,
    distance64: R_AARCH64.PREL64,
    offset: R_AARCH64.ABS32,
  },
  body,
  text,
  tables,
  platform,
  encode: encodeAarch64,
};
