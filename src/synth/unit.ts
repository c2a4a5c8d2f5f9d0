import { PlannedFunction } from './planned-function';
import type { FunctionRef, ObjectRef, SynthFunction, SynthObject, Unit } from './model';
import { fileName, sharedStaticName, sourcePath, uniqueName } from './names';
import { staticLocal, unitObjects } from './objects';
import type { KernelPlan } from './plan';
import { Random } from './random';
import { append } from '../lists';
import { type Traits, traitsOf } from './traits';

/** Of 100 functions: those with static locals; and the rank below which they have no room for them. */
const STATIC_LOCALS = 12;
const SMALL = 0.35;

/** Names, scopes and objects of a unit, without bodies. */
export interface Outline {
  traits: Traits[];
  names: string[];
}

export function outlineOf(plan: KernelPlan, unit: number): Outline {
  const traits = Array.from({ length: plan.size(unit) }, (_, ordinal) => traitsOf(plan, { unit, ordinal }));
  const taken = new Set<string>();
  return { traits, names: traits.map((own, ordinal) => functionName(plan, { unit, ordinal }, own, taken)) };
}

/** A unit as the original build has it. */
export function makeUnit(plan: KernelPlan, number: number): Unit {
  const { traits, names } = outlineOf(plan, number);
  const objects: SynthObject[] = unitObjects(plan, number, traits);
  // What bodies choose from: a patch that adds an object to the unit must not change their choice.
  const choice: SynthObject[] = [];
  const { per1000 } = plan.shape.functions;
  let line = 20;
  const functions = traits.map((own, ordinal): SynthFunction => {
    const random = new Random(plan.seed, number, ordinal, 16);
    const name = names[ordinal]!;
    let local: ObjectRef | null = null;
    if (own.rank > SMALL && random.chance(STATIC_LOCALS))
      local = { unit: number, index: objects.push(staticLocal(name, objects.length, random)) - 1 };
    line += 6 + random.below(40);
    return new PlannedFunction({ plan, self: { unit: number, ordinal }, unit: traits, objects: choice, local }, own, {
      name,
      line: line - 4,
      alias:
        own.scope === 'global' &&
        !own.unused &&
        random.chance1000((per1000.aliased * 1000) / Math.max(per1000.global, 1))
          ? `__se_${name}`
          : null,
    });
  });
  append(choice, objects);
  return {
    number,
    file: fileName(plan.seed, number),
    source: sourcePath(plan.seed, number),
    functions,
    order: functions.map((_, ordinal) => ordinal),
    objects,
    edited: false,
  };
}

/** Statics of different units may share a name; within one unit names are unique. */
function functionName(plan: KernelPlan, at: FunctionRef, own: Traits, taken: Set<string>): string {
  const { per1000, duplicates, placed } = plan.shape.functions;
  const unique = uniqueName(plan.id(at));
  if (own.placed === 'init') return `${unique}_init`;
  if (own.scope !== 'local') return unique;
  const random = new Random(plan.seed, at.unit, at.ordinal, 12);
  if (
    plan.sharedNames > 0 &&
    random.chance1000((duplicates.per1000 * per1000.local) / Math.max(per1000.local - placed.init, 1))
  ) {
    const shared = sharedStaticName(plan.sharedName(random));
    if (!taken.has(shared)) {
      taken.add(shared);
      return shared;
    }
  }
  return random.chance1000((per1000.cloned * 1000) / Math.max(per1000.local - placed.init, 1))
    ? `${unique}${random.pick(['.isra.0', '.constprop.0', '.part.0'])}`
    : unique;
}
