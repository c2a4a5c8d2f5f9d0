import type { SymbolIndex } from '../elf';
import { KlpflowError, diagnostic, type Diagnostic } from '../diagnostics';
import { SectionClass } from '../kernel/section-class';
import type { Side } from './side/side';
import { Trait } from './scan';
import { nameOf, symbolsNamed } from './symbol-name';

/** A pair that somebody declares because evidence stops: ORIG's name and PATCHED's. */
export interface DeclaredTwin {
  orig: string;
  patched: string;
}

/** `ORIGNAME=PATCHEDNAME`. @throws KlpflowError `usage` */
export function parseTwin(text: string): DeclaredTwin {
  const [orig = '', patched = '', ...more] = text.split('=');
  if (orig === '' || patched === '' || more.length > 0)
    throw new KlpflowError('usage', `--twin ${text}: give ORIGNAME=PATCHEDNAME, each a name or unit:name`);
  return { orig, patched };
}

/**
 * The symbols that declarations name, as ORIG's and PATCHED's in turn. What a livepatch would take one for the other by has to agree: a
 * declaration says which, not that a variable of four bytes has eight.
 * @throws KlpflowError `twin-not-found`, `twin-ambiguous`, `twin-mismatch`
 */
export function resolveTwins(orig: Side, patched: Side, twins: readonly DeclaredTwin[]): number[] {
  const pairs = twins.map((twin): [number, number] => {
    const [a, b] = [one(orig, twin.orig, 'ORIG', twin), one(patched, twin.patched, 'PATCHED', twin)];
    const difference = unlike(orig, a, patched, b);
    if (difference !== undefined)
      throw new KlpflowError('twin-mismatch', `--twin ${twin.orig}=${twin.patched}: ${difference}`, {
        symbol: orig.name(a),
      });
    return [a, b];
  });
  pairs.forEach(([a, b], i) => {
    const other = pairs.findIndex(([x, y], j) => j < i && (x === a) !== (y === b));
    if (other >= 0)
      throw new KlpflowError(
        'twin-mismatch',
        `--twin ${twins[i]!.orig}=${twins[i]!.patched}: ${twins[other]!.orig}=${twins[other]!.patched} is declared, too, and a symbol has one twin`,
        { symbol: orig.name(a) },
      );
  });
  return pairs.flat();
}

/** Every report lists what was declared. */
export function reportTwins(twins: readonly DeclaredTwin[], object: string): Diagnostic[] {
  return twins.map(({ orig, patched }) =>
    diagnostic('declared-twin', `${orig} of ORIG is ${patched} of PATCHED: declared, not proven`, {
      object,
      symbol: orig,
    }),
  );
}

/** Notes on what was declared and is paired by evidence in any case: the next patch's reader would take it for something that only a person knew. */
export function reportNeedless(twins: readonly DeclaredTwin[], object: string): Diagnostic[] {
  return twins.map(({ orig, patched }) =>
    diagnostic('unused-twin', `--twin ${orig}=${patched}: evidence pairs these two by itself`, {
      object,
      symbol: orig,
    }),
  );
}

function one(side: Side, text: string, build: string, { orig, patched }: DeclaredTwin): number {
  const found = symbolsNamed(side, text);
  if (found.length === 1 && side.table.has(found[0]!, Trait.CORRELATABLE)) return found[0]!;
  const declared = `--twin ${orig}=${patched}`;
  if (found.length === 0)
    throw new KlpflowError('twin-not-found', `${declared}: ${build} defines no function or variable ${text}`, {
      symbol: text,
    });
  if (found.length === 1)
    throw new KlpflowError('twin-mismatch', `${declared}: ${text} of ${build} belongs to one build, and has no twin`, {
      symbol: text,
    });
  throw new KlpflowError(
    'twin-ambiguous',
    `${declared}: ${build} has ${found.length} of the name: ${found.map((symbol) => nameOf(side, symbol)).join(', ')}`,
    { symbol: text },
  );
}

/** What keeps two symbols from being one; undefined for nothing. */
function unlike(orig: Side, a: number, patched: Side, b: number): string | undefined {
  const kind = (side: Side, symbol: SymbolIndex): string =>
    side.table.has(symbol, Trait.OBJECT) ? 'a variable' : 'a function';
  if (kind(orig, a) !== kind(patched, b)) return `one is ${kind(orig, a)}, the other ${kind(patched, b)}`;
  if (!orig.table.has(a, Trait.OBJECT)) return undefined;
  if (orig.table.size[a] !== patched.table.size[b])
    return `one has ${orig.table.size[a]} bytes, the other ${patched.table.size[b]}`;
  const place = (side: Side, symbol: SymbolIndex): string => {
    const bits = side.table.sectionClass[side.table.section[symbol]!] ?? 0;
    return (bits & SectionClass.PERCPU) !== 0
      ? 'per-CPU data'
      : side.table.has(symbol, Trait.WRITABLE)
        ? 'writable data'
        : 'read-only data';
  };
  return place(orig, a) === place(patched, b)
    ? undefined
    : `one is ${place(orig, a)} (${orig.sectionName(a)}), the other ${place(patched, b)} (${patched.sectionName(b)})`;
}
