import {
  ElfObject,
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHF_STRINGS,
  SHN_XINDEX,
  SHT_RELA,
  STB_LOCAL,
  STT_FILE,
  STT_FUNC,
  STT_OBJECT,
  STT_SECTION,
  ST_SIZE,
  ST_VALUE,
  SYM_WORDS,
  s64,
  u64,
} from '../../src/elf';

interface Definition {
  name: string;
  start: number;
  end: number;
}

/**
 * What each function of an object is, as text: its bytes, and its relocations with what they name. Written plainly
 * and apart from klpflow's stages, to check them and the synthetic kernel.
 *
 * Keys are `FILE#n name` for locals (n numbers FILE symbols of equal name), `name~n` for statics that ThinLTO promoted
 * (n numbers those that differ in the suffix only) and `name` for others.
 * Objects are named without the number of a static local, and strings by their text.
 */
export function functionContents(path: string): Map<string, string> {
  const object = ElfObject.open(path);
  const relaSections = new Map<number, number>();
  for (let section = 1; section < object.sectionCount; section++)
    if (object.type(section) === SHT_RELA) relaSections.set(object.info(section), section);

  const definitions = new Map<number, Definition[]>();
  const functions: Array<{ key: string; section: number; start: number; size: number }> = [];
  const counts = new Map<string, number>();
  const count = (name: string): number => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return counts.get(name)!;
  };
  let file = '';
  for (let symbol = 1; symbol < object.symbolCount; symbol++) {
    const { type, binding, section, value, size } = symbolAt(object, symbol);
    const name = object.symbolName(symbol);
    if (type === STT_FILE) file = `${name}#${count(name)} `;
    if ((type !== STT_FUNC && type !== STT_OBJECT) || name.startsWith('__pfx_') || name.startsWith('__initstub__'))
      continue;
    const plain = plainName(name, type);
    if (!definitions.has(section)) definitions.set(section, []);
    definitions.get(section)!.push({ name: plain, start: value, end: value + size });
    if (type !== STT_FUNC) continue;
    const key = binding === STB_LOCAL ? file + plain : plain === name ? plain : `${plain}~${count(`${plain}~`)}`;
    functions.push({ key, section, start: value, size });
  }

  const contents = new Map<string, string>();
  for (const { key, section, start, size } of functions) {
    const bytes = Buffer.from(object.content(section).subarray(start, start + size)).toString('hex');
    const references: string[] = [];
    const words = object.relas(relaSections.get(section) ?? 0);
    for (let at = 0; at < words.length && relaSections.has(section); at += RELA_WORDS) {
      const offset = u64(words, at + R_OFFSET) - start;
      if (offset < 0 || offset >= size) continue;
      references.push(
        `${offset} ${words[at + R_TYPE]} ${target(object, definitions, words[at + R_SYM]!, s64(words, at + R_ADDEND))}`,
      );
    }
    if (contents.has(key)) throw new Error(`two functions are called ${key}`);
    contents.set(key, [bytes, ...references].join('\n'));
  }
  return contents;
}

function symbolAt(
  object: ElfObject,
  symbol: number,
): { type: number; binding: number; section: number; value: number; size: number } {
  const { symbols } = object;
  const at = symbol * SYM_WORDS;
  const word = symbols[at + 1]!;
  const index = word >>> 16;
  return {
    type: word & 0xf,
    binding: (word >>> 4) & 0xf,
    section: index === SHN_XINDEX ? object.extendedIndex[symbol]! : index,
    value: u64(symbols, at + ST_VALUE),
    size: u64(symbols, at + ST_SIZE),
  };
}

/** The addend of a PC-relative field counts from the field; all code here that refers to a section's inside has no immediate behind it. */
function target(
  object: ElfObject,
  definitions: ReadonlyMap<number, Definition[]>,
  symbol: number,
  addend: number,
): string {
  const { type, section } = symbolAt(object, symbol);
  if (type !== STT_SECTION) return `${plainName(object.symbolName(symbol), type)} + ${addend}`;
  if (object.sectionFlags(section) & SHF_STRINGS) {
    const start = object.offset(section) + addend + 4;
    return JSON.stringify(object.text(start, object.offset(section) + object.size(section)));
  }
  const inside = definitions.get(section) ?? [];
  const owner =
    inside.length === 1 ? inside[0]! : inside.find(({ start, end }) => addend + 4 >= start && addend + 4 < end);
  return owner === undefined ? `${object.name(section)} + ${addend}` : `${owner.name} + ${addend - owner.start}`;
}

function plainName(name: string, type: number): string {
  const cut = name.replace(/\.llvm\.\d+$/, '');
  return type === STT_OBJECT ? cut.replace(/\.\d+$/, '') : cut;
}
