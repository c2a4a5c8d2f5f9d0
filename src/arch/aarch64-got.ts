import { ADD_ABS_LO12_NC, ADR_GOT_PAGE, ADR_PREL_PG_HI21, LD64_GOT_LO12_NC } from './aarch64-relocations';
import type { FieldReference } from './arch';

/**
 * Makes an address that is read from the GOT one that is computed, as linkers do: Clang reads that of each weak undefined symbol (`__start_x`, functions
 * that a configuration may lack) so, and a module has no GOT. `adrp x8, :got:f; ldr x8, [x8, :got_lo12:f]` becomes `adrp x8, f; add x8, x8, :lo12:f`: whoever
 * reads the slot has come by its page, so that each of the two is told by itself. A symbol that the running kernel lacks is refused by whoever links.
 *
 * @param bytes code that is changed
 * @param at offset of the instruction in it
 */
export function withoutGot<T extends FieldReference>(bytes: Uint8Array, at: number, reference: T): T | undefined {
  if (reference.addend !== 0 || at < 0 || at + 4 > bytes.length) return undefined;
  const code = new DataView(bytes.buffer, bytes.byteOffset);
  const word = code.getUint32(at, true);
  if (reference.type === ADR_GOT_PAGE && (word & 0x9f000000) >>> 0 === 0x90000000)
    return { ...reference, type: ADR_PREL_PG_HI21 };
  if (reference.type !== LD64_GOT_LO12_NC || (word & 0xffc00000) >>> 0 !== 0xf9400000) return undefined;
  code.setUint32(at, (0x91000000 | (word & 0x3ff)) >>> 0, true);
  return { ...reference, type: ADD_ABS_LO12_NC };
}
