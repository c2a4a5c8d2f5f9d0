import { put } from '../../lists';
import { SectionClass } from '../../kernel/section-class';
import { Trait } from '../scan';
import type { Range } from '../side/range';
import type { Side } from '../side/side';

/** Bytes of a loaded section between sized symbols, before the first or behind the last one. */
export interface Gap extends Range {
  /** The symbols before and behind it, canonical; 0 at the section's ends. */
  before: number;
  behind: number;
}

/**
 * `.export_symbol`: the linker script drops it; which functions are exported is another question. The others are tables of addresses of
 * code, which compilers write and a livepatch has its own of.
 */
const NOT_COMPARED = /^\.export_symbol$|^\.s390_(?:return|indirect)_|^__(?:lwsync|barrier_nospec)_fixup$/;

/** Numbers of one gap as WebAssembly leaves them: section, start, end, the symbols before and behind, and the digest of all that it is. */
const GAP_NUMBERS = 9;
const DIGEST = 5;

/** The gaps of a build in the order of its sections, without those that only fill up; GAP_NUMBERS each. */
export function gapsOf({ identity: { code, entries, table } }: Side): Float64Array {
  const labels = code.countLabels();
  if (labels > 0) {
    const at = table.grow(labels * LABEL_BYTES);
    code.listLabels(at);
    new BigUint64Array(table.memory.buffer, at, labels).sort();
    code.nameLabels();
  }
  const parts: Float64Array[] = [];
  code.openGaps();
  for (let count = code.nextGaps(); count > 0; count = code.nextGaps())
    parts.push(entries.slice(0, count * GAP_NUMBERS));
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Its place and its name. */
const LABEL_BYTES = 16;

/** Those of two builds that have no equal in the other: nearly all of some thousand do. */
export function differingGaps(orig: Float64Array, patched: Float64Array): { orig: Gap[]; patched: Gap[] } {
  const open = new Map<string, number[]>();
  for (let at = 0; at < orig.length; at += GAP_NUMBERS) put(open, digestAt(orig, at), at);
  const left: Gap[] = [];
  for (let at = 0; at < patched.length; at += GAP_NUMBERS) {
    if (open.get(digestAt(patched, at))?.shift() === undefined) left.push(gapAt(patched, at));
  }
  const rest = [...open.values()].flat().sort((a, b) => a - b);
  return { orig: rest.map((at) => gapAt(orig, at)), patched: left };
}

function digestAt(gaps: Float64Array, at: number): string {
  return gaps.subarray(at + DIGEST, at + GAP_NUMBERS).join();
}

function gapAt(gaps: Float64Array, at: number): Gap {
  return {
    section: gaps[at]!,
    start: gaps[at + 1]!,
    end: gaps[at + 2]!,
    before: gaps[at + 3]!,
    behind: gaps[at + 4]!,
  };
}

/** Those that are compared as bytes, and are more than what belongs to the function behind. */
export function comparedGaps(side: Side, gaps: readonly Gap[]): Gap[] {
  const compared = new Map<number, boolean>();
  return gaps.filter((gap) => {
    let isCompared = compared.get(gap.section);
    if (isCompared === undefined) compared.set(gap.section, (isCompared = isComparedHere(side, gap.section)));
    return isCompared && !isPreamble(side, gap);
  });
}

/** A compiler-made constant counts by its users, and so does the whole of its section. */
function isComparedHere({ extents, object }: Side, section: number): boolean {
  return !extents.isObject(section) && !NOT_COMPARED.test(object.name(section));
}

/** Whether a gap holds nothing but what belongs to the function behind it. */
function isPreamble({ table, arch, object }: Side, { section, start, end, behind }: Gap): boolean {
  if (behind === 0 || !table.has(behind, Trait.FUNC) || (table.sectionClass[section]! & SectionClass.EXEC) === 0)
    return false;
  if (start === 0 && arch.leadIn(object.content(section), end) === end) return true;
  const { nops } = arch.filling;
  const { bytes } = object;
  const base = object.offset(section);
  const first = nops.endFrom(bytes, base + start, base + end);
  return nops.startFrom(bytes, first, base + end) - first <= arch.namelessHash;
}
