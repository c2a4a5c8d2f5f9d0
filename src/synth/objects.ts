import type { SynthObject, SynthTarget } from './model';
import { message, uniqueName } from './names';
import type { KernelPlan } from './plan';
import { Random, mix } from './random';
import { valueAt } from './shape/distribution';
import type { DataKind } from './shape/types';
import type { Traits } from './traits';

/** Index of the unit's global variable, which code of other units uses too. */
export const SHARED_VARIABLE = 0;
export const STATIC_KEY = 1;
const OPERATIONS = 2;
/** Objects that every unit has. */
const FIXED: Record<DataKind, number> = { data: 2, rodata: 1, bss: 1 };
/** Static locals and split structs of a function, which count besides. */
const LOCALS: Record<DataKind, number> = { data: 0.026, rodata: 0, bss: 0.03 };
const NAMES = ['table', 'info', 'conf', 'attr', 'cache', 'params', 'stats', 'desc'];
/** Of 100 pointers in data: those to functions whose address is taken, and to strings. */
const TO_FUNCTION = 45;
const TO_STRING = 30;

/** A unit's objects but for the static locals, which the bodies of its functions add. */
export function unitObjects(plan: KernelPlan, unit: number, functions: readonly Traits[]): SynthObject[] {
  const random = new Random(plan.seed, unit, 7);
  const base = uniqueName(plan.start(unit));
  const taken = functions.flatMap((own, ordinal) => (own.addressTaken ? [ordinal] : []));
  const objects: SynthObject[] = [
    {
      name: `${base}_data`,
      scope: 'global',
      placed: 'alone',
      kind: 'data',
      number: null,
      size: 32,
      words: [
        { offset: 0, value: random.next() },
        { offset: 4, value: 3 },
      ],
      pointers: [
        { offset: 8, target: { string: stringFor(plan, random) } },
        { offset: 16, target: { object: { unit, index: OPERATIONS } } },
      ],
    },
    {
      name: `${base}_key`,
      scope: 'global',
      placed: 'alone',
      kind: 'data',
      number: null,
      size: 16,
      words: [{ offset: 0, value: 1 }],
      pointers: [],
    },
    {
      name: `${base}_ops`,
      scope: random.pick(['global', 'local', 'promoted']),
      placed: 'alone',
      kind: 'rodata',
      number: null,
      size: 8 + 8 * taken.length,
      words: [{ offset: 0, value: random.below(16) }],
      pointers: taken.map((ordinal, slot) => ({ offset: 8 + 8 * slot, target: { function: { unit, ordinal } } })),
    },
    {
      name: `${base}_lock`,
      scope: 'local',
      placed: 'alone',
      kind: 'bss',
      number: null,
      size: 4,
      words: [],
      pointers: [],
    },
  ];
  // A struct split into its fields: one name, and numbers that tell nothing from one build to the next (`apic_pm_state` ×15 in 7.2).
  if (random.chance(8)) {
    for (let field = 0; field < 4; field++)
      objects.push({
        name: `${base}_state`,
        scope: 'local',
        placed: 'alone',
        kind: 'bss',
        number: 10 + objects.length,
        size: 8,
        words: [],
        pointers: [],
      });
  }
  const pointer = (): SynthTarget => {
    const roll = random.below(100);
    if (roll < TO_FUNCTION && taken.length > 0) return { function: { unit, ordinal: random.pick(taken) } };
    return roll < TO_FUNCTION + TO_STRING
      ? { string: stringFor(plan, random) }
      : { object: { unit, index: random.below(FIXED.data) } };
  };
  for (const kind of ['data', 'rodata', 'bss'] as const) {
    const shape = plan.shape.objects[kind];
    // What every unit has stands alone, so of the others fewer do.
    const alone = Math.max(
      0,
      shape.alone - ((1000 - shape.alone) * FIXED[kind] * 1000) / Math.max(functions.length * shape.per1000, 1),
    );
    for (
      let left = random.around(Math.max(0, functions.length * (shape.per1000 / 1000 - LOCALS[kind]) - FIXED[kind]));
      left > 0;
      left--
    ) {
      const rank = random.share();
      const size = Math.max(1, Math.round(valueAt(shape.size, rank)));
      const count = Math.min(Math.round(valueAt(shape.relas, random.chance(80) ? rank : random.share())), size >>> 3);
      const words = kind === 'bss' || size < 4 ? [] : [{ offset: (size - 4) & ~3, value: random.next() }];
      const name = `${uniqueName(plan.start(unit) + (objects.length % functions.length))}_${NAMES[objects.length % NAMES.length]!}${objects.length}`;
      objects.push({
        name,
        scope: random.chance(80) ? 'local' : 'global',
        placed: random.chance1000(alone) ? 'alone' : 'shared',
        kind,
        number: null,
        size,
        words: count * 8 + 4 > size ? [] : words,
        pointers: Array.from({ length: count }, (_, slot) => ({ offset: 8 * slot, target: pointer() })),
      });
    }
  }
  return objects;
}

/** A static local of one of the kinds that every kernel is full of. */
export function staticLocal(name: string, index: number, random: Random): SynthObject {
  const local = {
    scope: 'local',
    placed: 'alone',
    number: random.chance(60) ? 10 + index : null,
    words: [],
    pointers: [],
  } as const;
  switch (random.below(3)) {
    case 0:
      return { ...local, name: `${name}.__key`, kind: 'bss', size: 0 };
    case 1:
      return { ...local, name: `${name}.count`, kind: 'bss', size: 8 };
    default:
      return { ...local, name: `${name}._rs`, kind: 'data', size: 32, words: [{ offset: 4, value: 5000 }] };
  }
}

/** How much of a kernel's strings stand in one place only. */
const OWN_STRINGS = 70;
/** Functions for each of the other strings. */
const FUNCTIONS_PER_COMMON_STRING = 50;

/** A string of the shape's lengths: mostly one that nobody else uses. */
export function stringFor(plan: KernelPlan, random: Random): string {
  const key = random.chance(OWN_STRINGS)
    ? random.next()
    : mix(random.below(Math.ceil(plan.functions / FUNCTIONS_PER_COMMON_STRING)), plan.seed);
  return message(key, Math.max(2, Math.round(valueAt(plan.shape.strings.length, mix(key, 13) / 0x100000000))));
}
