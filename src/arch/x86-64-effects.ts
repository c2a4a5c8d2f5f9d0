import type * as Iced from 'iced-x86';

/** What one instruction does with registers and memory. Registers are numbered as the processor does (rax 0, rcx 1, ... r15 15); sets of them are bits. */
export interface Effects {
  offset: number;
  length: number;
  /** Where the displacement and the immediate of the instruction stand, from its start; -1 for none. */
  displacement: number;
  immediate: number;
  /** Registers whose value is used, other than to find memory, and those that are written. */
  reads: number;
  writes: number;
  /** Registers that a memory operand is found by. */
  base: number;
  /** One of them is an index. */
  indexed: boolean;
  /** How the memory operand is used; `address`: it is only computed (LEA). */
  memory: 'none' | 'read' | 'write' | 'address';
  /** Bytes of the memory operand. */
  width: number;
  /** Where it writes: a variable by its address, the stack, or what a register points to. */
  stores: 'none' | 'variable' | 'stack' | 'pointer';
  /** Whether it reads the stack. */
  fromStack: boolean;
  /** What a result that was computed from an address is: as good as that address, a distance, or a number. */
  result: 'address' | 'difference' | 'number';
  /** Copies memory to memory (REP MOVS). */
  copies: boolean;
  pushes: boolean;
  control: 'next' | 'branch' | 'jump' | 'indirect' | 'call' | 'return';
  /** Of a direct branch: from the start of the code. */
  target: number;
}

export const RSP = 4;
const RBP = 5;

const GENERAL = 0xffff;

/** mov %rsp,%rbp */
const FRAME = Buffer.of(0x48, 0x89, 0xe5);

/** Decodes code into effects. Frees what WebAssembly holds. */
export function effectsOf(iced: typeof Iced, code: Uint8Array): Effects[] {
  const {
    Decoder,
    DecoderOptions,
    FlowControl,
    Instruction,
    InstructionInfoFactory,
    MemorySizeExt,
    Mnemonic,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
  } = iced;
  const numbers: ReadonlySet<Iced.Mnemonic> = new Set([
    Mnemonic.Shr,
    Mnemonic.Sar,
    Mnemonic.Shl,
    Mnemonic.Imul,
    Mnemonic.Mul,
    Mnemonic.Div,
    Mnemonic.Idiv,
    Mnemonic.Movzx,
    Mnemonic.Movsx,
    Mnemonic.Neg,
    Mnemonic.Not,
    Mnemonic.Sbb,
    Mnemonic.Cqo,
    Mnemonic.Cdq,
  ]);
  const copying: ReadonlySet<Iced.Mnemonic> = new Set([Mnemonic.Movsb, Mnemonic.Movsw, Mnemonic.Movsd, Mnemonic.Movsq]);
  const bit = (register: Iced.Register): number => {
    const full = register === Register.None ? Register.None : RegisterExt.fullRegister(register);
    return full >= Register.RAX && full <= Register.R15 ? 1 << (full - Register.RAX) : 0;
  };
  const isRead = (access: Iced.OpAccess): boolean =>
    access === OpAccess.Read ||
    access === OpAccess.CondRead ||
    access === OpAccess.ReadWrite ||
    access === OpAccess.ReadCondWrite;
  const isWritten = (access: Iced.OpAccess): boolean =>
    access === OpAccess.Write ||
    access === OpAccess.CondWrite ||
    access === OpAccess.ReadWrite ||
    access === OpAccess.ReadCondWrite;
  // Without a frame pointer rbp is a register like any other.
  const framed = Buffer.from(code.buffer, code.byteOffset, code.length).includes(FRAME);
  const decoder = new Decoder(64, code, DecoderOptions.None);
  const instruction = new Instruction();
  const factory = new InstructionInfoFactory();
  const found: Effects[] = [];
  while (decoder.canDecode) {
    const offset = decoder.position;
    decoder.decodeOut(instruction);
    const constants = decoder.getConstantOffsets(instruction);
    const info = factory.info(instruction);
    const { mnemonic, flowControl } = instruction;
    const direct =
      instruction.isJmpShortOrNear ||
      instruction.isJccShortOrNear ||
      instruction.isCallNear ||
      instruction.isLoop ||
      instruction.isJcxShort;
    const effects: Effects = {
      offset,
      length: instruction.length,
      displacement: constants.hasDisplacement ? constants.displacementOffset : -1,
      immediate: constants.hasImmediate ? constants.immediateOffset : -1,
      reads: 0,
      writes: 0,
      base: bit(instruction.memoryBase) | bit(instruction.memoryIndex),
      indexed: bit(instruction.memoryIndex) !== 0,
      memory: mnemonic === Mnemonic.Lea ? 'address' : 'none',
      width: MemorySizeExt.size(instruction.memorySize),
      stores: 'none',
      fromStack: false,
      result: mnemonic === Mnemonic.Sub ? 'difference' : numbers.has(mnemonic) ? 'number' : 'address',
      copies: copying.has(mnemonic),
      pushes: mnemonic === Mnemonic.Push,
      control:
        flowControl === FlowControl.ConditionalBranch
          ? 'branch'
          : flowControl === FlowControl.UnconditionalBranch
            ? 'jump'
            : flowControl === FlowControl.IndirectBranch
              ? 'indirect'
              : flowControl === FlowControl.Call || flowControl === FlowControl.IndirectCall
                ? 'call'
                : flowControl === FlowControl.Return
                  ? 'return'
                  : 'next',
      target: direct ? Number(BigInt.asIntN(64, instruction.nearBranchTarget)) : -1,
    };
    const accesses = [info.op0Access, info.op1Access, info.op2Access, info.op3Access, info.op4Access];
    for (let i = 0; i < instruction.opCount; i++)
      if (instruction.opKind(i) === OpKind.Register && isRead(accesses[i]!))
        effects.reads |= bit(instruction.opRegister(i));
    for (const used of info.usedRegisters()) {
      const register = bit(used.register);
      if (isRead(used.access) && (register & effects.base) === 0) effects.reads |= register;
      if (isWritten(used.access)) effects.writes |= register;
      used.free();
    }
    for (const used of info.usedMemory()) {
      const stack = bit(used.base) === 1 << RSP || (framed && bit(used.base) === 1 << RBP);
      if (isWritten(used.access)) {
        effects.stores = stack ? 'stack' : bit(used.base) === 0 && bit(used.index) === 0 ? 'variable' : 'pointer';
        if (effects.memory !== 'address') effects.memory = 'write';
      } else if (isRead(used.access)) {
        effects.fromStack ||= stack;
        if (effects.memory === 'none') effects.memory = 'read';
      }
      used.free();
    }
    effects.writes &= GENERAL & ~(1 << RSP);
    found.push(effects);
    info.free();
    constants.free();
  }
  factory.free();
  instruction.free();
  decoder.free();
  return found;
}
