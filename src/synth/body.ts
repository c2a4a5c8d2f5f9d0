import type { FunctionRef, ObjectRef, Op, SynthObject, SynthTarget } from './model';
import { SHARED_VARIABLE, STATIC_KEY, stringFor } from './objects';
import type { KernelPlan } from './plan';
import type { Step } from './processor';
import { Random } from './random';
import { valueAt } from './shape/distribution';
import type { ReferenceKind } from './shape/types';
import { traitsOf, type Traits } from './traits';

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

/** The body of a function, of a size and with references as the shape has them. */
export function body(context: Context, { size, rank, traced, endbr, leaf }: Wish): Body {
  const {
    plan: { shape, seed, processor },
    self,
    objects,
    local,
  } = context;
  const rules = processor.body;
  const random = new Random(seed, self.unit, self.ordinal, 6);
  const { sizeToRelas, relas } = shape.functions;
  const references =
    Math.round(valueAt(relas, random.share() < sizeToRelas ? rank : random.share())) -
    rules.relas.always -
    (traced ? rules.relas.traced : 0);
  const scale = size / shape.functions.size.mean;
  let left =
    size - (endbr ? rules.landingPad : 0) - (traced ? rules.tracing : 0) - (leaf ? 0 : rules.frame) - rules.return;

  const steps: Step[] = [];
  const add = (bytes: number, step: Step): void => {
    left -= bytes;
    steps.push(step);
  };
  // Objects that only use can tell apart: two in each of the unit's first functions.
  const split = self.ordinal < 2 ? objects.findIndex((object) => object.name.endsWith('_state')) : -1;
  for (let field = 0; split >= 0 && field < 2; field++) {
    const index = split + 2 * self.ordinal + field;
    add(rules.reference, {
      kind: 'load',
      object: { unit: self.unit, index },
      offset: 0,
      size: objects[index]!.size,
    });
  }
  if (local !== null) add(2 * rules.reference, useOfLocal(local, objects[local.index]!, random));
  addSites(context, random, scale, () => left, add);
  for (let done = 0; done < references && left >= rules.reference; ) {
    const op = reference(context, random);
    const { bytes, relas: count } = rules.cost(op);
    done += count;
    add(bytes, op);
  }
  while (left >= rules.immediate) {
    const roll = random.below(100);
    if (roll < 22) add(rules.immediate, { kind: 'immediate', value: random.below(0x1000) });
    else if (roll < 45 && left >= rules.branch)
      add(rules.branch, { kind: 'branch', condition: random.pick(rules.conditions), over: random.below(5) });
    else {
      const run = random.pick(rules.runs);
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
    { kind: 'load', object, offset: 0, size },
    { kind: 'store', object, offset: 4, value: random.below(100) },
  ];
}

/** What tables list, as often as the shape has it in a function of this size. */
function addSites(
  { plan: { shape, processor }, self }: Context,
  random: Random,
  scale: number,
  left: () => number,
  add: (bytes: number, step: Step) => void,
): void {
  const key = { unit: self.unit, index: STATIC_KEY };
  for (const [per1000, bytes, make] of processor.body.sites(shape.sites)) {
    for (let count = random.around((per1000 / 1000) * scale); count > 0 && left() >= bytes; count--)
      add(bytes, make(random, key));
  }
}

/** A reference of one of the kinds that a body decides on. */
function reference(context: Context, random: Random): Op {
  const { plan, self, unit, objects } = context;
  const load = (kind: SynthObject['kind']): Op => {
    const index = pickObject(context, random, kind);
    return { kind: 'load', object: { unit: self.unit, index }, offset: 0, size: objects[index]!.size };
  };
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
      return load('rodata');
    case 'data': {
      const object = { unit: self.unit, index: SHARED_VARIABLE };
      if (random.chance(25)) return { kind: 'store', object, offset: 24, value: random.below(256) };
      if (random.chance(70)) return load('data');
      return {
        kind: 'load',
        object: { unit: random.below(plan.units), index: SHARED_VARIABLE },
        offset: 0,
        size: objects[SHARED_VARIABLE]!.size,
      };
    }
    case 'bss':
      return load('bss');
    case 'other':
      return { kind: 'load-name', name: plan.processor.body.linkerSymbol };
    default:
      return { kind: 'call', site: random.share() < plan.callSites, target: callee(context, random) };
  }
}

const RETPOLINE: Op = { kind: 'retpoline' };
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
