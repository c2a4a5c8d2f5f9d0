import type { FunctionRef, ObjectRef, Op, SynthObject, SynthTarget } from './model';
import { SHARED_VARIABLE, STATIC_KEY, stringFor } from './objects';
import type { KernelPlan } from './plan';
import { Random } from './random';
import { valueAt } from './shape/distribution';
import type { ReferenceKind } from './shape/types';
import { traitsOf, type Traits } from './traits';

/** Static calls there are (`__SCT__synth_N`). */
export const STATIC_CALLS = 16;

const PLAIN: ReadonlyArray<readonly number[]> = [
  [0x48, 0x89, 0xfb], // mov %rdi,%rbx
  [0x48, 0x89, 0xdf], // mov %rbx,%rdi
  [0x31, 0xc0], // xor %eax,%eax
  [0x85, 0xc0], // test %eax,%eax
  [0x48, 0x83, 0xc3, 0x08], // add $8,%rbx
  [0x48, 0x8b, 0x43, 0x18], // mov 0x18(%rbx),%rax
  [0x89, 0x43, 0x10], // mov %eax,0x10(%rbx)
  [0x0f, 0xb6, 0xc0], // movzbl %al,%eax
  [0x48, 0xc1, 0xe0, 0x03], // shl $3,%rax
  [0x48, 0x85, 0xdb], // test %rbx,%rbx
  [0x48, 0x8d, 0x44, 0x03, 0xff], // lea -1(%rbx,%rax),%rax
  [0x66, 0x90], // xchg %ax,%ax
];
/** Runs of such instructions: most code refers to nothing. */
const RUNS: ReadonlyArray<Extract<Op, { kind: 'plain' }>> = Array.from({ length: 256 }, (_, i) => {
  const random = new Random(i, 14);
  return { kind: 'plain', bytes: Array.from({ length: 2 + (i % 5) }, () => random.pick(PLAIN)).flat() };
});
const RETPOLINE: Op = { kind: 'retpoline' };
const LOCKED: Op = { kind: 'locked' };
const GUARD: Op = { kind: 'load-name', name: '__ref_stack_chk_guard' };
const BRANCHES = [0x84, 0x85, 0x88, 0x8f];
const STAC = [0x0f, 0x01, 0xcb];
const X86_FEATURE_SMAP = 9 * 32 + 20;
const X86_FEATURE_CLEAR_BHB = 21 * 32 + 1;
/** Bytes of ENDBR64, of the fentry call, of a frame's code, of the return, and of what refers to something. */
const ENDBR = 4;
const FENTRY = 5;
const FRAME = 7;
const RETURN = 6;
const REFERENCE = 7;

export interface Context {
  plan: KernelPlan;
  self: FunctionRef;
  /** All functions of its unit. */
  unit: readonly Traits[];
  objects: readonly SynthObject[];
  /** Its static local. */
  local: ObjectRef | null;
}

/** Ops of a function; and how many unwind entries and instruction annotations objtool makes for it. */
export interface Body {
  ops: Op[];
  unwinds: number;
  annotations: number;
}

/** What the body is to be like; `size` in bytes, `rank` the share of functions that are smaller. */
interface Wish {
  size: number;
  rank: number;
  traced: boolean;
  endbr: boolean;
  leaf: boolean;
}

/** Ops that belong together, in order. */
type Step = Op | readonly Op[];

/** The body of a function, of a size and with references as the shape has them. */
export function body(context: Context, { size, rank, traced, endbr, leaf }: Wish): Body {
  const {
    plan: { shape, seed },
    self,
    objects,
    local,
  } = context;
  const random = new Random(seed, self.unit, self.ordinal, 6);
  const { sizeToRelas, relas } = shape.functions;
  const references =
    Math.round(valueAt(relas, random.share() < sizeToRelas ? rank : random.share())) - 1 - (traced ? 1 : 0);
  const scale = size / shape.functions.size.mean;
  let left = size - (endbr ? ENDBR : 0) - (traced ? FENTRY : 0) - (leaf ? 0 : FRAME) - RETURN;

  const steps: Step[] = [];
  const add = (bytes: number, step: Step): void => {
    left -= bytes;
    steps.push(step);
  };
  // Objects that only use can tell apart: two in each of the unit's first functions.
  const split = self.ordinal < 2 ? objects.findIndex((object) => object.name.endsWith('_state')) : -1;
  for (let field = 0; split >= 0 && field < 2; field++)
    add(REFERENCE, { kind: 'load', object: { unit: self.unit, index: split + 2 * self.ordinal + field }, offset: 0 });
  if (local !== null) add(2 * REFERENCE, useOfLocal(local, objects[local.index]!, random));
  addSites(context, random, scale, () => left, add);
  for (let i = 0; i < references && left >= REFERENCE; i++) add(REFERENCE, reference(context, random));
  while (left >= 5) {
    const roll = random.below(100);
    if (roll < 22) add(5, { kind: 'immediate', value: random.below(0x1000) });
    else if (roll < 45 && left >= 6) add(6, { kind: 'branch', opcode: random.pick(BRANCHES), over: random.below(5) });
    else {
      const run = random.pick(RUNS);
      add(run.bytes.length, run);
    }
  }
  shuffle(steps, random);
  return {
    ops: steps.flat() as Op[],
    unwinds: random.around((shape.sites.orc / 1000) * (0.4 + 0.6 * scale)),
    annotations: random.around((shape.sites.annotations / 1000) * scale),
  };
}

/** Loads and stores to a static local, or its address where it has no bytes. */
function useOfLocal(object: ObjectRef, { size }: SynthObject, random: Random): readonly Op[] {
  if (size === 0) return [{ kind: 'address', target: { object } }];
  return [
    { kind: 'load', object, offset: 0 },
    { kind: 'store', object, offset: 4, value: random.below(100) },
  ];
}

/** What tables list, as often as the shape has it in a function of this size. */
function addSites(
  {
    plan: {
      shape: { sites },
    },
    self,
  }: Context,
  random: Random,
  scale: number,
  left: () => number,
  add: (bytes: number, step: Step) => void,
): void {
  const times = (per1000: number, bytes: number, make: () => Step): void => {
    for (let count = random.around((per1000 / 1000) * scale); count > 0 && left() >= bytes; count--) add(bytes, make());
  };
  times(sites.bugs, 10, () => [
    { kind: 'plain', bytes: [0x85, 0xc0] },
    { kind: 'branch', opcode: 0x84, over: 1 },
    { kind: 'bug', line: random.below(20), flags: 0x901 + 2 * random.below(2) },
  ]);
  times(sites.jumpLabels, 5, () => ({ kind: 'static-branch', key: { unit: self.unit, index: STATIC_KEY } }));
  times(sites.staticCalls, 5, () => ({ kind: 'static-call', call: random.below(STATIC_CALLS) }));
  times(sites.faults, 5, () => [
    { kind: 'alternative', feature: X86_FEATURE_SMAP, replacement: STAC },
    { kind: 'user-read' },
  ]);
  times(sites.alternatives - sites.faults, 5, () => ({
    kind: 'alternative',
    feature: X86_FEATURE_CLEAR_BHB,
    replacement: [],
    call: 'clear_bhb_loop',
  }));
  times(sites.locks, 3, () => LOCKED);
  times(sites.runtimeConstants, 10, () => ({ kind: 'runtime-constant' }));
}

/** A reference of one of the kinds that a body decides on. */
function reference(context: Context, random: Random): Op {
  const { plan, self, unit } = context;
  const own = (kind: SynthObject['kind']): ObjectRef => ({ unit: self.unit, index: pickObject(context, random, kind) });
  switch (pickKind(plan, random)) {
    case 'retpoline':
      return RETPOLINE;
    case 'code': {
      if (random.share() < plan.localCalls)
        return { kind: 'call', site: true, direct: true, target: callee(context, random) };
      const taken = unit.flatMap((traits, ordinal) => (traits.addressTaken ? [ordinal] : []));
      return taken.length === 0
        ? { kind: 'call', site: true, target: callee(context, random) }
        : { kind: 'address', target: { function: { unit: self.unit, ordinal: random.pick(taken) } } };
    }
    case 'string':
      return { kind: 'string', text: stringFor(plan, random) };
    case 'constant':
      return { kind: 'load', object: own('rodata'), offset: 0 };
    case 'data':
      if (random.chance(25))
        return {
          kind: 'store',
          object: { unit: self.unit, index: SHARED_VARIABLE },
          offset: 24,
          value: random.below(256),
        };
      return {
        kind: 'load',
        object: random.chance(70) ? own('data') : { unit: random.below(plan.units), index: SHARED_VARIABLE },
        offset: 0,
      };
    case 'bss':
      return { kind: 'load', object: own('bss'), offset: 0 };
    case 'other':
      return GUARD;
    default:
      return { kind: 'call', site: random.share() < plan.callSites, target: callee(context, random) };
  }
}

const CHOSEN = [
  'retpoline',
  'call',
  'code',
  'string',
  'constant',
  'data',
  'bss',
  'other',
] as const satisfies readonly ReferenceKind[];

function pickKind({ shape: { references } }: KernelPlan, random: Random): (typeof CHOSEN)[number] {
  // The rest of 1000 is what every function has: the fentry call and the return.
  let roll = random.share() * (1000 - references.fentry - references.returnThunk);
  for (const kind of CHOSEN) if ((roll -= references[kind]) < 0) return kind;
  return 'call';
}

/** One of the unit's objects of a kind, but for those that only use can tell apart and the static locals, which are another function's. */
function pickObject({ objects }: Context, random: Random, kind: SynthObject['kind']): number {
  const start = random.below(objects.length);
  for (let i = 0; i < objects.length; i++) {
    const index = (start + i) % objects.length;
    const object = objects[index]!;
    if (object.kind === kind && object.number === null && !object.name.includes('.')) return index;
  }
  return SHARED_VARIABLE;
}

/** What code of this unit may call: any of its own functions, or what other units export. */
function callee({ plan, self, unit }: Context, random: Random): SynthTarget {
  for (let attempt = 0; attempt < 16; attempt++) {
    const own = random.chance(40);
    const target = own
      ? { unit: self.unit, ordinal: random.below(unit.length) }
      : plan.functionAt(random.below(plan.functions));
    const { scope, placed, unused } = own ? unit[target.ordinal]! : traitsOf(plan, target);
    if (placed !== 'init' && !unused && (scope !== 'local' || target.unit === self.unit)) return { function: target };
  }
  return { name: 'memcpy' };
}

/** Fisher and Yates. */
function shuffle<T>(list: T[], random: Random): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}
