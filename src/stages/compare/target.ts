import { Digest, RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, s64, u64 } from '../../elf';
import { SectionClass } from '../../livepatch/section-class';
import { Kind, Trait } from '../scan';
import { stringEnd } from '../scan/identity';
import { namesOf, sameContent, type Pairing } from '../correlate';
import type { Side } from './side';

/** What one relocation refers to, resolved for one instruction. */
export interface Target {
  type: number;
  /** The symbol reached, canonical; 0 for strings, constants and anonymous data. */
  symbol: number;
  /** Distance from that symbol. */
  delta: number;
  /** Digest of what counts about it. */
  digest: Int32Array;
  /** Set for strings: the text, for telling line numbers from changes. */
  text: string | undefined;
  /** Section and offset reached, for anonymous data. */
  place: { section: number; offset: number } | undefined;
}

const scratch = new Digest();

/**
 * Resolves the rela at word `at` of `words`, which applies to `section` of `side`. `tail` is the number of instruction
 * bytes behind its field.
 */
export function resolveTarget(side: Side, words: Uint32Array, at: number, section: number, tail: number): Target {
  const { table, object, arch, identity } = side;
  const symbol = words[at + R_SYM]!;
  if (symbol >= table.symbols) object.malformed(object.offset(section), `a rela of section ${section} names symbol ${symbol} of ${table.symbols}`);
  const type = words[at + R_TYPE]!;
  const offset = u64(words, at + R_OFFSET);
  const addend = s64(words, at + R_ADDEND);
  const relative = (table.sectionClass[section]! & SectionClass.EXEC) !== 0 && arch.isPcRelative(type);
  const distance = addend + (relative ? arch.bias(type) + tail : 0);

  scratch.reset(0);
  identity.mixTarget(scratch, symbol, section, offset, type, addend, 0, 0, tail);
  const target: Target = { type, symbol: 0, delta: 0, digest: scratch.finish().slice(), text: undefined, place: undefined };
  const kind = table.kind[symbol]!;
  const place = table.section[symbol]!;
  if (kind === Kind.NAMED || kind === Kind.CONTENT || kind === Kind.PRIVATE) {
    target.symbol = table.canonical[symbol]!;
    target.delta = distance;
  } else if (kind === Kind.UNDEFINED) {
    target.symbol = symbol;
    target.delta = distance;
  } else if (place < table.sections) {
    const reached = table.value[symbol]! + distance;
    if (table.sectionClass[place]! & SectionClass.STRING) target.text = stringAt(side, place, reached);
    else {
      target.symbol = identity.objectAt(place, reached);
      target.delta = target.symbol === 0 ? 0 : reached - table.value[target.symbol]!;
      target.place = { section: place, offset: reached };
    }
  }
  return target;
}

function stringAt(side: Side, section: number, offset: number): string {
  const { object } = side;
  if (offset < 0 || offset >= object.size(section)) return '';
  const start = object.offset(section) + offset;
  const unit = object.entsize(section) || 1;
  const end = stringEnd(object.bytes, start, object.offset(section) + object.size(section), unit);
  return Buffer.from(object.bytes.subarray(start, end)).toString(unit === 2 ? 'utf16le' : 'latin1');
}

/** How two targets relate: the same thing, the same but for a source line, or different (in content of a table or not). */
export type TargetMatch = 'same' | 'line' | 'table' | 'different';

export function matchTargets(pairing: Pairing, a: Side, b: Side, ta: Target, tb: Target, units: ReadonlySet<string>): TargetMatch {
  if (ta.type !== tb.type) return 'different';
  if (ta.symbol !== 0 && tb.symbol !== 0) {
    const kindA = a.table.kind[ta.symbol]!;
    const kindB = b.table.kind[tb.symbol]!;
    if (kindA === Kind.NAMED && kindB === Kind.NAMED) return ta.delta === tb.delta && sameSymbol(pairing, ta.symbol, tb.symbol) ? 'same' : 'different';
    if (sameDigest(ta.digest, tb.digest)) return kindA !== Kind.CONTENT || sameInner(pairing, a, b, ta.symbol, tb.symbol, 0) ? 'same' : 'table';
    const tables = kindA === Kind.CONTENT && kindB === Kind.CONTENT;
    return tables && ta.delta === tb.delta ? 'table' : 'different';
  }
  if (sameDigest(ta.digest, tb.digest)) return 'same';
  if (ta.text !== undefined && tb.text !== undefined) return differsInLine(ta.text, tb.text, units) ? 'line' : 'different';
  if (ta.place !== undefined && tb.place !== undefined && ta.symbol === 0 && tb.symbol === 0) {
    if (sameExtent(a, b, ta.place, tb.place)) return 'same';
    return a.table.sectionClass[ta.place.section]! & SectionClass.READONLY ? 'table' : 'different';
  }
  return 'different';
}

/** Content that refers to content: real kernels go two deep. */
const DEEPEST = 8;

/**
 * Whether what two private objects of equal digests refer to is the same: a digest knows names only, and a compound literal
 * may come to point to another `state.N`.
 */
function sameInner(pairing: Pairing, a: Side, b: Side, symbolA: number, symbolB: number, depth: number): boolean {
  const inner = (side: Side, symbol: number): Target[] => {
    const section = side.table.section[symbol]!;
    const start = side.table.value[symbol]!;
    const end = start + side.table.size[symbol]!;
    const { words, at, stop } = side.identity.relas.select(section, start, end);
    const places: number[] = [];
    for (let i = at; i < stop; i += RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      if (offset >= start && offset < end) places.push(i);
    }
    return places.map((i) => resolveTarget(side, words, i, section, 0));
  };
  const ours = inner(a, symbolA);
  const theirs = inner(b, symbolB);
  return ours.length === theirs.length && ours.every((target, i) => {
    const other = theirs[i]!;
    if (target.symbol === 0 || other.symbol === 0) return true;
    if (a.table.kind[target.symbol] === Kind.CONTENT) return depth >= DEEPEST || sameInner(pairing, a, b, target.symbol, other.symbol, depth + 1);
    return a.table.kind[target.symbol] !== Kind.NAMED || sameSymbol(pairing, target.symbol, other.symbol);
  });
}

/** Whether two canonical symbols are twins by any of their names, or as good as twins. */
export function sameSymbol(pairing: Pairing, a: number, b: number): boolean {
  const { orig, patched } = pairing;
  if (isTwin(pairing, a, b)) return true;
  if (orig.hash[a * 2] !== patched.hash[b * 2] || orig.hash[a * 2 + 1] !== patched.hash[b * 2 + 1]) return false;
  // Both undecided, of one name and one scope: nothing says that they are different, and who depends on them is refused.
  if (pairing.twin[a] === 0 && pairing.origin[b] === 0 && sameScope(pairing, a, b)) return true;
  // Equal functions and equal read-only data of one name are interchangeable, whichever was paired with which, unless they
  // refer to names that prove nothing: then equal digests are not equal contents.
  return !orig.has(a, Trait.WRITABLE | Trait.HAS_USES) && !patched.has(b, Trait.WRITABLE | Trait.HAS_USES) && orig.has(a, Trait.CONTENT) && sameContent(orig, a, patched, b);
}

function isTwin({ orig, patched, twin }: Pairing, a: number, b: number): boolean {
  if (twin[a] !== 0) return patched.canonical[twin[a]!] === b;
  // The canonical name may be gone while the body's other names are paired.
  return namesOf(orig, a).some((alias) => twin[alias] !== 0 && patched.canonical[twin[alias]!] === b);
}

/** Whether two symbols without twins could be: of paired units, or of none. */
export function sameScope({ orig, patched, unitTwin }: Pairing, a: number, b: number): boolean {
  const unitA = orig.file[a]!;
  const unitB = patched.file[b]!;
  return unitA === 0 || unitB === 0 ? unitA === unitB : unitTwin[unitA] === unitB;
}

function sameExtent(a: Side, b: Side, pa: { section: number; offset: number }, pb: { section: number; offset: number }): boolean {
  if (pa.section >= a.table.sections || pb.section >= b.table.sections || pa.offset < 0 || pb.offset < 0) return false;
  const both = a.table.sectionClass[pa.section]! & b.table.sectionClass[pb.section]!;
  // Writable data without a symbol is told by its section and its content; `.bss` has none to tell.
  if ((both & SectionClass.READONLY) === 0 && ((both & SectionClass.NOBITS) !== 0 || a.object.name(pa.section).replace(/[0-9._]+$/, '') !== b.object.name(pb.section).replace(/[0-9._]+$/, ''))) return false;
  const sizeA = a.object.size(pa.section);
  const sizeB = b.object.size(pb.section);
  // A compiler-made `.rodata..L__const.f` is one object, all of it. `ld -r` joins equally named ones of two units, though: in
  // 7.2 a 5-byte object follows the "i686" that override_release copies, so where sizes differ the shorter one is the object.
  const whole = a.object.name(pa.section).includes('..L') && b.object.name(pb.section).includes('..L');
  const joined = whole && sizeA !== sizeB;
  // Elsewhere an extent ends at the next place that anything refers to; where the builds disagree the longer one is compared.
  if (whole && !joined) return pa.offset === pb.offset && sameDigest(a.identity.ofRange(pa.section, 0, sizeA, 0).slice(), b.identity.ofRange(pb.section, 0, sizeB, 0));
  const length = joined ? Math.min(sizeA - pa.offset, sizeB - pb.offset)
    : Math.max(a.extents.end(pa.section, pa.offset) - pa.offset, b.extents.end(pb.section, pb.offset) - pb.offset);
  if (length <= 0 || pa.offset + length > sizeA || pb.offset + length > sizeB) return false;
  const da = a.identity.ofRange(pa.section, pa.offset, pa.offset + length, 0).slice();
  return sameDigest(da, b.identity.ofRange(pb.section, pb.offset, pb.offset + length, 0));
}

function sameDigest(a: Int32Array, b: Int32Array): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}

/** Names of the source file that a symbol comes from: its unit's, or, as a global has none, every unit's. */
export function unitNames(side: Side, symbol: number): ReadonlySet<string> {
  const file = side.table.file[symbol]!;
  return file !== 0 ? new Set([side.name(file)]) : side.allUnits();
}

/**
 * Whether two strings are equal but for the number behind the unit's own file name and a colon. Fortified memcpy puts
 * `... at net/packet/af_packet.c:3738` into a literal of `packet_getname` (Linux 6.12).
 */
export function differsInLine(a: string, b: string, units: ReadonlySet<string>): boolean {
  if (a === b) return false;
  const masked = (text: string): string => text.replace(/([^\s/:]+):[0-9]+/g, (whole, file: string) => (units.has(file) ? `${file}:` : whole));
  return masked(a) === masked(b);
}

/** A target in words: `printk`, `jiffies+0x8`, `"text"`, `.rodata+0x40`. */
export function describeTarget(side: Side, target: Target): string {
  if (target.text !== undefined) return JSON.stringify(target.text);
  const { table } = side;
  // A site that boot code rewrites (`__fentry__`) refers to nothing any more; its distance would only confuse.
  if (target.type === side.arch.none && target.symbol !== 0) return `${side.name(target.symbol)} (site)`;
  const distance = (delta: number): string => (delta === 0 ? '' : delta < 0 ? `-0x${(-delta).toString(16)}` : `+0x${delta.toString(16)}`);
  if (target.symbol !== 0) {
    const name = side.name(target.symbol);
    return (name || side.sectionName(target.symbol)) + distance(target.delta);
  }
  if (target.place !== undefined && target.place.section < table.sections) return side.object.name(target.place.section) + distance(target.place.offset);
  return side.arch.relocationName(target.type);
}
