import { R_X86_64_GOTPCRELX, R_X86_64_PLT32 } from '../../elf';
import type { ReferenceRela } from './object';

interface CodeBytes {
  code: Uint8Array;
  relas: ReadonlyMap<number, ReferenceRela>;
}

/**
 * A function as it must be in a module, which has no GOT: `call *x@GOTPCREL(%rip)` (ff 15) is `call x; nop` there, and `jmp *` (ff 25) `jmp x; nop`.
 * On arm64 an address is computed in place of being read: `adrp; ldr` is `adrp; add`. Other uses of the GOT cannot be in a module, and remain.
 */
export function withoutGot(code: Uint8Array, relas: ReadonlyMap<number, ReferenceRela>): CodeBytes {
  const through = [...relas].filter(
    ([at, { type, addend }]) =>
      type === R_X86_64_GOTPCRELX &&
      addend === -4 &&
      code[at - 2] === 0xff &&
      (code[at - 1] === 0x15 || code[at - 1] === 0x25),
  );
  const read = [...relas].filter(([at, rela]) => isAddressRead(code, at, rela));
  if (through.length === 0 && read.length === 0) return { code, relas };
  const [bytes, direct] = [code.slice(), new Map(relas)];
  for (const [at, rela] of read) {
    direct.set(at, { ...rela, type: rela.type === GOT_PAGE ? 275 : 277 });
    if (rela.type === GOT_PAGE) continue;
    // The load's registers in an addition of zero.
    bytes.set([code[at]!, code[at + 1]! & 3, 0, 0x91], at);
  }
  for (const [at, rela] of through) {
    bytes[at - 2] = code[at - 1] === 0x15 ? 0xe8 : 0xe9;
    bytes[at + 3] = 0x90;
    direct.delete(at);
    direct.set(at - 1, { ...rela, offset: rela.offset - 1, type: R_X86_64_PLT32 });
  }
  return { code: bytes, relas: direct };
}

/** R_AARCH64_ADR_GOT_PAGE and R_AARCH64_LD64_GOT_LO12_NC, which no other processor has. */
const GOT_PAGE = 311;
const GOT_LOAD = 312;

/** Whether the word at `at` is half of a pair that reads an address: `adrp`, or `ldr xD, [xN, #0]`. */
function isAddressRead(code: Uint8Array, at: number, { type, addend }: ReferenceRela): boolean {
  if (addend !== 0) return false;
  const top = code[at + 3]!;
  return type === GOT_PAGE
    ? (top & 0x9f) === 0x90
    : type === GOT_LOAD && top === 0xf9 && (code[at + 2]! & 0xc0) === 0x40;
}
