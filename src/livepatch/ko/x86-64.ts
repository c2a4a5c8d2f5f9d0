import { R_X86_64_32S, R_X86_64_PC32, R_X86_64_PLT32, STB_GLOBAL, STB_LOCAL, STT_FUNC } from '../../elf';
import { PREAMBLE_BYTES } from '../../kernel/kcfi';
import type { OutputRela, OutputSymbol } from '../object';
import type { ModuleImage } from './image';
import type { Platform } from './platform';
import type { ModuleProcessor } from './processor';

const NOP = 0x90;
const ENDBR64 = [0xf3, 0x0f, 0x1e, 0xfa];
const RETURNS = { thunk: [0xe9, 0, 0, 0, 0], ret: [0xc3], 'ret-int3': [0xc3, 0xcc] } as const;
const RETURN_THUNK = '__x86_return_thunk';
/** `mov $imm32, %rdi`, then `jmp rel32`. */
const ENABLE = [0x48, 0xc7, 0xc7, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0];
/** A preamble's `mov $hash, %eax`: neither function reads an argument. */
const MOVL_EAX = 0xb8;

export const X86_64: ModuleProcessor = {
  gap: NOP,
  isMisplaced: () => false,
  canWriteEntryCode,
  addEntryCode,
  finish: () => undefined,
};

/** Whether functions can be given the preamble that kCFI asks for. */
function canWriteEntryCode({ kcfi, prefixBytes }: Platform): boolean {
  return kcfi === null || (typeof kcfi === 'object' && prefixBytes >= PREAMBLE_BYTES);
}

/**
 * Both functions begin as any of this kernel does that is called indirectly, and are in no seal list. The
 * tail jump to klp_enable_patch is neither a return site nor a call site, like the compiler's own.
 */
function addEntryCode(
  image: ModuleImage,
  platform: Platform,
  patch: OutputSymbol,
): { init: OutputSymbol; exit: OutputSymbol } {
  const kcfi = typeof platform.kcfi === 'string' ? null : platform.kcfi;
  const start = platform.ibt ? ENDBR64 : [];
  const at = start.length;
  const init = addFunction(
    image,
    platform,
    'init_module',
    kcfi?.init,
    [...start, ...ENABLE],
    [
      { offset: at + 3, type: R_X86_64_32S, symbol: patch, addend: 0 },
      { offset: at + 8, type: R_X86_64_PLT32, symbol: image.importSymbol('klp_enable_patch'), addend: -4 },
    ],
  );
  const code = [...start, ...RETURNS[platform.returns]];
  if (platform.returns !== 'thunk')
    return { init, exit: addFunction(image, platform, 'cleanup_module', kcfi?.exit, code, []) };
  const exit = addFunction(image, platform, 'cleanup_module', kcfi?.exit, code, [
    { offset: at + 1, type: R_X86_64_PLT32, symbol: image.importSymbol(RETURN_THUNK), addend: -4 },
  ]);
  addAddress(image, '.return_sites', exit.value + at);
  return { init, exit };
}

/** A function behind its padding, with stack layouts from the start of the padding to the end of the code. */
function addFunction(
  image: ModuleImage,
  platform: Platform,
  name: string,
  hash: number | undefined,
  code: number[],
  relas: OutputRela[],
): OutputSymbol {
  const { prefixBytes, functionAlign, orcAtStart } = platform;
  const { text } = image;
  const bytes = new Uint8Array(prefixBytes + code.length).fill(NOP);
  if (hash !== undefined) {
    const at = (typeof platform.kcfi === 'object' ? platform.kcfi?.at : 0) ?? 0;
    bytes[at] = MOVL_EAX;
    new DataView(bytes.buffer).setUint32(at + 1, hash, true);
  }
  bytes.set(code, prefixBytes);
  // The function is what is aligned; on x86-64 the padding before it is as large as the alignment, or there is none.
  const phase = (functionAlign - (prefixBytes % functionAlign)) % functionAlign;
  const prefix = text.append(bytes, functionAlign, NOP, phase);
  const start = prefix + prefixBytes;
  if (prefixBytes > 0)
    image.define({
      name: `${hash === undefined ? '__pfx_' : '__cfi_'}${name}`,
      info: (STB_LOCAL << 4) | STT_FUNC,
      section: text,
      value: prefix,
      size: prefixBytes,
    });
  if (hash !== undefined) addAddress(image, '.cfi_sites', prefix);
  for (const rela of relas) text.relas.push({ ...rela, offset: start + rela.offset });
  if (orcAtStart !== null) {
    addOrc(image, prefix, Uint8Array.from(Buffer.from(orcAtStart, 'hex')));
    addOrc(image, start + code.length, new Uint8Array(6));
  }
  return image.define({ name, info: (STB_GLOBAL << 4) | STT_FUNC, section: text, value: start, size: code.length });
}

/** One PC-relative address of `.text` in a table of such. */
function addAddress(image: ModuleImage, table: string, place: number): void {
  const section = image.table(table, 4);
  section.relas.push({
    offset: section.append(4, 1),
    type: R_X86_64_PC32,
    symbol: image.sectionSymbol(image.text),
    addend: place,
  });
  section.align = Math.max(section.align, 4);
}

/** The n-th word belongs to the n-th address. */
function addOrc(image: ModuleImage, place: number, word: Uint8Array): void {
  addAddress(image, '.orc_unwind_ip', place);
  const words = image.table('.orc_unwind', 6);
  words.append(word, 1);
  words.align = Math.max(words.align, 2);
}
