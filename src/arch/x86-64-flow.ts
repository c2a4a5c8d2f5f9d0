import type { Instruction, InstructionInfoFactory } from 'iced-x86';
import { FRAME_SLOTS, STACK_SLOTS, type Step, type Term } from './flow';

type Iced = typeof import('iced-x86');

const MOST_SLOTS = 0x8000;

/** Decodes x86-64 for who follows pointers; see Step. */
export function x86Steps(iced: Iced, bytes: Uint8Array): Step[] {
  const decoder = new iced.Decoder(64, bytes, iced.DecoderOptions.None);
  const factory = new iced.InstructionInfoFactory();
  const instruction = new iced.Instruction();
  const reader = new StepReader(iced, decoder, factory, instruction);
  const steps: Step[] = [];
  while (decoder.canDecode) {
    const offset = decoder.position;
    decoder.decodeOut(instruction);
    steps.push(reader.read(offset));
  }
  instruction.free();
  factory.free();
  decoder.free();
  return steps;
}

const constant = (value: number): Term => ({ registers: [], constant: value, field: -1 });
/** What lies in memory. */
const ANYTHING: Term = { registers: [], constant: 0, field: -1, vague: true };
const register = (number: number): Term => ({ registers: [[number, 1]], constant: 0, field: -1 });

/** Reads one instruction after the other from the same decoder. */
class StepReader {
  private readonly passed: readonly number[];
  private readonly lost: readonly number[];
  private displacement = -1;
  private immediate = -1;
  /** %rbp is the frame's pointer from here on. */
  private framed = false;

  constructor(
    private readonly iced: Iced,
    private readonly decoder: InstanceType<Iced['Decoder']>,
    private readonly factory: InstructionInfoFactory,
    private readonly it: Instruction,
  ) {
    const { RDI, RSI, RDX, RCX, R8, R9, RAX, R10, R11 } = iced.Register;
    this.passed = [RDI, RSI, RDX, RCX, R8, R9];
    this.lost = [...this.passed, RAX, R10, R11];
  }

  read(offset: number): Step {
    const {
      iced: { Register, FlowControl, Mnemonic },
      it,
    } = this;
    const constants = this.decoder.getConstantOffsets(it);
    this.displacement =
      constants.hasDisplacement && constants.displacementSize >= 4 ? offset + constants.displacementOffset : -1;
    this.immediate = constants.hasImmediate && constants.immediateSize >= 4 ? offset + constants.immediateOffset : -1;
    constants.free();
    const branch = it.isJmpShortOrNear || it.isJccShortOrNear || it.isCallNear || it.isLoop || it.isJcxShort;
    const call = it.flowControl === FlowControl.Call || it.flowControl === FlowControl.IndirectCall;
    const step: Step = {
      offset,
      length: it.length,
      accesses: [],
      sets: undefined,
      loses: [],
      moves: false,
      compares: undefined,
      stores: undefined,
      hands: [],
      returns: undefined,
      target: branch && !call ? Number(BigInt.asIntN(64, it.nearBranchTarget)) : undefined,
      branchField: this.immediate,
      runsOn: it.flowControl === FlowControl.Next || it.flowControl === FlowControl.ConditionalBranch || call,
    };
    if (it.isInvalid) return step;
    if (!this.isMute()) step.accesses = this.accesses();
    if (call) return { ...step, hands: this.passed, loses: this.lost };
    if (branch || it.flowControl === FlowControl.IndirectBranch)
      return { ...step, hands: this.passed, returns: branch ? Register.RAX : undefined };
    if (it.flowControl === FlowControl.Return) return { ...step, returns: Register.RAX };
    const written = this.written();
    step.moves = written.includes(Register.RSP);
    step.loses = written.filter((one) => one !== Register.RSP);
    if (it.mnemonic === Mnemonic.Cmp) return { ...step, compares: this.both() };
    return it.opCount === 0 ? step : this.assignment(step, written);
  }

  /** What `mov`, `lea`, `add` and their like do to their first operand. */
  private assignment(step: Step, written: readonly number[]): Step {
    const {
      iced: { Mnemonic, OpKind, Register, RegisterExt },
      it,
    } = this;
    const { mnemonic } = it;
    const location = this.location(0);
    // 8 and 16 bits are no pointer.
    const whole = it.op0Kind !== OpKind.Register || RegisterExt.size(it.op0Register) >= 4;
    const set = (value: Term | undefined, may = false): Step => {
      if (location === undefined) return { ...step, stores: value };
      if (value === undefined || !whole) return { ...step, loses: [...written, location] };
      return { ...step, loses: step.loses.filter((one) => one !== location), sets: { register: location, value, may } };
    };
    const own = location === undefined ? undefined : register(location);
    switch (mnemonic) {
      case Mnemonic.Mov:
        if (it.op0Register === Register.RBP && it.op1Register === Register.RSP) this.framed = true;
        return set(this.operand(1));
      case Mnemonic.Lea:
        return set(this.memory());
      case Mnemonic.Inc:
      case Mnemonic.Dec:
        return set(own === undefined ? undefined : { ...own, constant: mnemonic === Mnemonic.Inc ? 1 : -1 });
      case Mnemonic.Xor:
        if (it.op1Kind === OpKind.Register && it.op0Kind === OpKind.Register && it.op0Register === it.op1Register)
          return set(constant(0));
        break;
      case Mnemonic.Add:
        return set(sum(own, this.operand(1)));
      case Mnemonic.Sub: {
        const other = this.operand(1);
        const number =
          other !== undefined && other.registers.length === 0 && other.field < 0 ? other.constant : undefined;
        const value =
          own === undefined
            ? undefined
            : number === undefined
              ? { ...own, vague: true }
              : { ...own, constant: -number };
        return { ...set(value), compares: number === undefined ? this.both() : undefined };
      }
      default:
        if (/^cmov/i.test(Mnemonic[mnemonic]!)) return set(this.operand(1), true);
    }
    // Anything else: a slot that it writes becomes unknown, too.
    return location === undefined ? step : { ...step, loses: [...step.loses, location] };
  }

  private both(): readonly [Term, Term] {
    return [this.operand(0) ?? ANYTHING, this.operand(1) ?? ANYTHING];
  }

  /** Instructions that name memory and do not access it. */
  private isMute(): boolean {
    const {
      iced: { Mnemonic },
      it,
    } = this;
    return it.mnemonic === Mnemonic.Lea || it.mnemonic === Mnemonic.Nop || /^prefetch/i.test(Mnemonic[it.mnemonic]!);
  }

  private accesses(): Term[] {
    const {
      iced: { OpKind, Register },
      it,
    } = this;
    const found: Term[] = [];
    for (let i = 0; i < it.opCount; i++) {
      const kind = it.opKind(i);
      if (kind === OpKind.Memory && this.slot() === undefined) found.push(this.memory());
      else if (kind === OpKind.MemoryESRDI) found.push(register(Register.RDI));
      else if (kind === OpKind.MemorySegRSI) found.push(register(Register.RSI));
    }
    return found;
  }

  /** Full registers that are written. */
  private written(): number[] {
    const {
      iced: { OpAccess, RegisterExt },
      it,
    } = this;
    const info = this.factory.info(it);
    const found = new Set<number>();
    for (const used of info.usedRegisters()) {
      if (
        used.access !== OpAccess.Read &&
        used.access !== OpAccess.CondRead &&
        used.access !== OpAccess.None &&
        RegisterExt.isGPR(used.register)
      )
        found.add(RegisterExt.fullRegister(used.register));
      used.free();
    }
    info.free();
    return [...found];
  }

  /** The register or slot that an operand is; undefined for others. */
  private location(i: number): number | undefined {
    const {
      iced: { OpKind, RegisterExt },
      it,
    } = this;
    if (it.opKind(i) === OpKind.Memory) return this.slot();
    return it.opKind(i) === OpKind.Register && RegisterExt.isGPR(it.opRegister(i))
      ? RegisterExt.fullRegister(it.opRegister(i))
      : undefined;
  }

  /** The value of an operand; undefined for what lies in memory. */
  private operand(i: number): Term | undefined {
    const {
      iced: { OpKind },
      it,
    } = this;
    const location = this.location(i);
    if (location !== undefined) return register(location);
    const kind = it.opKind(i);
    if (kind < OpKind.Immediate8 || kind > OpKind.Immediate32to64) return undefined;
    return { registers: [], constant: Number(BigInt.asIntN(64, it.immediate(i))), field: this.immediate };
  }

  private slot(): number | undefined {
    const {
      iced: { Register },
      it,
    } = this;
    if (it.memoryIndex !== Register.None) return undefined;
    const distance = Number(BigInt.asIntN(64, it.memoryDisplacement));
    if (Math.abs(distance) >= MOST_SLOTS) return undefined;
    if (it.memoryBase === Register.RSP) return distance < 0 ? undefined : STACK_SLOTS + distance;
    return it.memoryBase === Register.RBP && this.framed ? FRAME_SLOTS + MOST_SLOTS + distance : undefined;
  }

  private memory(): Term {
    const {
      iced: { Register, RegisterExt },
      it,
    } = this;
    const registers: Array<readonly [number, number]> = [];
    if (it.isIpRelMemoryOperand) return { registers, constant: 0, field: this.displacement };
    if (it.memoryBase !== Register.None) registers.push([RegisterExt.fullRegister(it.memoryBase), 1]);
    if (it.memoryIndex !== Register.None)
      registers.push([RegisterExt.fullRegister(it.memoryIndex), it.memoryIndexScale]);
    return { registers, constant: Number(BigInt.asIntN(64, it.memoryDisplacement)), field: this.displacement };
  }
}

function sum(a: Term | undefined, b: Term | undefined): Term | undefined {
  if (a === undefined) return undefined;
  if (b === undefined) return { ...a, vague: true };
  return { registers: [...a.registers, ...b.registers], constant: a.constant + b.constant, field: b.field };
}
