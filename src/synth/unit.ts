import type { FunctionRef, ObjectRef, Op, SynthFunction, SynthObject, Target, Unit } from './model';
import { fileName, message, sharedStaticName, sourcePath, uniqueName } from './names';
import { Random, mix } from './random';

/** Functions per unit; the last unit may have fewer. */
export const FUNCTIONS_PER_UNIT = 20;
/** Index of the unit's global variable, which code of other units uses too. */
const SHARED_VARIABLE = 0;
const STATIC_KEY = 1;
const OPERATIONS = 2;
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
const BRANCHES = [0x84, 0x85, 0x88, 0x8f];
const STAC = [0x0f, 0x01, 0xcb];
const X86_FEATURE_SMAP = 9 * 32 + 20;
const X86_FEATURE_CLEAR_BHB = 21 * 32 + 1;

/** What is the same in both builds of a pair. */
export interface KernelPlan {
  seed: number;
  /** Functions in all units together. */
  functions: number;
}

export function unitCount(plan: KernelPlan): number {
  return Math.ceil(plan.functions / FUNCTIONS_PER_UNIT);
}

/** The functions' part of a unit that others may rely on without making the unit. */
interface Traits {
  scope: SynthFunction['scope'];
  init: boolean;
  traced: boolean;
  /** Its address is taken by the unit's table of operations or by code. */
  addressTaken: boolean;
  /** Nothing refers to it: exported for modules. */
  unused: boolean;
}

function traits(plan: KernelPlan, { unit, ordinal }: FunctionRef): Traits {
  const random = new Random(plan.seed, unit, ordinal, 5);
  const roll = random.below(100);
  const scope = roll < 50 ? 'global' : roll < 54 ? 'promoted' : 'local';
  const init = ordinal === FUNCTIONS_PER_UNIT - 1;
  const unused = !init && scope === 'global' && random.chance(6);
  return { scope: init ? 'local' : scope, init, unused, traced: scope === 'global' || random.chance(92), addressTaken: !init && !unused && random.chance(25) };
}

/** A unit as the original build has it. */
export function makeUnit(plan: KernelPlan, number: number): Unit {
  const first = number * FUNCTIONS_PER_UNIT;
  const count = Math.min(FUNCTIONS_PER_UNIT, plan.functions - first);
  const names = new Set<string>();
  const all = Array.from({ length: count }, (_, ordinal) => traits(plan, { unit: number, ordinal }));
  const objects = unitObjects(plan, number, all);
  let line = 20;
  const functions = all.map((own, ordinal): SynthFunction => {
    const random = new Random(plan.seed, number, ordinal, 6);
    const name = functionName(own, first + ordinal, random, names);
    const ops = body(plan, { unit: number, ordinal }, all, objects, name, random);
    line += 6 + ops.length;
    return {
      name, scope: own.scope, init: own.init, traced: own.traced, endbr: own.scope === 'global' || own.addressTaken || own.init,
      sealed: own.scope === 'global' && !own.addressTaken && !own.unused, line: line - ops.length - 4, ops,
    };
  });
  return { number, file: fileName(plan.seed, number), source: sourcePath(plan.seed, number), functions, objects, edited: false };
}

/** Statics of different units may share a name; within one unit names are unique. */
function functionName(own: Traits, id: number, random: Random, taken: Set<string>): string {
  const shared = sharedStaticName(random.next());
  if (own.scope === 'global' || own.init || taken.has(shared) || !random.chance(35)) return own.init ? `${uniqueName(id)}_init` : uniqueName(id);
  taken.add(shared);
  return shared;
}

function unitObjects(plan: KernelPlan, unit: number, functions: readonly Traits[]): SynthObject[] {
  const random = new Random(plan.seed, unit, 7);
  const base = uniqueName(unit * FUNCTIONS_PER_UNIT);
  const operations = functions.flatMap((own, ordinal) => (own.addressTaken ? [{ offset: 0, target: { function: { unit, ordinal } } }] : []));
  const objects: SynthObject[] = [
    {
      name: `${base}_data`, scope: 'global', kind: 'data', number: null, size: 32, words: [{ offset: 0, value: random.next() }, { offset: 4, value: 3 }],
      pointers: [{ offset: 8, target: { string: message(random.next()) } }, { offset: 16, target: { object: { unit, index: OPERATIONS } } }],
    },
    { name: `${base}_key`, scope: 'global', kind: 'data', number: null, size: 16, words: [{ offset: 0, value: 1 }], pointers: [] },
    {
      name: `${base}_ops`, scope: random.pick(['global', 'local', 'promoted']), kind: 'rodata', number: null, size: 8 + 8 * operations.length,
      words: [{ offset: 0, value: random.below(16) }], pointers: operations.map((pointer, slot) => ({ ...pointer, offset: 8 + 8 * slot })),
    },
    { name: `${base}_lock`, scope: 'local', kind: 'bss', number: null, size: 4, words: [], pointers: [] },
  ];
  // A struct split into its fields: one name, and numbers that tell nothing from one build to the next (`apic_pm_state` ×15 in 7.2).
  if (random.chance(3)) {
    for (let field = 0; field < 4; field++) objects.push({ name: `${base}_state`, scope: 'local', kind: 'bss', number: 10 + objects.length, size: 8, words: [], pointers: [] });
  }
  return objects;
}

function body(plan: KernelPlan, self: FunctionRef, unit: readonly Traits[], objects: SynthObject[], name: string, random: Random): Op[] {
  const ops: Op[] = [];
  const split = objects.findIndex((object) => object.name.endsWith('_state'));
  if (split >= 0 && self.ordinal < 4) ops.push({ kind: 'load', object: { unit: self.unit, index: split + self.ordinal }, offset: 0 });
  if (random.chance(12)) ops.push(...useOfStaticLocal(objects, self.unit, name, random));
  const length = 4 + random.below(22);
  while (ops.length < length) ops.push(...step(plan, self, unit, random));
  // A jump may go to any op behind it; the last op is where it goes when there is none.
  ops.forEach((op, index) => {
    if (op.kind === 'branch') op.to = ops[index + 1 + random.below(5)] ?? null;
  });
  return ops;
}

/** A static local of one of the kinds that every kernel is full of, and the code that uses it. */
function useOfStaticLocal(objects: SynthObject[], unit: number, name: string, random: Random): Op[] {
  const index = objects.length;
  const number = random.chance(60) ? 10 + index : null;
  const kind = random.below(3);
  const object = { unit, index };
  const local = { scope: 'local', number, words: [], pointers: [] } as const;
  if (kind === 0) {
    objects.push({ ...local, name: `${name}.__key`, kind: 'bss', size: 0 });
    return [{ kind: 'address', target: { object } }];
  }
  objects.push(kind === 1 ? { ...local, name: `${name}.count`, kind: 'bss', size: 8 } : { ...local, name: `${name}._rs`, kind: 'data', size: 32, words: [{ offset: 4, value: 5000 }] });
  return [{ kind: 'load', object, offset: 0 }, { kind: 'store', object, offset: 4, value: random.below(100) }];
}

function step(plan: KernelPlan, self: FunctionRef, unit: readonly Traits[], random: Random): Op[] {
  const roll = random.below(1000);
  if (roll < 380) return [{ kind: 'plain', bytes: random.pick(PLAIN) }];
  if (roll < 560) return [{ kind: 'call', target: callee(plan, self, unit, random) }];
  if (roll < 660) return [{ kind: 'branch', opcode: random.pick(BRANCHES), to: null }];
  if (roll < 740) return [{ kind: 'immediate', value: random.below(0x1000) }];
  if (roll < 800) return [{ kind: 'string', text: message(mix(random.below(4000), plan.seed)) }];
  if (roll < 850) return [{ kind: 'load', object: otherVariable(plan, self, random), offset: 0 }];
  if (roll < 880) return [{ kind: 'store', object: { unit: self.unit, index: SHARED_VARIABLE }, offset: 24, value: random.below(256) }];
  if (roll < 900) return [{ kind: 'address', target: { object: { unit: self.unit, index: OPERATIONS } } }];
  if (roll < 925) return [{ kind: 'plain', bytes: [0x85, 0xc0] }, { kind: 'branch', opcode: 0x84, to: null }, { kind: 'bug', line: random.below(20), flags: 0x901 + 2 * random.below(2) }];
  if (roll < 945) return [{ kind: 'static-branch', key: { unit: self.unit, index: STATIC_KEY } }];
  if (roll < 960) return [{ kind: 'static-call', call: random.below(STATIC_CALLS) }];
  if (roll < 975) return [{ kind: 'alternative', feature: X86_FEATURE_SMAP, replacement: STAC }, { kind: 'user-read' }];
  if (roll < 980) return [{ kind: 'alternative', feature: X86_FEATURE_CLEAR_BHB, replacement: [], call: 'clear_bhb_loop' }];
  if (roll < 984) return [{ kind: 'runtime-constant' }];
  const taken = unit.findIndex((own) => own.addressTaken);
  return taken < 0 ? [{ kind: 'user-read' }] : [{ kind: 'address', target: { function: { unit: self.unit, ordinal: taken } } }];
}

/** What code of this unit may call: any of its own functions, or what other units export. */
function callee(plan: KernelPlan, self: FunctionRef, unit: readonly Traits[], random: Random): Target {
  for (let attempt = 0; attempt < 16; attempt++) {
    const own = random.chance(40);
    const target = own ? { unit: self.unit, ordinal: random.below(unit.length) } : functionAt(random.below(plan.functions));
    const { scope, init, unused } = own ? unit[target.ordinal]! : traits(plan, target);
    if (!init && !unused && (scope !== 'local' || target.unit === self.unit)) return { function: target };
  }
  return { name: 'memcpy' };
}

export function functionAt(id: number): FunctionRef {
  return { unit: Math.floor(id / FUNCTIONS_PER_UNIT), ordinal: id % FUNCTIONS_PER_UNIT };
}

function otherVariable(plan: KernelPlan, self: FunctionRef, random: Random): ObjectRef {
  return { unit: random.chance(70) ? self.unit : random.below(unitCount(plan)), index: SHARED_VARIABLE };
}
