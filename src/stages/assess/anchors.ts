import { RELA_WORDS, R_OFFSET, SHF_WRITE, u64, type Offset, type SymbolIndex } from '../../elf';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { originOf } from '../correlate';
import { Kind } from '../scan';
import type { Anchor } from '../scan/anchors';
import type { Side } from '../side/side';
import type { AssessInput } from './types';

/**
 * Refuses functions that reach several variables by one address (Anchors), where the copy would read what lies behind the one that its relocation
 * names. Seen as `warn_at(.., __func__)` that printed the middle of another name. Not where all of them are variables of the running kernel, as far from
 * each other as in PATCHED: what is written to is never copied. What is reached by the address of one that is not used itself is found by its own.
 */
export function refuseAnchors(input: AssessInput, included: ReadonlySet<number>): Diagnostic[] {
  const { patched, objectName } = input;
  if (patched.arch.distancesUsed === null) return [];
  return [...included].flatMap((symbol) => {
    const shared = sharedIn(patched, symbol).find(({ anchor }) => !staysTogether(input, anchor));
    if (shared === undefined) return [];
    const name = patched.name(symbol);
    const names = [...shared.anchor.objects.keys()].map((one) => (one < 0 ? 'data without a name' : patched.name(one)));
    return [
      diagnostic(
        'section-anchors',
        `${name}+0x${shared.at.toString(16)} reaches ${names.slice(0, MOST_NAMES).join(', ')}${names.length > MOST_NAMES ? ' and more' : ''} by one address, and they do not lie so in the running kernel`,
        { object: objectName, section: patched.sectionName(symbol), symbol: name, offset: shared.at },
      ),
    ];
  });
}

const MOST_NAMES = 4;

function sharedIn({ identity, ...side }: Side, symbol: SymbolIndex): Array<{ at: Offset; anchor: Anchor }> {
  const { table } = side;
  const section = table.section[symbol]!;
  const start = table.value[symbol]!;
  const { words, at, stop } = identity.relas.select(section, start, start + table.size[symbol]!);
  const found: Array<{ at: Offset; anchor: Anchor }> = [];
  for (let i = at; i < stop; i += RELA_WORDS) {
    const field = u64(words, i + R_OFFSET);
    const anchor = identity.anchors.at(section, field);
    if (anchor !== undefined && anchor.objects.size > 1) found.push({ at: field - start, anchor });
  }
  return found;
}

/** Whether all that is reached lies in the running kernel as it does in PATCHED. */
function staysTogether({ pairing, orig, patched }: AssessInput, { objects }: Anchor): boolean {
  const distances = new Set<string>();
  for (const symbol of objects.keys()) {
    const twin = symbol < 0 ? 0 : originOf(pairing, symbol);
    if (twin === 0) return false;
    const sides = [
      [patched, symbol],
      [orig, twin],
    ] as const;
    if (sides.some(([side, one]) => !isKept(side, one))) return false;
    distances.add(`${orig.table.section[twin]} ${orig.table.value[twin]! - patched.table.value[symbol]!}`);
  }
  return distances.size === 1;
}

/** Whether a variable has one place for all: a copy is made of nothing that is written to. */
function isKept({ table, object }: Side, symbol: SymbolIndex): boolean {
  const section = table.section[symbol]!;
  return (
    table.kind[symbol] === Kind.NAMED && section < table.sections && (object.sectionFlags(section) & SHF_WRITE) !== 0
  );
}
