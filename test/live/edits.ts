/** Random patches: one to three edits of a program, each named after what it changes. */
import { constructs } from './constructs';
import { copy, type Item, type Linkage, type Program, type Unit } from './model';
import type { Edit } from './construct';
import { Names } from './names';
import { entriesOf, item, lets } from './program';
import type { Rng } from './rng';
import { editStatements, hasState } from './statements';

export interface Patch {
  patched: Program;
  /** `kind:edit`, each once. */
  edits: string[];
  /** One of them may rightly be refused. */
  mayRefuse: boolean;
}

/** Whether others have what they have because it ran before the livepatch was there: the driver called it, or it called them. It has to stay. */
function warmsUp(it: Item): boolean {
  const names = new Names(it);
  constructs[it.kind]!.emit(it.model, names);
  const calls = Object.values(it.slots)
    .flat()
    .some(({ name }) => name !== undefined);
  return names.inits.length > 0 || calls;
}

interface Place {
  unit: Unit;
  it: Item;
}

const places = (program: Program): Place[] => program.units.flatMap((unit) => unit.items.map((it) => ({ unit, it })));
const nextId = (program: Program): number => Math.max(-1, ...places(program).map(({ it }) => it.id)) + 1;

/** Forgets all calls of a helper. */
function uncall(program: Program, helper: Item): void {
  const names = new Set(entriesOf(helper));
  for (const { it } of places(program)) {
    for (const [slot, list] of Object.entries(it.slots))
      it.slots[slot] = list.filter((s) => s.name === undefined || !names.has(s.name));
  }
}

/** Edits of a program as a whole. */
const WHOLE: Record<string, (program: Program, r: Rng, kinds: readonly string[]) => boolean> = {
  'move-item'(program, r) {
    const unit = r.pick(program.units);
    if (unit.items.length < 2) return false;
    unit.items = r.shuffled(unit.items);
    return true;
  },
  'blank-lines'(program, r) {
    r.pick(places(program)).it.blank += r.from(1, 3);
    return true;
  },
  'add-helper'(program, r, kinds) {
    const unit = r.pick(program.units);
    const made = fresh(r, unit, program, kinds);
    unit.items.splice(r.from(0, unit.items.length), 0, made);
    return callers(program, r, made, unit);
  },
  'remove-helper'(program, r) {
    const helpers = places(program).filter(({ it }) => it.role === 'helper' && !warmsUp(it));
    if (helpers.length === 0) return false;
    const { unit, it } = r.pick(helpers);
    uncall(program, it);
    unit.items.splice(unit.items.indexOf(it), 1);
    return true;
  },
  linkage(program, r) {
    const helpers = places(program).filter(({ it }) => it.role === 'helper');
    if (helpers.length === 0) return false;
    const { unit, it } = r.pick(helpers);
    const abroad = places(program).some(
      (other) =>
        other.unit !== unit &&
        Object.values(other.it.slots)
          .flat()
          .some((s) => s.name !== undefined && entriesOf(it).includes(s.name)),
    );
    const possible = (['global', 'weak', ...(abroad ? [] : ['static', 'inline'])] as Linkage[]).filter(
      (linkage) => linkage !== it.linkage,
    );
    it.linkage = r.pick(possible.filter((linkage) => linkage !== 'inline' || !constructs[it.kind]!.outline));
    return true;
  },
  'add-unit'(program, r, kinds) {
    const free = ['net/core.c', 'lib/core.c', 'mm/main.c', 'fs/pool.c'].filter((path) =>
      program.units.every((unit) => unit.path !== path),
    );
    const unit: Unit = { path: r.pick(free), flags: ['-ffunction-sections', '-fdata-sections'], items: [] };
    const made = { ...fresh(r, unit, program, kinds), linkage: 'global' as const };
    unit.items.push(made);
    program.units.splice(r.from(0, program.units.length), 0, unit);
    return callers(program, r, made, unit);
  },
  'remove-unit'(program, r) {
    const unit = r.pick(program.units);
    if (program.units.length < 2 || unit.items.some((it) => it.role === 'entry' || warmsUp(it))) return false;
    for (const it of unit.items) uncall(program, it);
    program.units.splice(program.units.indexOf(unit), 1);
    return true;
  },
  'other-unit'(program, r) {
    const { unit, it } = r.pick(places(program));
    const to = r.pick(program.units);
    // Its statics keep their names, so they need to be free there; and whoever calls it must be able to.
    if (to === unit || it.linkage !== 'global' || !constructs[it.kind]!.stateless || hasState(it)) return false;
    if (
      to.items.some(({ kind, local }) => kind === it.kind && local === it.local) ||
      Object.values(it.slots)
        .flat()
        .some(({ name }) => name !== undefined)
    )
      return false;
    unit.items.splice(unit.items.indexOf(it), 1);
    to.items.splice(r.from(0, to.items.length), 0, it);
    if (unit.items.length === 0) program.units.splice(program.units.indexOf(unit), 1);
    return true;
  },
  /** A static goes, and another unit gets a variable of its name: they have nothing to do with each other. */
  'same-name'(program, r) {
    const all = r.shuffled(places(program).filter(({ it }) => it.kind === 'globals'));
    const [from, to] = [all[0], all.find(({ unit }) => unit !== all[0]!.unit)];
    if (from === undefined || to === undefined || from.it.model['vars'].length < 2) return false;
    const gone = from.it.model['vars'].at(-1);
    const name = gone.name ?? new Names(from.it).s(`var_${gone.tag}`);
    if (!gone.shared || to.unit.items.some(({ kind, local }) => kind === 'globals' && local === from.it.local))
      return false;
    from.it.model['vars'].pop();
    to.it.model['vars'].push({ ...gone, name, start: 0, linkage: r.pick(['', 'static ']), fresh: true });
    return true;
  },
  'order-units'(program, r) {
    program.units = r.shuffled(program.units);
    return true;
  },
};
const WHOLE_WEIGHTS = {
  'move-item': 2,
  'blank-lines': 2,
  'add-helper': 4,
  'remove-helper': 3,
  linkage: 4,
  'add-unit': 2,
  'remove-unit': 2,
  'other-unit': 2,
  'order-units': 2,
  'same-name': 3,
};

function fresh(r: Rng, unit: Unit, program: Program, kinds: readonly string[]): Item {
  const made = { ...item(r, r.pick(kinds), nextId(program), unit, 'helper'), fresh: true };
  // A name that no item of the kind had in this unit: it would be taken for that one, and rightly.
  made.local = 100 + made.id;
  for (const s of Object.values(made.slots).flat()) s.fresh = true;
  return made;
}

function callers(program: Program, r: Rng, made: Item, home: Unit): boolean {
  const entries = places(program).filter(({ it }) => it.role === 'entry');
  return r
    .shuffled(entries)
    .slice(0, 3)
    .map(({ it, unit }) => lets(it, unit, made, home, r))
    .includes(true);
}

/** One edit; its name, or undefined where it does not apply. */
function edit(program: Program, r: Rng, kinds: readonly string[]): { name: string; mayRefuse: boolean } | undefined {
  if (r.one(6)) {
    const name = r.weighted(WHOLE_WEIGHTS);
    return WHOLE[name]!(program, r, kinds) ? { name: `program:${name}`, mayRefuse: false } : undefined;
  }
  const { it } = r.pick(places(program));
  const construct = constructs[it.kind]!;
  const slots = Object.keys(it.slots);
  if (construct.edits.length === 0 || (slots.length > 0 && r.below(10) < (construct.plain ?? 4))) {
    return { name: `${it.kind}:${editStatements(it, it.slots[r.pick(slots)]!, r)}`, mayRefuse: false };
  }
  const wanted = r.weighted(
    Object.fromEntries(construct.edits.map((one) => [one.name, one.mayRefuse ? 1 : (one.weight ?? 2) * 2])),
  );
  const chosen = construct.edits.find(({ name }) => name === wanted) as Edit;
  if (chosen.apply(it.model, r, it) === false) return undefined;
  return { name: `${it.kind}:${chosen.name}`, mayRefuse: chosen.mayRefuse ?? false };
}

export function patch(orig: Program, r: Rng, kinds: readonly string[]): Patch {
  const patched = copy(orig);
  const edits: string[] = [];
  let mayRefuse = false;
  for (let wanted = r.weighted({ 1: 5, 2: 3, 3: 2 }), tries = 0; edits.length < Number(wanted) && tries < 20; tries++) {
    const before = copy(patched);
    const made = edit(patched, r, kinds);
    if (made === undefined) Object.assign(patched, before);
    else {
      edits.push(made.name);
      mayRefuse ||= made.mayRefuse;
    }
  }
  return { patched, edits, mayRefuse };
}
