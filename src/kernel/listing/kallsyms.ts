/**
 * Which symbols of a linked kernel its kallsyms lists (scripts/mksysmap and scripts/kallsyms.c), and under which name
 * they are looked up.
 */

/** Names that the listing of a kernel leaves out, by how they begin. `__pi_` and `__kvm_nvhe_` are prefixes of whole renamed objects. */
const LEFT_OUT = [
  '__pi_$',
  '__pi_.L',
  '__kvm_nvhe_$',
  '__kvm_nvhe_.L',
  '__efistub_',
  '__kcfi_typeid_',
  '__crc_',
  '__kstrtab_',
  '__kstrtabns_',
  '__mod_device_table__',
].map((text) => new Uint8Array(Buffer.from(text, 'latin1')));

/** Types of `nm` that are left out: local absolute, debugging, undefined, weak and undefined. */
export const LEFT_OUT_LETTERS = 'aNUw';

/** Whether kallsyms leaves out the name at `start`, whatever it names. */
export function isLeftOut(bytes: Uint8Array, start: number, end: number): boolean {
  const first = bytes[start];
  if (first === 0x24) return true;
  if (first === 0x2e) return bytes[start + 1] === 0x4c;
  // 50,000 names of a kernel begin with `__pfx_`.
  if (first !== 0x5f || bytes[start + 1] !== 0x5f || (bytes[start + 2] === 0x70 && bytes[start + 3] === 0x66))
    return false;
  for (const prefix of LEFT_OUT) {
    let i = 2;
    while (i < prefix.length && bytes[start + i] === prefix[i]) i++;
    if (i === prefix.length && start + i <= end) return true;
  }
  return false;
}

/**
 * What livepatch's look-up does to names of vmlinux: nothing (before 6.2, from 6.11 on, and always without LTO), cut at the
 * first dot (6.2 to 6.5), or cut at `.llvm.` (6.6 to 6.10). Equal cut names count as one name.
 */
export type NameCleaning = 'none' | 'first-dot' | 'llvm';

/** Length of what is left of the name `bytes[start, end)`. */
export function cleanedLength(cleaning: NameCleaning, bytes: Uint8Array, start: number, end: number): number {
  if (cleaning === 'none') return end - start;
  for (let at = start; at < end; at++) {
    if (bytes[at] !== 0x2e) continue;
    if (cleaning === 'first-dot') return at - start;
    if (
      end - at >= 6 &&
      bytes[at + 1] === 0x6c &&
      bytes[at + 2] === 0x6c &&
      bytes[at + 3] === 0x76 &&
      bytes[at + 4] === 0x6d &&
      bytes[at + 5] === 0x2e
    )
      return at - start;
  }
  return end - start;
}
