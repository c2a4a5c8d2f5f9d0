/** A random program: units of a small kernel, and which compiler with which flags makes it. */
import { constructs } from './constructs';
import type { Item, Program, Unit } from './model';
import { Names } from './names';
import type { Rng } from './rng';
import { call, statement } from './statements';
import type { Target } from './target';

/** Which compilers are tried, and what all programs are compiled with besides. The random choices stay those of the seed. */
export interface Compilers {
  target: Target;
  gcc: string;
  clang: string;
  flags: readonly string[];
  /** Those of Clang's programs only. */
  clangFlags: readonly string[];
}

const PATHS = ['net/core.c', 'fs/core.c', 'mm/pool.c', 'fs/main.c', 'net/main.c'];

/** How a unit is divided into sections; nearly all as klp-build and kpatch-build ask for it. */
function sections(r: Rng): string[] {
  if (r.one(6)) return ['-ffunction-sections', '-fno-data-sections'];
  return r.one(40) ? ['-fno-function-sections', '-fno-data-sections'] : ['-ffunction-sections', '-fdata-sections'];
}

export function item(r: Rng, kind: string, id: number, unit: Unit, role: Item['role']): Item {
  const construct = constructs[kind]!;
  const slots = Object.fromEntries(construct.slots.map((slot) => [slot, r.one(3) ? [statement(r)] : []]));
  const local = unit.items.filter((other) => other.kind === kind).length;
  return {
    kind,
    id,
    local,
    role,
    linkage:
      role === 'entry' ? 'global' : r.weighted({ static: 4, global: 3, inline: construct.outline ? 0 : 1, weak: 1 }),
    blank: 0,
    model: construct.make(r),
    slots,
  };
}

/** Lets `who` call a helper, if it may. */
export function lets(who: Item, unit: Unit, helper: Item, home: Unit, r: Rng): boolean {
  if (unit !== home && (helper.linkage === 'static' || helper.linkage === 'inline')) return false;
  // Helpers call only what was made before them: nothing calls itself.
  if (who.role === 'helper' && who.id <= helper.id) return false;
  const slots = Object.values(who.slots);
  const names = entriesOf(helper);
  if (slots.length === 0 || names.length === 0) return false;
  r.pick(slots).push(call(r.pick(names), r, helper.fresh ?? false));
  return true;
}

/** The names of an item's entries, by making its text. */
export function entriesOf(it: Item): string[] {
  const names = new Names(it);
  constructs[it.kind]!.emit(it.model, names);
  return names.entries;
}

export function program(r: Rng, kinds: readonly string[], compilers: Compilers): Program {
  const isGcc = r.weighted({ gcc: 3, clang: 2 }) === 'gcc';
  const count = r.from(2, 4);
  const units = r
    .shuffled(PATHS)
    .slice(0, count)
    .map((path): Unit => ({ path, flags: sections(r), items: [] }));
  let id = 0;
  let chosen: string[] = [];
  for (const unit of units) {
    // Units of the same kinds have statics of the same names.
    if (chosen.length === 0 || r.one(2)) chosen = Array.from({ length: r.from(2, 4) }, () => r.pick(kinds));
    for (const kind of chosen) unit.items.push(item(r, kind, id++, unit, r.one(4) ? 'helper' : 'entry'));
  }
  // A unit of helpers only, which an edit may take away.
  if (r.one(3)) {
    const unit: Unit = { path: 'lib/pool.c', flags: sections(r), items: [] };
    unit.items.push({ ...item(r, r.pick(kinds), id++, unit, 'helper'), linkage: 'global' });
    units.push(unit);
  }
  const all = units.flatMap((unit) => unit.items.map((it) => ({ it, unit })));
  // By chance all were helpers (one program of 600): nothing would be called.
  if (all.every(({ it }) => it.role === 'helper')) Object.assign(all[0]!.it, { role: 'entry', linkage: 'global' });
  for (const { it: helper, unit: home } of all.filter(({ it }) => it.role === 'helper')) {
    for (const { it, unit } of r.shuffled(all.filter((other) => other.it !== helper)).slice(0, 3))
      lets(it, unit, helper, home, r);
  }
  const list = [...compilers.target.flags(r, isGcc), ...compilers.flags, ...(isGcc ? [] : compilers.clangFlags)];
  return { target: compilers.target.name, cc: isGcc ? compilers.gcc : compilers.clang, flags: list, units };
}
