import { loadForLittleUse } from '../v8-flags';
import type { Disassembler, Instruction } from './instructions';

type Iced = typeof import('iced-x86');
let iced: Iced | undefined;

/**
 * x86-64 by iced-x86 (WebAssembly, 0.8 MB): loaded when something is to be decoded, for it costs some 10 ms, and
 * three times that where it is not in a bundle with V8's code cache.
 */
export function x86Disassembler(): Disassembler {
  const { Decoder, DecoderOptions, FlowControl, Formatter, FormatterSyntax, Instruction: Decoded, Mnemonic } = (iced ??= loadForLittleUse(() => require('iced-x86') as Iced));
  const formatter = new Formatter(FormatterSyntax.Gas);
  return {
    decode(bytes) {
      const decoder = new Decoder(64, bytes, DecoderOptions.None);
      const instruction = new Decoded();
      const list: Instruction[] = [];
      while (decoder.canDecode) {
        const offset = decoder.position;
        decoder.decodeOut(instruction);
        const constants = decoder.getConstantOffsets(instruction);
        const branch = instruction.isJmpShortOrNear || instruction.isJccShortOrNear || instruction.isCallNear || instruction.isLoop || instruction.isJcxShort;
        list.push({
          offset,
          length: instruction.length,
          target: branch ? Number(BigInt.asIntN(64, instruction.nearBranchTarget)) : undefined,
          memory: instruction.isIpRelMemoryOperand ? Number(BigInt.asIntN(64, instruction.ipRelMemoryAddress)) : undefined,
          opcodeLength: constants.hasImmediate ? constants.immediateOffset : instruction.length,
          flow: instruction.flowControl !== FlowControl.Next,
          runsOn: instruction.flowControl === FlowControl.Next || instruction.flowControl === FlowControl.ConditionalBranch,
          padding: instruction.mnemonic === Mnemonic.Nop || instruction.mnemonic === Mnemonic.Int3,
          invalid: instruction.isInvalid,
        });
        constants.free();
      }
      instruction.free();
      decoder.free();
      return list;
    },
    format(bytes, offset) {
      const decoder = new Decoder(64, bytes.subarray(offset), DecoderOptions.None);
      decoder.ip = BigInt(offset);
      const instruction = decoder.decode();
      const text = formatter.format(instruction);
      instruction.free();
      decoder.free();
      return text;
    },
    // mov $imm32, %esi (be) or %edx (ba).
    loadedArgument: (a, b) => (a.length !== 5 || b.length !== 5 || a[0] !== b[0] ? 0 : a[0] === 0xbe ? 2 : a[0] === 0xba ? 3 : 0),
  };
}
