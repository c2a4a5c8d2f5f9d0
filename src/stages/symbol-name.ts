/**
 * Symbols as people name them: `name`, `unit:name` where several units have one of the name, `unit#2:name` where several units have one
 * name, too; the second is the second in the symbol table.
 */
import { STT_FILE } from '../elf';
import type { Side } from './side/side';
import { Trait } from './scan';

/** Functions and objects that a text names, canonical, in symbol-table order; those with content before the others. */
export function symbolsNamed(side: Side, text: string): number[] {
  const { table } = side;
  const whole = named(side, text);
  if (whole.length > 0) return whole;
  const colon = text.indexOf(':');
  if (colon <= 0) return [];
  const [, unit = '', number] = /^(.*?)(?:#(\d+))?$/.exec(text.slice(0, colon))!;
  const units = unitsNamed(side, unit);
  const wanted = new Set(number === undefined ? units : units.slice(Number(number) - 1, Number(number)));
  return named(side, text.slice(colon + 1)).filter((symbol) => wanted.has(table.file[symbol]!));
}

/** The shortest text that names this symbol and no other. */
export function nameOf(side: Side, symbol: number): string {
  const name = side.name(symbol);
  if (named(side, name).length === 1) return name;
  const file = side.table.file[symbol]!;
  if (file === 0 || !side.table.isLocal(symbol)) return name;
  const unit = side.name(file);
  const units = unitsNamed(side, unit);
  return units.length === 1 ? `${unit}:${name}` : `${unit}#${units.indexOf(file) + 1}:${name}`;
}

function named(side: Side, name: string): number[] {
  const { table } = side;
  const length = Buffer.byteLength(name);
  const found = new Set<number>();
  const empty = new Set<number>();
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    if (
      table.nameLength[symbol] !== length ||
      (table.traits[symbol]! & (Trait.FUNC | Trait.OBJECT | Trait.CORRELATABLE)) === 0 ||
      side.name(symbol) !== name
    )
      continue;
    (table.has(symbol, Trait.CONTENT) ? found : empty).add(symbol);
  }
  return found.size > 0 ? [...found] : [...empty];
}

function unitsNamed(side: Side, name: string): number[] {
  const { listed, listedCount, info } = side.table;
  const units: number[] = [];
  for (let i = 0; i < listedCount; i++)
    if ((info[listed[i]!]! & 0xf) === STT_FILE && side.name(listed[i]!) === name) units.push(listed[i]!);
  return units;
}
