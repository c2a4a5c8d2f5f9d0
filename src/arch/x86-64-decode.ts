import { loadForLittleUse } from '../v8-flags';
import type { Disassembler, Instruction } from './instructions';
import { accessAt, keptAddresses, storedByte } from './x86-64-addresses';
import { x86Steps } from './x86-64-flow';

type Iced = typeof import('iced-x86');
let iced: Iced | undefined;

/** Registers of a call's arguments, by number: %rdi, %rsi, %rdx, %rcx, %r8, %r9. */
const ARGUMENTS = [7, 6, 2, 1, 8, 9];

/**
 * x86-64 by iced-x86 (WebAssembly, 0.8 MB): loaded when something is to be decoded, for it costs some 10 ms, and
 * three times that where it is not in a bundle with V8's code cache.
 */
export function x86Disassembler(): Disassembler {
  const known = (iced ??= loadForLittleUse(() => require('iced-x86') as Iced));
  const { Decoder, DecoderOptions, FlowControl, Formatter, FormatterSyntax, Instruction: Decoded, Mnemonic } = known;
  const formatter = new Formatter(FormatterSyntax.Gas);
  // An operand that counts from the instruction looks like an address otherwise.
  formatter.ripRelativeAddresses = true;
  return {
    decode(bytes) {
      const decoder = new Decoder(64, bytes, DecoderOptions.None);
      const instruction = new Decoded();
      const list: Instruction[] = [];
      while (decoder.canDecode) {
        const offset = decoder.position;
        decoder.decodeOut(instruction);
        const constants = decoder.getConstantOffsets(instruction);
        const branch =
          instruction.isJmpShortOrNear ||
          instruction.isJccShortOrNear ||
          instruction.isCallNear ||
          instruction.isLoop ||
          instruction.isJcxShort;
        list.push({
          offset,
          length: instruction.length,
          target: branch ? Number(BigInt.asIntN(64, instruction.nearBranchTarget)) : undefined,
          memory: instruction.isIpRelMemoryOperand
            ? Number(BigInt.asIntN(64, instruction.ipRelMemoryAddress))
            : undefined,
          opcodeLength: constants.hasImmediate ? constants.immediateOffset : instruction.length,
          branch: branch ? instruction.mnemonic : 0,
          flow: instruction.flowControl !== FlowControl.Next,
          runsOn:
            instruction.flowControl === FlowControl.Next || instruction.flowControl === FlowControl.ConditionalBranch,
          padding: instruction.mnemonic === Mnemonic.Nop || instruction.mnemonic === Mnemonic.Int3,
          invalid: instruction.isInvalid,
        });
        constants.free();
      }
      instruction.free();
      decoder.free();
      return list;
    },
    steps: (bytes) => x86Steps(known, bytes),
    format(bytes, offset) {
      const decoder = new Decoder(64, bytes.subarray(offset), DecoderOptions.None);
      decoder.ip = BigInt(offset);
      const instruction = decoder.decode();
      const text = formatter.format(instruction);
      instruction.free();
      decoder.free();
      return text;
    },
    // mov $imm32, %esi (be), or %r8d (41 b8).
    constantArgument(bytes) {
      const rex = bytes[0] === 0x41 ? 1 : 0;
      if (bytes.length !== rex + 5 || (bytes[rex]! & 0xf8) !== 0xb8) return undefined;
      const argument = ARGUMENTS.indexOf((bytes[rex]! & 7) + rex * 8) + 1;
      const value = bytes[rex + 1]! | (bytes[rex + 2]! << 8) | (bytes[rex + 3]! << 16) | (bytes[rex + 4]! << 24);
      return argument > 0 ? { argument, value } : undefined;
    },
    // The same; mov $imm32, %rdi (48 c7 c7); lea x(%rip), %rdi (48 8d 3d).
    filledArgument(bytes) {
      const rex = (bytes[0]! & 0xf0) === 0x40 ? bytes[0]! : 0;
      const [opcode, modrm] = bytes.subarray(rex === 0 ? 0 : 1);
      if (opcode === undefined || modrm === undefined) return 0;
      const low = opcode === 0xc7 && modrm >= 0xc0 ? (modrm & 7) | ((rex & 1) << 3) : undefined;
      const high = opcode === 0x8d && (modrm & 0xc7) === 5 ? ((modrm >>> 3) & 7) | ((rex & 4) << 1) : undefined;
      const plain = (opcode & 0xf8) === 0xb8 ? (opcode & 7) | ((rex & 1) << 3) : undefined;
      return ARGUMENTS.indexOf(low ?? high ?? plain ?? -1) + 1;
    },
    storedByte,
    access: (code, field) => accessAt(iced!, code, field),
    kept: (code, query) => keptAddresses(iced!, code, query),
  };
}
