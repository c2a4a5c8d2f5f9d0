import { R_X86_64_GOTPCRELX, R_X86_64_PLT32 } from '../../elf';
import type { ReferenceRela } from './object';

interface CodeBytes {
  code: Uint8Array;
  relas: ReadonlyMap<number, ReferenceRela>;
}

/**
 * A function as it must be in a module, which has no GOT: `call *x@GOTPCREL(%rip)` (ff 15) is `call x; nop` there, and `jmp *` (ff 25) `jmp x; nop`.
 * Other uses of the GOT cannot be in a module, and remain.
 */
export function withDirectBranches(code: Uint8Array, relas: ReadonlyMap<number, ReferenceRela>): CodeBytes {
  const through = [...relas].filter(
    ([at, { type, addend }]) =>
      type === R_X86_64_GOTPCRELX &&
      addend === -4 &&
      code[at - 2] === 0xff &&
      (code[at - 1] === 0x15 || code[at - 1] === 0x25),
  );
  if (through.length === 0) return { code, relas };
  const [bytes, direct] = [code.slice(), new Map(relas)];
  for (const [at, rela] of through) {
    bytes[at - 2] = code[at - 1] === 0x15 ? 0xe8 : 0xe9;
    bytes[at + 3] = 0x90;
    direct.delete(at);
    direct.set(at - 1, { ...rela, offset: rela.offset - 1, type: R_X86_64_PLT32 });
  }
  return { code: bytes, relas: direct };
}
