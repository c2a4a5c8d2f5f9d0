import type { CodeRef, EncodedFunction, Sites } from './encoded';
import type { ObjectRef, Op, SynthFunction, SynthTarget } from './model';

/** Writes into the instruction at `at` that it jumps to `to`. */
export type JumpWriter = (view: DataView, at: number, to: number) => void;

const NOTHING = new Uint8Array(0);

/** Code under construction, in a buffer that all functions share. */
export class CodeBuffer {
  private static readonly scratch = new Uint8Array(1 << 18);
  private static readonly view = new DataView(CodeBuffer.scratch.buffer);

  at = 0;
  readonly sites: Sites = {
    fentry: null,
    returns: [],
    calls: [],
    retpolines: [],
    locks: [],
    unwinds: [],
    annotations: [],
    bugs: [],
    branches: [],
    staticCalls: [],
    alternatives: [],
    faults: [],
    runtimeConstants: [],
  };
  /** Code that will stand behind the function. */
  readonly tail: number[] = [];
  private readonly refs: CodeRef[] = [];
  /** Where each op starts, and behind them the end. */
  readonly places: number[] = [];
  private readonly jumps: Array<{ at: number; op: number }> = [];

  constructor(
    private readonly lead: Uint8Array,
    private readonly writeJump: JumpWriter,
  ) {}

  /** The ops of a function between its prologue and its epilogue; a leaf has neither. */
  body(
    { ops, leaf, line }: SynthFunction,
    prologue: readonly number[],
    epilogue: readonly number[],
    step: (code: CodeBuffer, op: Op, line: number) => void,
  ): void {
    if (!leaf) this.put(prologue);
    for (const op of ops) {
      this.places.push(this.at);
      step(this, op, line);
    }
    this.places.push(this.at);
    if (!leaf) this.put(epilogue);
  }

  put(bytes: readonly number[]): void {
    for (let i = 0; i < bytes.length; i++) CodeBuffer.scratch[this.at++] = bytes[i]!;
  }

  word(value: number): void {
    CodeBuffer.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  /** A relocation `ahead` bytes from here. */
  refer(ahead: number, type: number, target: SynthTarget, addend: number): void {
    this.refs.push({ offset: this.at + ahead, type, target, addend });
  }

  /** A conditional jump, whose distance `finish` fills in. */
  jump(bytes: readonly number[], over: number): void {
    this.jumps.push({ at: this.at, op: this.places.length + over });
    this.put(bytes);
  }

  branchToEnd(key: ObjectRef): void {
    this.sites.branches.push({ at: this.at, to: -1, key });
  }

  /** `count` places, spread over the code. */
  spread(count: number): number[] {
    const { places } = this;
    return Array.from({ length: Math.min(count, places.length) }, (_, i) =>
      i === 0 ? 0 : places[Math.floor((i * places.length) / count)]!,
    );
  }

  finish(): EncodedFunction {
    const { places, lead, refs, sites, tail } = this;
    const end = places[places.length - 1]!;
    for (const { at, op } of this.jumps) this.writeJump(CodeBuffer.view, at, places[op] ?? end);
    for (const branch of sites.branches) branch.to = end;
    for (const site of sites.alternatives) if (site.behind !== undefined) site.behind += this.at;
    return {
      lead,
      bytes: CodeBuffer.scratch.slice(0, this.at),
      tail: tail.length === 0 ? NOTHING : Uint8Array.from(tail),
      refs,
      sites,
    };
  }
}
