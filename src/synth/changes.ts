import type { FunctionRef, Op, SynthFunction, SynthObject, SynthTarget, Unit } from './model';
import { uniqueName } from './names';
import type { KernelPlan } from './plan';
import type { BodyRules } from './processor';
import { Random } from './random';
import { makeUnit } from './unit';
import { append, smallest } from '../lists';

/** How many of each change the patched build gets. Every one is made to another function. */
export interface Changes {
  /** Functions in which one immediate differs. */
  immediates?: number;
  /** Functions in which one call goes elsewhere. */
  callTargets?: number;
  /** Functions in which the text of one string differs; every later string moves. */
  strings?: number;
  /** Functions with one more instruction. */
  instructions?: number;
  /** Functions with one more static local; the numbers of later ones in the unit shift. */
  staticLocals?: number;
  /** New functions; each also changes the function that calls it. */
  newFunctions?: number;
  /** Functions that are gone; nothing referred to them. */
  removedFunctions?: number;
  /** Functions that stand elsewhere in their unit, and are the same. */
  moves?: number;
  /** Global variables with another initial value: no livepatch can carry that. */
  data?: number;
  /** Functions that are rewritten and use two variables that only the code around tells apart: no livepatch can carry that. */
  ambiguous?: number;
  /** Functions of `.init.text` with one more instruction: no livepatch can carry that. */
  initFunctions?: number;
}

/** Bytes of a static local that an edit adds. */
const STATIC_LOCAL = 8;

/** Kinds of change that are made inside a function. */
export type EditKind =
  | 'immediate'
  | 'call-target'
  | 'string'
  | 'instruction'
  | 'static-local'
  | 'new-call'
  | 'init-instruction'
  | 'ambiguity';

export type Edit =
  | { kind: EditKind; at: FunctionRef; serial: number; callee?: SynthTarget }
  | { kind: 'removal'; at: FunctionRef; serial: number }
  | { kind: 'move'; at: FunctionRef; serial: number }
  | { kind: 'data'; unit: number; serial: number };

const KINDS: ReadonlyArray<readonly [keyof Changes, Exclude<Edit['kind'], 'data'>]> = [
  ['immediates', 'immediate'],
  ['callTargets', 'call-target'],
  ['strings', 'string'],
  ['instructions', 'instruction'],
  ['staticLocals', 'static-local'],
  ['newFunctions', 'new-call'],
  ['removedFunctions', 'removal'],
  ['moves', 'move'],
  ['initFunctions', 'init-instruction'],
];

/**
 * Chooses what to change; the same plan and changes always give the same edits.
 * @throws RangeError when the kernel has too few functions that such a change can be made to
 */
export function chooseEdits(plan: KernelPlan, changes: Changes): Edit[] {
  const random = new Random(plan.seed, 8);
  const taken = new Set<number>();
  const edits: Edit[] = [];
  for (const [key, kind] of KINDS) {
    for (let count = changes[key] ?? 0; count > 0; count--) {
      const at = find(plan, random, taken, kind);
      const serial = edits.length;
      edits.push(
        kind === 'call-target' ? { kind, at, serial, callee: otherCallee(plan, random, at) } : { kind, at, serial },
      );
    }
  }
  for (let count = changes.ambiguous ?? 0; count > 0; count--) edits.push(ambiguity(plan, random, taken, edits.length));
  const units = new Set<number>();
  for (let count = Math.min(changes.data ?? 0, plan.units); units.size < count; ) units.add(random.below(plan.units));
  for (const unit of units) edits.push({ kind: 'data', unit, serial: edits.length });
  return edits;
}

/** An edit to the first function of a unit, which uses two variables that only the code around their uses tells apart. */
function ambiguity(plan: KernelPlan, random: Random, taken: Set<number>, serial: number): Edit {
  for (let attempt = 0; attempt < 8 * plan.units; attempt++) {
    const unit = makeUnit(plan, random.below(plan.units));
    const at = { unit: unit.number, ordinal: 0 };
    const [first] = unit.functions;
    if (!unit.objects.some(isSplit) || taken.has(plan.id(at)) || !first!.traced || first!.placed === 'init') continue;
    taken.add(plan.id(at));
    return { kind: 'ambiguity', at, serial };
  }
  throw new RangeError(`${plan.functions} functions are too few for this many changes (ambiguity)`);
}

/** Whether the object is one of those that only use can tell apart. */
export function isSplit(object: SynthObject): boolean {
  return object.name.endsWith('_state');
}

/** Another target for the function's first call. */
function otherCallee(plan: KernelPlan, random: Random, at: FunctionRef): SynthTarget {
  const now = makeUnit(plan, at.unit).functions[at.ordinal]!.ops.find(
    (op): op is Extract<Op, { kind: 'call' }> => op.kind === 'call',
  )!.target;
  for (;;) {
    const callee = find(plan, random, new Set(), 'callee');
    const same = 'function' in now && now.function.unit === callee.unit && now.function.ordinal === callee.ordinal;
    if (!same) return { function: callee };
  }
}

/** A function nothing was done to yet and that the edit fits. */
function find(plan: KernelPlan, random: Random, taken: Set<number>, kind: Edit['kind'] | 'callee'): FunctionRef {
  for (let attempt = 0; attempt < 20_000; attempt++) {
    const id = random.below(plan.functions);
    if (taken.has(id)) continue;
    const at = plan.functionAt(id);
    const unit = makeUnit(plan, at.unit);
    if (!fits(unit, unit.functions[at.ordinal]!, kind)) continue;
    taken.add(id);
    return at;
  }
  throw new RangeError(`${plan.functions} functions are too few for this many changes (${kind})`);
}

function fits(unit: Unit, fn: SynthFunction, kind: Edit['kind'] | 'callee'): boolean {
  if (kind === 'init-instruction') return fn.placed === 'init';
  if (fn.placed === 'init') return false;
  if (kind === 'removal') return fn.unused;
  if (kind === 'callee') return fn.scope === 'global' && !fn.unused;
  if (kind === 'move') return true;
  // A change needs an ftrace site to be redirected, and objects that only use can tell apart need the same use in both builds.
  if (!fn.traced || fn.ops.some((op) => op.kind === 'load' && isSplit(unit.objects[op.object.index]!))) return false;
  if (kind === 'immediate' || kind === 'string') return fn.ops.some((op) => op.kind === kind);
  if (kind === 'call-target') return fn.ops.some((op) => op.kind === 'call');
  return true;
}

/** The unit as the patched build has it: `unit` is changed in place. */
export function applyEdits(unit: Unit, edits: readonly Edit[], instructions: BodyRules['edits']): Unit {
  unit.edited = true;
  const first = smallest(edits.map((edit) => ('at' in edit ? edit.at.ordinal : 0)));
  // Two lines were inserted into the first edited function: everything behind moves, in the tables that hold lines.
  for (const fn of unit.functions.slice(first + 1)) if (fn !== null) fn.line += 2;
  for (const edit of edits) {
    if (edit.kind === 'data') {
      const object = unit.objects[0]!;
      unit.objects[0] = {
        ...object,
        words: object.words.map((word) => ({ ...word, value: (word.value ^ 0x5a) >>> 0 })),
      };
    } else if (edit.kind === 'removal') unit.functions[edit.at.ordinal] = null;
    else if (edit.kind === 'move') move(unit.order, edit.at.ordinal);
    else editFunction(unit, unit.functions[edit.at.ordinal]!, edit, instructions);
  }
  return unit;
}

function editFunction(
  unit: Unit,
  fn: SynthFunction,
  edit: Extract<Edit, { kind: EditKind }>,
  rules: BodyRules['edits'],
): void {
  const middle = fn.ops.length >> 1;
  const replace = <K extends Op['kind']>(kind: K, change: (op: Extract<Op, { kind: K }>) => void): void => {
    change(fn.ops.find((op) => op.kind === kind) as Extract<Op, { kind: K }>);
  };
  switch (edit.kind) {
    case 'immediate':
      return replace('immediate', (op) => (op.value += 0x2000));
    case 'call-target':
      return replace('call', (op) => (op.target = edit.callee!));
    case 'string':
      return replace('string', (op) => (op.text = editedText(op.text, edit.serial)));
    case 'instruction':
    case 'init-instruction':
      fn.ops.splice(middle, 0, { kind: 'plain', bytes: rules.added });
      return;
    case 'ambiguity':
      rewrite(unit, fn, edit.serial, rules);
      return;
    case 'static-local':
      fn.ops.splice(middle, 0, {
        kind: 'load',
        object: { unit: unit.number, index: addStaticLocal(unit, fn, edit.serial) },
        offset: 0,
        size: STATIC_LOCAL,
      });
      return;
    case 'new-call':
      fn.ops.splice(middle, 0, { kind: 'call', site: true, target: { function: addFunction(unit, edit.serial) } });
      return;
  }
}

/** Behind all others of the unit; the last one goes to the front. */
function move(order: number[], ordinal: number): void {
  const at = order.indexOf(ordinal);
  order.splice(at, 1);
  if (at === order.length) order.unshift(ordinal);
  else order.push(ordinal);
}

/** Leaves nothing of the body but other uses of the variables, so that neither the code around nor their instructions tell which is which. */
function rewrite(unit: Unit, fn: SynthFunction, serial: number, { cleared, reversed }: BodyRules['edits']): void {
  const use = fn.ops.filter((op) => op.kind === 'load' && isSplit(unit.objects[op.object.index]!)) as Array<
    Extract<Op, { kind: 'load' }>
  >;
  if (reversed) use.reverse();
  fn.ops.length = 0;
  append(fn.ops, [
    { kind: 'immediate', value: 0x4000 + serial },
    { kind: 'plain', bytes: cleared },
    ...use.map(({ object, offset }): Op => ({ kind: 'store', object, offset, value: serial })),
  ]);
}

export function editedText(text: string, serial: number): string {
  return text.replace('\n', ` (case ${serial})\n`);
}

/** Adds a numbered static local of `fn`; those that the compiler meets later in the unit get the next number. */
function addStaticLocal(unit: Unit, fn: SynthFunction, serial: number): number {
  const ordinal = unit.functions.indexOf(fn);
  const owner = (object: SynthObject): number =>
    unit.functions.findIndex((other) => other !== null && object.name.startsWith(`${other.name}.`));
  const before = unit.objects.filter((object) => owner(object) <= ordinal).length;
  for (const object of unit.objects.slice(before)) if (object.number !== null) object.number++;
  return (
    unit.objects.push({
      name: `${fn.name}.patched_${serial}`,
      scope: 'local',
      placed: 'alone',
      kind: 'bss',
      number: 10 + before,
      size: STATIC_LOCAL,
      words: [],
      pointers: [],
    }) - 1
  );
}

/** Adds a function behind the unit's others; every second one is static. */
function addFunction(unit: Unit, serial: number): FunctionRef {
  const last = unit.functions.findLast((fn) => fn !== null);
  const neighbour = unit.functions.find((fn) => fn?.placed === 'unit' || fn?.placed === 'text');
  const scope = serial % 2 === 0 ? 'local' : 'global';
  const ordinal =
    unit.functions.push({
      name: `${uniqueName(serial)}_patched`,
      scope,
      placed: neighbour?.placed ?? 'alone',
      exported: false,
      addressed: false,
      unused: false,
      alias: null,
      leaf: false,
      unwinds: 2,
      annotations: 0,
      endbr: scope === 'global',
      sealed: false,
      traced: true,
      hashed: scope === 'global' && unit.functions.some((fn) => fn?.hashed),
      line: (last?.line ?? 0) + 20,
      ops: [
        { kind: 'immediate', value: serial },
        { kind: 'string', text: newText(serial) },
        { kind: 'load', object: { unit: unit.number, index: 0 }, offset: 0, size: unit.objects[0]!.size },
        { kind: 'bug', line: 4, flags: 0x901 },
      ],
    }) - 1;
  unit.order.push(ordinal);
  return { unit: unit.number, ordinal };
}

export function newText(serial: number): string {
  return `patched: new case ${serial}\n`;
}
