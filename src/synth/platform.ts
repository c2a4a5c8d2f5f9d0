import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHN_ABS,
  STB_GLOBAL,
  STT_FILE,
  STT_FUNC,
  STT_OBJECT,
  STV_HIDDEN,
} from '../elf/constants';
import type { ElfWriter, Rela } from '../elf/writer';
import type { SynthProcessor } from './processor';
import { STATIC_CALLS, keyName, trampolineName } from './static-calls';

const AX = SHF_ALLOC | SHF_EXECINSTR;
const WA = SHF_ALLOC | SHF_WRITE;
/** Of a function in the section that all of them share. */
const SLOT = 16;

/**
 * Adds what a kernel's assembler units and static-call macros define, and returns the handles by name: functions in the section
 * `assembler`, `__SCT__synth_N` trampolines with their `__SCK__synth_N` keys, the variable that boot writes into code, and what the
 * linker script defines.
 */
export function addPlatform(
  writer: ElfWriter,
  { platform, body, text: { fill, mappingSymbols }, types }: SynthProcessor,
  assembler: string,
): Map<string, number> {
  const handles = new Map<string, number>();
  const add = (name: string, section: number, type: number, value: number, size: number): number => {
    const handle = writer.symbol({ name, section, type, binding: STB_GLOBAL, other: STV_HIDDEN, value, size });
    handles.set(name, handle);
    return handle;
  };

  writer.symbol({ name: platform.file, type: STT_FILE, reserved: SHN_ABS });
  const code = new Uint8Array(platform.functions.length * SLOT).fill(fill);
  platform.functions.forEach((_, index) => code.set(platform.code, index * SLOT));
  const text = writer.section({ name: assembler, flags: AX, align: 4096, content: code });
  if (mappingSymbols) writer.symbol({ name: '$x', section: text });
  platform.functions.forEach(([name, type], index) => add(name, text, type, index * SLOT, platform.code.length));

  const { trampoline } = platform;
  if (trampoline !== null) {
    const { length } = trampoline.code;
    const trampolines = new Uint8Array(STATIC_CALLS * length);
    const staticText = writer.section({ name: '.static_call.text', flags: AX, align: 4, content: trampolines });
    const target = handles.get('memcpy')!;
    const relas: Rela[] = [];
    for (let call = 0; call < STATIC_CALLS; call++) {
      trampolines.set(trampoline.code, call * length);
      add(trampolineName(call), staticText, STT_FUNC, call * length, length);
      const { field, type, addend } = trampoline;
      relas.push({ offset: call * length + field, type, symbol: target, addend });
      const key = writer.section({ name: `.data.${keyName(call)}`, flags: WA, align: 8, content: new Uint8Array(16) });
      writer.relas(key, [{ offset: 0, type: types.address, symbol: target, addend: 0 }]);
      add(keyName(call), key, STT_OBJECT, 0, 16);
    }
    writer.relas(staticText, relas);
  }

  const limit = writer.section({ name: '.data..ro_after_init', flags: WA, align: 8, content: new Uint8Array(8) });
  add(platform.runtimeVariable, limit, STT_OBJECT, 0, 8);
  handles.set(body.linkerSymbol, writer.symbol({ name: body.linkerSymbol, binding: STB_GLOBAL }));
  return handles;
}
