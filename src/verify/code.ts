import type { ConstantOffsets, Instruction as IcedInstruction, InstructionInfoFactory } from 'iced-x86';
import { KlpflowError } from '../diagnostics';
import { EM_AARCH64, EM_X86_64 } from '../elf';
import { decodeWords } from './aarch64/words';
import type { Instruction, OperandField } from './instruction';
import { isExecutable, type Module, type ModuleSection } from './module';

type Iced = typeof import('iced-x86');

export type { Instruction, OperandField } from './instruction';

/** The instructions of a module's executable sections. */
export class Code {
  private readonly bySection = new Map<number, Instruction[]>();
  private readonly starts = new Map<number, Map<number, Instruction>>();

  /** `replacements` are the offsets at which pieces of `.altinstr_replacement` start. */
  constructor(
    private readonly module: Module,
    replacements: readonly number[],
  ) {
    const decode = DECODERS.get(module.elf.machine)!;
    for (const section of module.sections) {
      if (!isExecutable(section)) continue;
      const cuts = new Set<number>([0, section.bytes.length]);
      for (const { value, size } of module.functionsIn(section)) cuts.add(value).add(value + size);
      if (section.name === '.altinstr_replacement') for (const offset of replacements) cuts.add(offset);
      const list: Instruction[] = [];
      const bounds = [...cuts].filter((cut) => cut >= 0 && cut <= section.bytes.length).sort((a, b) => a - b);
      for (let i = 0; i + 1 < bounds.length; i++) decode(section, bounds[i]!, bounds[i + 1]!, list, module);
      this.bySection.set(section.index, list);
      this.starts.set(section.index, new Map(list.map((instruction) => [instruction.offset, instruction])));
    }
  }

  of(section: ModuleSection): readonly Instruction[] {
    return this.bySection.get(section.index) ?? [];
  }

  /** The instruction that starts at an offset. */
  at(section: ModuleSection, offset: number): Instruction | undefined {
    return this.starts.get(section.index)?.get(offset);
  }

  /** The instruction that an offset lies in. */
  covering(section: ModuleSection, offset: number): Instruction | undefined {
    const list = this.of(section);
    let low = 0;
    for (let high = list.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (list[middle]!.offset <= offset) low = middle + 1;
      else high = middle;
    }
    const found = list[low - 1];
    return found !== undefined && offset < found.offset + found.length ? found : undefined;
  }

  /** Whether an instruction starts at the offset, or the section's code ends there. */
  isBoundary(section: ModuleSection, offset: number): boolean {
    return (
      this.at(section, offset) !== undefined ||
      (isExecutable(section) && offset === section.bytes.length && this.module.sections[section.index] === section)
    );
  }

  bytesOf(section: ModuleSection, { offset, length }: Pick<Instruction, 'offset' | 'length'>): Uint8Array {
    return section.bytes.subarray(offset, offset + length);
  }
}

type Decoder = (section: ModuleSection, start: number, end: number, list: Instruction[], module: Module) => void;

const DECODERS: ReadonlyMap<number, Decoder> = new Map<number, Decoder>([
  [EM_X86_64, decodeBytes],
  [EM_AARCH64, decodeWords],
]);

function decodeBytes({ bytes }: ModuleSection, start: number, end: number, list: Instruction[]): void {
  const iced = require('iced-x86') as Iced;
  // A copy: the decoder's memory is WebAssembly's own, and it stops at the end of what it is given.
  const decoder = new iced.Decoder(64, bytes.subarray(start, end), iced.DecoderOptions.None);
  const found = new iced.Instruction();
  const accesses = new iced.InstructionInfoFactory();
  try {
    while (decoder.canDecode) {
      const offset = start + decoder.position;
      decoder.decodeOut(found);
      const constants = decoder.getConstantOffsets(found);
      list.push(describe(iced, found, constants, offset, accesses));
      constants.free();
      if (found.length === 0) throw new KlpflowError('internal', `no instruction at ${offset}`);
    }
  } finally {
    accesses.free();
    found.free();
    decoder.free();
  }
}

function describe(
  iced: Iced,
  found: IcedInstruction,
  constants: ConstantOffsets,
  offset: number,
  accesses: InstructionInfoFactory,
): Instruction {
  const { FlowControl, Mnemonic, Register } = iced;
  const branch =
    found.isJmpShortOrNear || found.isJccShortOrNear || found.isCallNear || found.isLoop || found.isJcxShort;
  const fields: OperandField[] = [];
  if (constants.hasDisplacement)
    fields.push({
      at: constants.displacementOffset,
      size: constants.displacementSize,
      kind: found.isIpRelMemoryOperand ? 'relative' : 'displacement',
    });
  if (constants.hasImmediate)
    fields.push({
      at: constants.immediateOffset,
      size: constants.immediateSize,
      kind: branch ? 'branch' : 'immediate',
    });
  if (constants.hasImmediate2)
    fields.push({ at: constants.immediateOffset2, size: constants.immediateSize2, kind: 'immediate' });
  const nop = found.mnemonic === Mnemonic.Nop;
  const registers =
    !found.isIpRelMemoryOperand && (found.memoryBase !== Register.None || found.memoryIndex !== Register.None);
  const addressed = constants.hasDisplacement && !branch && !nop && found.mnemonic !== Mnemonic.Lea;
  const accessSize = addressed ? iced.MemorySizeExt.size(found.memorySize) : 0;
  return {
    offset,
    length: found.length,
    kind: kindOf(),
    fields,
    target: branch
      ? offset + found.length + Number(BigInt.asIntN(64, found.nearBranchTarget - found.nextIP))
      : undefined,
    fixedAccess: addressed && !registers && accessSize > 0,
    accessSize,
    indexed: registers,
    writes: addressed && storesToMemory(iced, found, accesses),
    lock: found.hasLockPrefix,
  };

  function kindOf(): Instruction['kind'] {
    if (found.isInvalid) return 'invalid';
    if (nop) return 'nop';
    if (found.mnemonic === Mnemonic.Endbr64) return 'endbr';
    if (found.mnemonic === Mnemonic.Int3) return 'padding';
    if (found.mnemonic === Mnemonic.Ud2 || found.mnemonic === Mnemonic.Ud1) return 'undefined';
    if (found.isCallNear) return 'call';
    if (found.isJmpShortOrNear) return 'jump';
    if (found.flowControl === FlowControl.ConditionalBranch) return 'conditional';
    return 'other';
  }
}

/** Whether a memory operand is written. A bit test-and-set names its word as read and written, a conditional exchange as read and perhaps written. */
function storesToMemory({ OpAccess, OpKind }: Iced, found: IcedInstruction, accesses: InstructionInfoFactory): boolean {
  const info = accesses.info(found);
  let stores = false;
  for (let i = 0; i < found.opCount; i++) {
    const access = info.opAccess(i);
    if (found.opKind(i) === OpKind.Memory)
      stores ||=
        access === OpAccess.Write ||
        access === OpAccess.CondWrite ||
        access === OpAccess.ReadWrite ||
        access === OpAccess.ReadCondWrite;
  }
  info.free();
  return stores;
}
