import { R_ADDEND, R_SYM, R_TYPE, s64, type Offset, type SectionIndex, type SymbolIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import { meaningOf, shiftOf, type Reading } from '.';
import { Kind } from '../scan';
import { labelOf } from '../side/labels';
import { isOwnLabel, literalAt } from '../side/literal';
import type { RelaAt } from '../side/range';
import type { Side } from '../side/side';

/** What one relocation refers to, resolved for one instruction. */
export interface Target {
  type: number;
  /** The symbol reached, canonical; 0 for strings, constants and anonymous data. */
  symbol: SymbolIndex;
  /** Distance from that symbol, or from the label of a literal or constant. */
  delta: number;
  /** What else it may mean, where nothing tells; see places. */
  others: readonly Reading[];
  /** Further objects that are reached by the address of one. */
  along: readonly Reading[];
  /** Digest of what counts about it. */
  digest: Int32Array;
  /** Set for strings: the literal's text, for telling line numbers from changes. */
  text: string | undefined;
  /** Section and offset reached, for anonymous data. */
  place: Place | undefined;
}

export interface Place {
  section: SectionIndex;
  offset: Offset;
}

/** Resolves a rela that applies to `section`. `tail` is the number of instruction bytes behind its field. */
export function resolveTarget(side: Side, { words, at, offset }: RelaAt, section: SectionIndex, tail: number): Target {
  const { table, object, arch, identity } = side;
  const symbol = words[at + R_SYM]!;
  if (symbol >= table.symbols)
    object.malformed(object.offset(section), `a rela of section ${section} names symbol ${symbol} of ${table.symbols}`);
  const type = words[at + R_TYPE]!;
  const addend = s64(words, at + R_ADDEND);
  const relative = (table.sectionClass[section]! & SectionClass.EXEC) !== 0 && arch.isPcRelative(type);
  const distance = addend + (relative ? arch.bias(type) + tail : 0);

  const target: Target = {
    type,
    symbol: 0,
    delta: 0,
    others: [],
    along: [],
    digest: identity.ofTarget(symbol, section, offset, type, addend, tail),
    text: undefined,
    place: undefined,
  };
  const kind = table.kind[symbol]!;
  const place = table.section[symbol]!;
  if (kind === Kind.NAMED || kind === Kind.CONTENT || kind === Kind.PRIVATE) {
    target.symbol = table.canonical[symbol]!;
    target.delta = distance;
  } else if (kind === Kind.UNDEFINED) {
    target.symbol = symbol;
    target.delta = distance;
  } else if (place < table.sections) {
    const reached = table.value[symbol]! + distance + shiftOf(side, section, offset);
    const entry = (table.sectionClass[place]! & SectionClass.TOC) !== 0 ? identity.tocRela(place, reached) : -1;
    // ppc64 reaches everything through its TOC: what counts is what the entry refers to.
    if (entry >= 0)
      return { ...resolveTarget(side, { words: identity.relas.words, at: entry, offset: reached }, place, 0), type };
    const own = isOwnLabel(side, symbol) ? distance : 0;
    if (table.sectionClass[place]! & SectionClass.STRING) {
      target.delta = own;
      target.text = textAt(side, place, reached - own);
    } else {
      const meant = labelOf(side, section, offset, type, place, reached);
      const meaning = meaningOf(side, { section, start: offset, end: offset + 1 }, offset, symbol, place, meant);
      target.symbol = meaning.symbol;
      target.delta = meaning.symbol === 0 ? own : meaning.delta;
      target.others = meaning.others;
      target.along = alongWith(side, section, offset, meant);
      target.place = { section: place, offset: meant - (meaning.symbol === 0 ? own : 0) };
      // What is meant may not be what lies there.
      if (meaning.symbol !== 0)
        target.digest = identity.ofTarget(meaning.symbol, section, offset, arch.none, meaning.delta, 0);
    }
  }
  return target;
}

/** What is reached by the address of one object besides the first. */
function alongWith(side: Side, section: SectionIndex, field: Offset, meant: Offset): Reading[] {
  const anchor = side.identity.anchors.at(section, field);
  return [...(anchor?.objects ?? [])]
    .filter(([, distance]) => distance !== anchor!.shift)
    .map(([symbol, distance]) => {
      const further = distance - anchor!.shift;
      return { symbol: Math.max(0, symbol), delta: symbol < 0 ? further : meant + further - side.table.value[symbol]! };
    });
}

function textAt({ object }: Side, section: SectionIndex, offset: Offset): string {
  const literal = literalAt(object, section, offset);
  if (literal === undefined) return '';
  return Buffer.from(object.content(section).subarray(offset, literal.end - literal.unit)).toString(
    literal.unit === 2 ? 'utf16le' : 'latin1',
  );
}

/** A target in words: `printk`, `jiffies+0x8`, `"text"`, `.rodata+0x40`. */
export function describeTarget(side: Side, target: Target): string {
  const { table } = side;
  // A site that boot code rewrites (`__fentry__`) refers to nothing any more; its distance would only confuse.
  if (target.type === side.arch.none && target.symbol !== 0) return `${side.name(target.symbol)} (site)`;
  const distance = (delta: number): string =>
    delta === 0 ? '' : delta < 0 ? `-0x${(-delta).toString(16)}` : `+0x${delta.toString(16)}`;
  if (target.text !== undefined) return JSON.stringify(target.text) + distance(target.delta);
  if (target.symbol !== 0) {
    const name = side.name(target.symbol);
    return (name || side.sectionName(target.symbol)) + distance(target.delta);
  }
  if (target.place !== undefined && target.place.section < table.sections)
    return side.object.name(target.place.section) + distance(target.place.offset);
  return side.arch.relocationName(target.type);
}
