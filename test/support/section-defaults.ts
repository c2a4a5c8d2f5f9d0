import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_MERGE,
  SHF_STRINGS,
  SHF_WRITE,
  SHT_NOBITS,
  SHT_PROGBITS,
} from '../../src/elf/constants';

export interface SectionDefaults {
  type: number;
  flags: number;
  align: number;
  entsize: number;
}

const A = SHF_ALLOC;
const WA = SHF_ALLOC | SHF_WRITE;
const AX = SHF_ALLOC | SHF_EXECINSTR;

/** Special sections as the assembler of an x86-64 kernel makes them: pattern of the name, flags, alignment, entsize. */
const SPECIAL: ReadonlyArray<readonly [RegExp, number, number, number]> = [
  [/^__(bug|jump)_table$/, WA, 8, 0],
  [/^\.altinstr_(replacement|aux)$/, AX, 1, 0],
  [/^\.(altinstructions|smp_locks)$|^__ex_table$|^runtime_(ptr|shift)_/, A, 1, 0],
  [/^__mcount_loc$/, A, 8, 8],
  [/^\.static_call_sites$/, WA, 1, 8],
  [/^\.(ibt_endbr_seal|return_sites|retpoline_sites|call_sites|cfi_sites|orc_unwind_ip)$/, A, 1, 4],
  [/^\.orc_unwind$/, A, 1, 6],
  [/^__patchable_function_entries$/, WA, 8, 0],
  [/^\.discard\./, 0, 1, 0],
  [/^\.(debug_|comment|note)/, 0, 1, 0],
];

/** Type, flags, alignment and entsize that a kernel's section of this name has. */
export function sectionDefaults(name: string): SectionDefaults {
  const merged = /^\.rodata\.(?:[^.]+\.)?(str|cst)(\d+)(?:\.(\d+))?$/.exec(name);
  if (merged !== null) {
    const unit = Number(merged[2]);
    const strings = merged[1] === 'str';
    return {
      type: SHT_PROGBITS,
      flags: A | SHF_MERGE | (strings ? SHF_STRINGS : 0),
      align: Number(merged[3] ?? unit),
      entsize: unit,
    };
  }
  for (const [pattern, flags, align, entsize] of SPECIAL)
    if (pattern.test(name)) return { type: SHT_PROGBITS, flags, align, entsize };
  if (/^\.bss(\.|$)/.test(name)) return { type: SHT_NOBITS, flags: WA, align: 8, entsize: 0 };
  if (/(^|\.)text(\.|$)/.test(name)) return { type: SHT_PROGBITS, flags: AX, align: 16, entsize: 0 };
  if (/rodata|^\.modinfo/.test(name)) return { type: SHT_PROGBITS, flags: A, align: 8, entsize: 0 };
  return { type: SHT_PROGBITS, flags: WA, align: 8, entsize: 0 };
}
