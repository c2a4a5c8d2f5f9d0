import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, SHT_RELA, s64, u64 } from '../../elf';
import { holdsCodePieces } from '../../kernel/code-pieces';
import { SectionClass } from '../../kernel/section-class';
import { specialTables } from '../scan/entries';
import { withoutFilling } from './behind';
import type { Side } from '../side/side';
import { put } from '../../lists';
import type { Stretch } from './stretches';

/** A place of uncovered code, and the function that it belongs to. */
interface OwnedPlace {
  place: number;
  owner: number;
}

/**
 * Cuts stretches of code where functions' own pieces begin: what entries of special sections lead to (fixups; arm64 has the code that
 * alternatives put in at the end of the function's section), and code in sections for pieces. Such a piece is its function's, which goes
 * into a livepatch with it. `stretches` are those that differ: it takes a pass over all relas.
 */
export function cutOwned(side: Side, stretches: readonly Stretch[]): Stretch[] {
  const { sectionClass } = side.table;
  const code = stretches.filter(({ section }) => (sectionClass[section]! & SectionClass.EXEC) !== 0);
  if (code.length === 0) return [...stretches];
  const places = new Map<number, OwnedPlace[]>();
  fromEntries(side, new Set(code.map(({ section }) => section)), places);
  fromCode(
    side,
    new Set(code.filter(({ section }) => holdsCodePieces(side.object.name(section))).map(({ section }) => section)),
    places,
  );
  for (const list of places.values()) list.sort((a, b) => a.place - b.place);
  return stretches.flatMap((stretch) => cut(side, stretch, places.get(stretch.section) ?? []));
}

function cut(side: Side, stretch: Stretch, places: readonly OwnedPlace[]): Stretch[] {
  const { section, start, end } = stretch;
  const inside = places.filter(({ place }) => place >= start && place < end);
  const starts = [...new Set(inside.map(({ place }) => place))];
  if (starts.length === 0) return [stretch];
  const pieces: Stretch[] = starts.map((from, i) => {
    const owners = [...new Set(inside.filter(({ place }) => place === from).map(({ owner }) => owner))];
    const names = owners.map((owner) => `${side.table.hash[owner * 2]} ${side.table.hash[owner * 2 + 1]}`).sort();
    return {
      ...withoutFilling(side, { section, start: from, end: starts[i + 1] ?? end }),
      labels: [],
      owners,
      key: `of ${names.join()}`,
    };
  });
  const front = withoutFilling(side, { section, start, end: starts[0]! });
  const first = {
    ...stretch,
    ...front,
    labels: stretch.labels
      .map((label) => ({ ...label, at: label.at + start - front.start }))
      .filter(({ at }) => at < front.end - front.start),
  };
  return [first, ...pieces].filter((piece) => piece.start < piece.end);
}

/** What fields of special sections lead to, other than their sites: it belongs to the function that the entry describes. */
function fromEntries(side: Side, wanted: ReadonlySet<number>, places: Map<number, OwnedPlace[]>): void {
  const { table, identity, object } = side;
  for (const { section, rules, size } of specialTables(identity, side.structSizes, [])) {
    const { words, at, stop } = identity.relas.select(section, 0, object.size(section));
    const owners = new Map<number, number>();
    const reached: Array<{ entry: number; target: number; place: number }> = [];
    for (let i = at; i < stop; i += RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      const entry = Math.floor(offset / size);
      const symbol = words[i + R_SYM]!;
      const target = table.section[symbol]!;
      if (symbol >= table.symbols || target >= table.sections) continue;
      const place = table.value[symbol]! + s64(words, i + R_ADDEND);
      if (offset - entry * size === rules.site) owners.set(entry, identity.coverAt(target, place));
      else if (wanted.has(target)) reached.push({ entry, target, place });
    }
    for (const { entry, target, place } of reached) put(places, target, { place, owner: owners.get(entry) ?? 0 });
  }
}

/** What functions jump to in sections for pieces. */
function fromCode(
  { table, object, arch, identity }: Side,
  wanted: ReadonlySet<number>,
  places: Map<number, OwnedPlace[]>,
): void {
  if (wanted.size === 0) return;
  for (let relaSection = 1; relaSection < table.sections; relaSection++) {
    if (object.type(relaSection) !== SHT_RELA) continue;
    const user = object.info(relaSection);
    if ((table.sectionClass[user]! & SectionClass.EXEC) === 0) continue;
    const words = object.relas(relaSection);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const symbol = words[at + R_SYM]!;
      const target = table.section[symbol]!;
      if (symbol >= table.symbols || !wanted.has(target) || target === user) continue;
      const field = u64(words, at + R_OFFSET);
      const type = words[at + R_TYPE]!;
      const behind = arch.isPcRelative(type)
        ? arch.bias(type) + Math.max(0, arch.tail(object.bytes, object.offset(user), object.offset(user) + field))
        : 0;
      put(places, target, {
        place: table.value[symbol]! + s64(words, at + R_ADDEND) + behind,
        owner: identity.coverAt(user, field),
      });
    }
  }
}
