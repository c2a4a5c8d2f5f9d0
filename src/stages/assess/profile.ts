import { diagnostic, type Diagnostic } from '../../diagnostics';
import { SHT_REL } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import { Role } from '../../kernel/sections';
import type { Verdict } from '../compare';
import type { Side } from '../side/side';
import { Trait } from '../scan';
import type { AssessInput } from './types';

/** What unchanged functions say about the profiles (`-fprofile-use`) that their objects were built with; counts add up over objects. */
export interface ProfileEvidence {
  /** Unchanged functions that show a profile: by calls that are counted, or by a place among hot or unlikely code. */
  functions: number;
  /** Those of them whose calls were counted otherwise, or that moved between hot, unlikely and plain code. */
  differing: number;
}

/** Where the compiler put a function by how often it runs; neither for most, nor for what lies in no section. */
const WARMTH = SectionClass.HOT | SectionClass.UNLIKELY;

/** An edit changes the counts of what is inlined elsewhere: a few functions are not yet another profile ... */
const FEWEST = 3;
/** ... and of many one in so many has to differ. */
const SHARE = 20;

/**
 * Compares the traces that profiles leave in objects: Clang's `.llvm.call-graph-profile` (a count for each caller and callee), and
 * sections `.text.hot.*` and `.text.unlikely.*`. With one profile an unchanged function has the same traces in both builds.
 */
export function profileEvidence({
  pairing,
  orig,
  patched,
  verdicts,
}: Pick<AssessInput, 'pairing' | 'orig' | 'patched'> & {
  verdicts: ReadonlyArray<Pick<Verdict, 'status' | 'orig'>>;
}): ProfileEvidence {
  const changed = new Set(verdicts.filter(({ status }) => status === 'changed').map(({ orig: symbol }) => symbol));
  const [ours, theirs] = [countedCalls(orig), countedCalls(patched)];
  const evidence: ProfileEvidence = { functions: 0, differing: 0 };
  const { twin } = pairing;
  const { listed, listedCount, traits, canonical, section: sectionA, sectionClass: classA } = orig.table;
  const { section: sectionB, sectionClass: classB } = patched.table;
  const counted = ours !== undefined || theirs !== undefined;
  for (let i = 0; i < listedCount; i++) {
    const a = listed[i]!;
    const b = twin[a]!;
    // Of 200,000 functions few show a profile; the others are passed over without a call, most of them before V8 has compiled this.
    if (b === 0 || (traits[a]! & (Trait.FUNC | Trait.COLD)) !== Trait.FUNC || canonical[a] !== a) continue;
    const warmthA = classA[sectionA[a]!]! & WARMTH;
    const warmthB = classB[sectionB[b]!]! & WARMTH;
    if (warmthA === 0 && warmthB === 0 && !counted) continue;
    const body = patched.table.canonical[b]!;
    const callsA = ours?.calls[a] ?? 0;
    const callsB = theirs?.calls[body] ?? 0;
    if ((warmthA === 0 && warmthB === 0 && callsA === 0 && callsB === 0) || changed.has(a)) continue;
    evidence.functions++;
    if (callsA !== callsB || (ours?.sums[a] ?? 0) !== (theirs?.sums[body] ?? 0) || warmthA !== warmthB)
      evidence.differing++;
  }
  return evidence;
}

/** The diagnostic of builds with different profiles, where the objects together show that; else nothing. */
export function reportProfiles(evidence: readonly ProfileEvidence[], object: string): Diagnostic[] {
  const functions = evidence.reduce((sum, each) => sum + each.functions, 0);
  const differing = evidence.reduce((sum, each) => sum + each.differing, 0);
  if (differing < FEWEST || differing * SHARE < functions) return [];
  return [
    diagnostic(
      'different-profiles',
      `of ${functions} unchanged functions that show a profile ${differing} were counted otherwise or moved between hot and unlikely code: the builds used different profiles`,
      { object },
    ),
  ];
}

/** An entry is a count; its two relocations (SHT_REL) name caller and callee. */
const ENTRY = 8;
const REL = 16;
/** Spreads differences over a word. */
const FACTOR = 0x9e3779b1;

/** What a profile counted of each function, by canonical symbol: how many calls, and an order-free sum over callees' names and counts. */
interface CountedCalls {
  calls: Uint32Array;
  sums: Uint32Array;
}

/** Undefined for an object without counts. Clang before 13 wrote another form, which is passed over. */
function countedCalls({ object, table }: Side): CountedCalls | undefined {
  const counted = new Set(table.ofRole(Role.CALL_COUNTS).filter((section) => object.entsize(section) === ENTRY));
  if (counted.size === 0) return undefined;
  const calls = new Uint32Array(table.symbols);
  const sums = new Uint32Array(table.symbols);
  for (let rel = 1; rel < object.sectionCount; rel++) {
    const section = object.info(rel);
    if (object.type(rel) !== SHT_REL || !counted.has(section)) continue;
    const counts = viewOf(object.content(section));
    const records = viewOf(object.content(rel));
    const symbolAt = (at: number): number => {
      const symbol = records.getUint32(at + (object.little ? 12 : 8), object.little);
      if (symbol >= table.symbols)
        object.malformed(
          object.offset(rel),
          `a relocation of ${object.name(section)} names symbol ${symbol} of ${table.symbols}`,
        );
      return symbol;
    };
    for (
      let at = 0, entry = 0;
      at + 2 * REL <= records.byteLength && entry + ENTRY <= counts.byteLength;
      at += 2 * REL, entry += ENTRY
    ) {
      const caller = table.canonical[symbolAt(at)]!;
      // The name without the `.llvm.` that ThinLTO gives it anew.
      let sum = table.hash[2 * symbolAt(at + REL)]!;
      for (const half of [0, 4]) sum = Math.imul(sum ^ counts.getUint32(entry + half, object.little), FACTOR);
      calls[caller]!++;
      sums[caller]! += sum ^ (sum >>> 15);
    }
  }
  return { calls, sums };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
