/** Makes a wrong pair small: leaves out units, items, statements and edits while it stays wrong in the same way. */
import { copy, type Item, type Program } from './model';
import { entriesOf } from './program';
import { pairOf, type Outcome, type Trial } from './trial';

export interface Programs {
  orig: Program;
  patched: Program;
}

/** What went wrong, without the names that happened to be there. */
export function kindOf({ why }: Outcome): string {
  return why
    .map((text) =>
      text.replace(/(function|symbol|location for function|address|ambiguity for symbol|relocation) \S+$/, '$1'),
    )
    .join('; ');
}

const items = ({ units }: Program): Item[] => units.flatMap((unit) => unit.items);
const both = ({ orig, patched }: Programs): Program[] => [orig, patched];

function without(programs: Programs, ids: ReadonlySet<number>): void {
  const names = new Set(
    both(programs).flatMap((program) =>
      items(program)
        .filter(({ id }) => ids.has(id))
        .flatMap(entriesOf),
    ),
  );
  for (const program of both(programs)) {
    for (const unit of program.units) unit.items = unit.items.filter(({ id }) => !ids.has(id));
    program.units = program.units.filter((unit) => unit.items.length > 0);
    for (const item of items(program))
      for (const [slot, list] of Object.entries(item.slots))
        item.slots[slot] = list.filter((s) => s.name === undefined || !names.has(s.name));
  }
}

/** All that may be left out next, from large to small. */
function* reductions(programs: Programs): Generator<(next: Programs) => void> {
  const ids = [
    ...new Set(
      both(programs)
        .flatMap(items)
        .map(({ id }) => id),
    ),
  ];
  for (const path of new Set(both(programs).flatMap(({ units }) => units.map((unit) => unit.path)))) {
    yield (next) =>
      without(
        next,
        new Set(
          both(next).flatMap(({ units }) =>
            units.filter((unit) => unit.path === path).flatMap((unit) => unit.items.map(({ id }) => id)),
          ),
        ),
      );
  }
  for (const id of ids) yield (next) => without(next, new Set([id]));
  // An edit taken back.
  for (const id of ids) {
    yield ({ orig, patched }) => {
      const before = items(orig).find((item) => item.id === id);
      const after = items(patched).find((item) => item.id === id);
      if (before !== undefined && after !== undefined) Object.assign(after, copy(before));
    };
  }
  for (const id of ids) {
    const slots =
      both(programs)
        .flatMap(items)
        .find((item) => item.id === id)?.slots ?? {};
    for (const slot of Object.keys(slots)) {
      yield (next) => {
        for (const program of both(next)) for (const item of items(program)) if (item.id === id) item.slots[slot] = [];
      };
      // One that both have, by its place from either end.
      const longest = Math.max(
        ...both(programs).map((program) => items(program).find((item) => item.id === id)?.slots[slot]?.length ?? 0),
      );
      for (let at = 0; at < longest; at++) {
        yield (next) => {
          const lists = both(next).map((program) => items(program).find((item) => item.id === id)?.slots[slot] ?? []);
          const text = JSON.stringify(lists[0]?.[at]);
          for (const list of lists) {
            const found = list.findIndex((s) => JSON.stringify(s) === text);
            if (found >= 0) list.splice(found, 1);
          }
        };
      }
    }
  }
  yield (next) => {
    for (const program of both(next)) for (const item of items(program)) item.blank = 0;
  };
}

/** @returns the smallest programs found that are wrong like `kind` in a dialect, and how often it was tried */
export async function shrink(
  trial: Trial,
  programs: Programs,
  dialect: Outcome['dialect'],
  kind: string,
  most = 120,
): Promise<Programs> {
  let best = copy(programs);
  let left = most;
  const stays = async (candidate: Programs): Promise<boolean> => {
    try {
      const { outcomes } = await trial.judge(pairOf(candidate.orig, candidate.patched), [dialect]);
      return outcomes[0]!.end === 'wrong' && kindOf(outcomes[0]!) === kind;
    } catch {
      return false;
    }
  };
  for (let smaller = true; smaller && left > 0; ) {
    smaller = false;
    for (const reduce of reductions(best)) {
      const candidate = copy(best);
      reduce(candidate);
      if (JSON.stringify(candidate) === JSON.stringify(best)) continue;
      if (left-- <= 0) break;
      if (!(await stays(candidate))) continue;
      best = candidate;
      smaller = true;
      // What is left out changes what there is to leave out.
      break;
    }
  }
  return best;
}
