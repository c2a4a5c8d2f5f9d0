import type { SectionIndex } from '../../elf';
import { put } from '../../lists';
import { SectionClass } from '../../kernel/section-class';
import { Trait } from '../scan';
import { GAP_DIGEST, GAP_WORDS } from '../scan/gaps';
import type { Range } from '../side/range';
import type { Side } from '../side/side';

/** Bytes of a loaded section between sized symbols, before the first or behind the last one. */
export interface Gap extends Range {
  /** The symbols before and behind it, canonical; 0 at the section's ends. */
  before: number;
  behind: number;
}

/** Tables of addresses of code, which compilers write and a livepatch has its own of. */
const NOT_COMPARED = /^\.s390_(?:return|indirect)_|^__(?:lwsync|barrier_nospec)_fixup$/;

/** Those of two builds that have no equal in the other: nearly all of some thousand do. */
export function differingGaps(orig: Uint32Array, patched: Uint32Array): { orig: Gap[]; patched: Gap[] } {
  // By the first word: an arm64 kernel has 40,000 gaps, and a text of each digest takes longer than all else here.
  const open = new Map<number, number[]>();
  for (let at = 0; at < orig.length; at += GAP_WORDS) put(open, orig[at + GAP_DIGEST]!, at);
  const left: Gap[] = [];
  for (let at = 0; at < patched.length; at += GAP_WORDS) {
    const alike = open.get(patched[at + GAP_DIGEST]!) ?? [];
    const twin = alike.findIndex((one) => sameDigest(orig, one, patched, at));
    if (twin < 0) left.push(gapAt(patched, at));
    else alike.splice(twin, 1);
  }
  const rest = [...open.values()].flat().sort((a, b) => a - b);
  return { orig: rest.map((at) => gapAt(orig, at)), patched: left };
}

function sameDigest(a: Uint32Array, atA: number, b: Uint32Array, atB: number): boolean {
  for (let i = GAP_DIGEST; i < GAP_WORDS; i++) if (a[atA + i] !== b[atB + i]) return false;
  return true;
}

function gapAt(gaps: Uint32Array, at: number): Gap {
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
function isComparedHere({ extents, object }: Side, section: SectionIndex): boolean {
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
