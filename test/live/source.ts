/** The C of a program, and the list of functions that its driver calls. */
import { constructs } from './constructs';
import type { Item, Program, Unit } from './model';
import { Names, prefix } from './names';

export interface Sources {
  /** By path of the unit. */
  units: Record<string, string>;
  /** For the runtime: `i NAME`, `e NAME`. */
  list: string;
}

interface Piece {
  item: Item;
  unit: Unit;
  text: string;
  names: Names;
}

function piece(item: Item, unit: Unit): Piece {
  const construct = constructs[item.kind];
  if (construct === undefined) throw new Error(`no construct ${item.kind}`);
  const names = new Names(item);
  const text = construct.emit(item.model, names);
  return { item, unit, text, names };
}

export function sourcesOf(program: Program): Sources {
  const pieces = program.units.flatMap((unit) => unit.items.map((item) => piece(item, unit)));
  const units: Record<string, string> = {};
  for (const unit of program.units) {
    const own = pieces.filter((p) => p.unit === unit);
    // Who calls whom is known by the text: declarations that nobody needs would change nothing, but hide what a shrunk pair is about.
    const text = own.map((p) => `${'\n'.repeat(p.item.blank)}/* ${p.item.kind} */\n${p.text}`).join('\n');
    const declared = pieces.flatMap((p) =>
      p.names.entries
        .filter(
          (name) =>
            (p.unit === unit || p.item.linkage === 'global' || p.item.linkage === 'weak') &&
            new RegExp(`\\b${name}\\(k`).test(text),
        )
        .map((name) => `${p.unit === unit ? prefix(p.item) : ''}u32 ${name}(u32 k);\n`),
    );
    units[unit.path] = `#include "rt.h"\n${declared.join('')}\n${text}`;
  }
  const called = pieces.filter((p) => p.item.role === 'entry').sort((a, b) => a.item.id - b.item.id);
  const lines = [
    ...[...pieces].sort((a, b) => a.item.id - b.item.id).flatMap((p) => p.names.inits.map((name) => `i ${name}`)),
    ...called.flatMap((p) => p.names.entries.map((name) => `e ${name}`)),
  ];
  return { units, list: `${lines.join('\n')}\n` };
}
