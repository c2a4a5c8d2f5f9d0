import { append } from '../../lists';
import {
  ABS64,
  ADD_ABS_LO12_NC as ADD_LO12,
  ADR_PREL_PG_HI21 as ADRP,
  ADR_PREL_PG_HI21_NC as ADRP_NC,
  CALL26,
  JUMP26,
  LDST64_ABS_LO12_NC as LDST64_LO12,
} from '../../arch/aarch64-relocations';
import { SHF_ALLOC, STB_GLOBAL, STB_LOCAL, STT_FUNC, STT_NOTYPE } from '../../elf';
import type { OutputRela, OutputSection, OutputSymbol } from '../object';
import { placeCode } from './code-place';
import type { ImageKlpRela, ModuleImage } from './image';
import type { Platform } from './platform';
import type { ModuleProcessor } from './processor';
import { klpSymbolName } from '../klp/layout';

const BTI_C = 0xd503245f;
const RET = 0xd65f03c0;
/** `adrp x0, patch; add x0, x0, :lo12:patch; b klp_enable_patch`. */
const ENABLE = [0x90000000, 0x91000000, 0x14000000];
/** `adrp x16, F; add x16, x16, :lo12:F; ret x16`: a return needs no landing pad. */
const FAR = [0x90000010, 0x91000210, 0xd65f0200];
/** `adrp x16, slot; ldr x16, [x16, :lo12:slot]`, then `br x16` or `ret x16`. */
const THROUGH_SLOT = [0x90000010, 0xf9400210];
const BR_X16 = 0xd61f0200;
const RET_X16 = 0xd65f0200;
/** Bytes of a pointer. */
const SLOT = 8;

/** Named by the kernel's module.lds.h: the loader makes room in them, and refuses a module without (arch/arm64/kernel/module-plts.c, module.c). */
const LOADERS = ['.plt', '.init.plt', '.text.ftrace_trampoline', '.init.text.ftrace_trampoline'];

export const AARCH64: ModuleProcessor = {
  gap: 0,
  // Cortex-A53 erratum 843419: there the loader would have to put a branch in place of the instruction, once, whatever applies it again.
  isMisplaced: (type, offset) => (type === ADRP || type === ADRP_NC) && (offset & 0xfff) >= 0xff8,
  canWriteEntryCode: ({ kcfi }) => typeof kcfi !== 'string',

  addEntryCode(image, platform, patch) {
    const kcfi = typeof platform.kcfi === 'string' ? null : platform.kcfi;
    const pad = platform.ibt ? [BTI_C] : [];
    const at = pad.length * 4;
    const init = addFunction(
      image,
      'init_module',
      [...hashOf(kcfi?.init)],
      [...pad, ...ENABLE],
      [
        { offset: at, type: ADRP, symbol: patch, addend: 0 },
        { offset: at + 4, type: ADD_LO12, symbol: patch, addend: 0 },
        { offset: at + 8, type: JUMP26, symbol: image.importSymbol('klp_enable_patch'), addend: 0 },
      ],
    );
    return { init, exit: addFunction(image, 'cleanup_module', [...hashOf(kcfi?.exit)], [...pad, RET], []) };
  },

  finish(image, platform) {
    bridge(image, platform);
    for (const name of LOADERS) image.section(name, SHF_ALLOC).append(1);
  },
};

/** A function's hash stands right before it, as a word. */
function hashOf(hash: number | undefined): number[] {
  return hash === undefined ? [] : [hash];
}

function addFunction(
  image: ModuleImage,
  name: string,
  before: readonly number[],
  code: readonly number[],
  relas: readonly OutputRela[],
): OutputSymbol {
  const lead = before.length * 4;
  const start = addWords(
    image.text,
    [...before, ...code],
    relas.map((rela) => ({ ...rela, offset: lead + rela.offset })),
  );
  if (lead > 0)
    for (const [mark, value] of [
      ['$d', start],
      ['$x', start + lead],
    ] as const)
      image.define({ name: mark, info: (STB_LOCAL << 4) | STT_NOTYPE, section: image.text, value, size: 0 });
  return image.define({
    name,
    info: (STB_GLOBAL << 4) | STT_FUNC,
    section: image.text,
    value: start + lead,
    size: code.length * 4,
  });
}

/** Adds instructions with their relocations; returns where they begin. */
function addWords(text: OutputSection, words: readonly number[], relas: readonly OutputRela[]): number {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => view.setUint32(i * 4, word, true));
  const start = placeCode(AARCH64, text, bytes, 4, relas);
  for (const rela of relas) text.relas.push({ ...rela, offset: start + rela.offset });
  return start;
}

/**
 * Branches that no relocation of the livepatch core may stand for lead to code beside them that does: to a function of a module, because the loader bridges a
 * distance while it loads the livepatch and not later, when that code is read-only (`module_emit_plt_entry` oopses); where branch targets are protected
 * to any function, because the loader's bridge ends in `br`, and a static function has no landing pad.
 */
function bridge(image: ModuleImage, platform: Platform): void {
  const veneers = new Map<string, OutputSymbol>();
  const kept: ImageKlpRela[] = [];
  for (const rela of image.klpRelas.splice(0)) {
    const late = rela.object !== 'vmlinux';
    if ((rela.type !== JUMP26 && rela.type !== CALL26) || !(late || platform.ibt)) {
      kept.push(rela);
      continue;
    }
    const key = `${rela.object} ${klpSymbolName(rela.target)} ${rela.addend}`;
    let veneer = veneers.get(key);
    if (veneer === undefined) {
      veneer = late ? addSlotVeneer(image, platform, rela, kept) : addFarVeneer(image, rela, kept);
      veneers.set(key, veneer);
    }
    rela.section.relas.push({ offset: rela.offset, type: rela.type, symbol: veneer, addend: 0 });
  }
  append(image.klpRelas, kept);
}

/** A veneer that reads where to go from a slot, which is data and may be written at any time. */
function addSlotVeneer(image: ModuleImage, { ibt }: Platform, rela: ImageKlpRela, kept: ImageKlpRela[]): OutputSymbol {
  const { data } = image;
  const slot = data.append(SLOT, SLOT);
  const symbol = image.sectionSymbol(data);
  const start = addWords(
    image.text,
    [...THROUGH_SLOT, ibt ? RET_X16 : BR_X16],
    [
      { offset: 0, type: ADRP, symbol, addend: slot },
      { offset: 4, type: LDST64_LO12, symbol, addend: slot },
    ],
  );
  kept.push({ ...rela, section: data, offset: slot, type: ABS64 });
  return veneerAt(image, start, 12, rela.target.name);
}

/** A veneer that makes the address, from wherever the module lies. */
function addFarVeneer(image: ModuleImage, rela: ImageKlpRela, kept: ImageKlpRela[]): OutputSymbol {
  const { text } = image;
  const fields = [
    { offset: 0, type: ADRP },
    { offset: 4, type: ADD_LO12 },
  ];
  const start = addWords(text, FAR, []);
  for (const { offset, type } of fields) kept.push({ ...rela, section: text, offset: start + offset, type });
  return veneerAt(image, start, 12, rela.target.name);
}

function veneerAt(image: ModuleImage, value: number, size: number, name: string): OutputSymbol {
  return image.define({
    name: `__klp_veneer_${name}`,
    info: (STB_LOCAL << 4) | STT_FUNC,
    section: image.text,
    value,
    size,
  });
}
