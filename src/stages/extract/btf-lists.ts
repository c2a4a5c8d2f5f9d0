import { STT_SECTION, type Offset, type SectionIndex, type SymbolIndex } from '../../elf';
import type { Side } from '../side/side';

const SECTION = '.BTF_ids';
const ENTRY = '__BTF_ID__';

/** One list of `BTF_ID_LIST`, `BTF_SET_START` and their like: a label, then the ids of types up to the next one. */
export interface BtfList {
  /** Symbol of the label. */
  label: number;
  section: SectionIndex;
  start: number;
  end: number;
  /** What stands where in it, without the numbers of `__COUNTER__` and `__LINE__` that the macros paste behind names: a line more above renumbers all. */
  content: string;
}

const known = new WeakMap<Side, BtfList[]>();

/** The lists of an object. Found by one pass over its symbols, when first asked for. */
function listsOf(side: Side): BtfList[] {
  let lists = known.get(side);
  if (lists === undefined) known.set(side, (lists = readLists(side)));
  return lists;
}

function readLists(side: Side): BtfList[] {
  const { table, object } = side;
  const sections = new Map<number, number[]>();
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    const section = table.section[symbol]!;
    if (section === 0 || section >= table.sections || table.typeOf(symbol) === STT_SECTION || !isBtfIds(side, section))
      continue;
    const list = sections.get(section);
    if (list === undefined) sections.set(section, [symbol]);
    else list.push(symbol);
  }
  return [...sections].flatMap(([section, symbols]) => {
    symbols.sort((a, b) => table.value[a]! - table.value[b]! || a - b);
    const labels = symbols.filter((symbol) => !side.name(symbol).startsWith(ENTRY));
    return labels.map((label, i) => {
      const start = table.value[label]!;
      const end = i + 1 < labels.length ? table.value[labels[i + 1]!]! : object.size(section);
      const entries = symbols.filter(
        (symbol) => table.value[symbol]! >= start && table.value[symbol]! < end && side.name(symbol).startsWith(ENTRY),
      );
      // Flags of kfuncs stand between the ids.
      const words = Buffer.from(object.content(section).subarray(start, end)).toString('hex');
      return {
        label,
        section,
        start,
        end,
        content: `${words}\n${entries.map((symbol) => `${table.value[symbol]! - start} ${side.name(symbol).replace(/__\d+$/, '')}`).join('\n')}`,
      };
    });
  });
}

export function isBtfIds({ object, table }: Side, section: SectionIndex): boolean {
  return (
    table.sectionClass[section] !== 0 &&
    object.bytes[object.nameOffset(section) + 1] === 0x42 &&
    object.name(section) === SECTION
  );
}

/** The list that a place lies in; undefined before the first label. */
export function btfListAt(side: Side, section: SectionIndex, offset: Offset): BtfList | undefined {
  return listsOf(side).find((list) => list.section === section && offset >= list.start && offset < list.end);
}

/**
 * ORIG's list that is the one of PATCHED: of the same label, in a unit of the same name where it is a static one. `units` are FILE symbols of ORIG that the user's twin
 * is known to be of, to tell units of one name apart.
 */
export function origList(orig: Side, patched: Side, list: BtfList, unit: number): BtfList | undefined {
  const name = patched.name(list.label);
  const local = patched.table.isLocal(list.label);
  const unitOf = (side: Side, symbol: SymbolIndex): string =>
    side.table.file[symbol] === 0 ? '' : side.name(side.table.file[symbol]!);
  const named = listsOf(orig).filter(
    ({ label }) =>
      orig.name(label) === name &&
      orig.table.isLocal(label) === local &&
      (!local || unitOf(orig, label) === unitOf(patched, list.label)),
  );
  const own = unit === 0 ? [] : named.filter(({ label }) => orig.table.file[label] === unit);
  const [found, ...others] = own.length > 0 ? own : named;
  return others.length === 0 ? found : undefined;
}
