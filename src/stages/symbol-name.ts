/**
 * Symbols as people name them: `name`, `unit:name` where several units have one of the name, `unit#2:name` where several units have one
 * name, too; the second is the second in the symbol table.
 */
import { STT_FILE, type SymbolIndex } from '../elf';
import type { Side } from './side/side';
import { Trait } from './scan';

/** Functions and objects that a text means which is no name: one without what LTO appended, or the beginning of one name and no other. */
export function symbolsBegun(side: Side, text: string): number[] {
  const promoted = matching(side, (name) => name.startsWith(`${text}.llvm.`));
  if (promoted.length > 0) return promoted;
  const begun = text.length < SHORTEST ? [] : matching(side, (name) => name.startsWith(text));
  return new Set(begun.map((symbol) => side.name(symbol))).size === 1 ? begun : [];
}

/** A shorter text is the beginning of too many names. */
const SHORTEST = 3;

/** Names that hold a text, the shortest first. */
export function namesLike(side: Side, text: string, most = 8): string[] {
  const part = text.slice(text.indexOf(':') + 1);
  if (part.length < SHORTEST) return [];
  const names = new Set(matching(side, (name) => name.includes(part)).map((symbol) => side.name(symbol)));
  return [...names].sort((a, b) => a.length - b.length || (a < b ? -1 : 1)).slice(0, most);
}

function matching(side: Side, wanted: (name: string) => boolean): number[] {
  const { table } = side;
  const found: number[] = [];
  for (let symbol = 1; symbol < table.symbols; symbol++)
    if (
      (table.traits[symbol]! & (Trait.FUNC | Trait.OBJECT)) !== 0 &&
      table.has(symbol, Trait.CONTENT) &&
      wanted(side.name(symbol))
    )
      found.push(symbol);
  return found;
}

/** Functions and objects that a text names in full, canonical, in symbol-table order; those with content before the others. */
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
export function nameOf(side: Side, symbol: SymbolIndex): string {
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
