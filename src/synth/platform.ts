import {
  R_X86_64_64,
  R_X86_64_PLT32,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHN_ABS,
  STB_GLOBAL,
  STT_FILE,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
  STV_HIDDEN,
} from '../elf/constants';
import type { ElfWriter } from '../elf/writer';
import { trampolineName } from './encode-function';
import { STATIC_CALLS } from './body';

const AX = SHF_ALLOC | SHF_EXECINSTR;
const WA = SHF_ALLOC | SHF_WRITE;
const RET = [0xc3, 0xcc, 0xcc, 0xcc];
const ENDBR = [0xf3, 0x0f, 0x1e, 0xfa];
/** Functions of assembler units that compiled code calls; they share `.text`, and return thunks are NOTYPE there. */
const ASSEMBLER_FUNCTIONS: ReadonlyArray<readonly [string, number]> = [
  ['__fentry__', STT_FUNC],
  ['__x86_return_thunk', STT_NOTYPE],
  ['clear_bhb_loop', STT_FUNC],
  ['memcpy', STT_FUNC],
  ['__x86_indirect_thunk_rax', STT_NOTYPE],
];
const SLOT = 16;
const TRAMPOLINE = 8;

/**
 * Adds what a kernel's assembler units and static-call macros define, and returns the handles by name:
 * functions in the section `assembler`, `__SCT__synth_N` trampolines with their `__SCK__synth_N` keys, and USER_PTR_MAX.
 */
export function addPlatform(writer: ElfWriter, assembler: string): Map<string, number> {
  const handles = new Map<string, number>();
  const add = (name: string, section: number, type: number, value: number, size: number): number => {
    const handle = writer.symbol({ name, section, type, binding: STB_GLOBAL, other: STV_HIDDEN, value, size });
    handles.set(name, handle);
    return handle;
  };

  writer.symbol({ name: 'entry_64.S', type: STT_FILE, reserved: SHN_ABS });
  const code = new Uint8Array(ASSEMBLER_FUNCTIONS.length * SLOT).fill(0xcc);
  ASSEMBLER_FUNCTIONS.forEach((_, index) => code.set([...ENDBR, ...RET], index * SLOT));
  const text = writer.section({ name: assembler, flags: AX, align: 4096, content: code });
  ASSEMBLER_FUNCTIONS.forEach(([name, type], index) => add(name, text, type, index * SLOT, 8));

  const trampolines = new Uint8Array(STATIC_CALLS * TRAMPOLINE);
  const staticText = writer.section({ name: '.static_call.text', flags: AX, align: 4, content: trampolines });
  const target = handles.get('memcpy')!;
  const relas: Array<{ offset: number; type: number; symbol: number; addend: number }> = [];
  for (let call = 0; call < STATIC_CALLS; call++) {
    trampolines.set([0xe9, 0, 0, 0, 0, 0x0f, 0xb9, 0xcc], call * TRAMPOLINE); // jmp; ud1 %esp,%ecx marks a trampoline
    add(trampolineName(call), staticText, STT_FUNC, call * TRAMPOLINE, TRAMPOLINE);
    relas.push({ offset: call * TRAMPOLINE + 1, type: R_X86_64_PLT32, symbol: target, addend: -4 });
    const key = writer.section({ name: `.data.${keyName(call)}`, flags: WA, align: 8, content: new Uint8Array(16) });
    writer.relas(key, [{ offset: 0, type: R_X86_64_64, symbol: target, addend: 0 }]);
    add(keyName(call), key, STT_OBJECT, 0, 16);
  }
  writer.relas(staticText, relas);

  const limit = writer.section({ name: '.data..ro_after_init', flags: WA, align: 8, content: new Uint8Array(8) });
  add('USER_PTR_MAX', limit, STT_OBJECT, 0, 8);
  // The linker script defines it.
  handles.set('__ref_stack_chk_guard', writer.symbol({ name: '__ref_stack_chk_guard', binding: STB_GLOBAL }));
  return handles;
}

export function keyName(call: number): string {
  return `__SCK__synth_${call}`;
}
