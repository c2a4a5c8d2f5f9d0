import { RELA_WORDS, R_OFFSET, u64 } from '../../elf';
import { SectionClass } from '../../livepatch/section-class';
import type { Pairing } from '../correlate';
import type { Side } from './side';
import { describeTarget, matchTargets, resolveTarget, type Target } from './target';
import type { Difference, Verdict } from './verdict';

/** Compares two objects: size, bytes, references. A record that differs only in its line is ignored. */
export function compareData(pairing: Pairing, a: Side, b: Side, symbolA: number, symbolB: number): Verdict {
  const make = (status: Verdict['status'], kind: Verdict['class'], first: Difference | null): Verdict => ({ orig: symbolA, patched: symbolB, status, class: kind, first });
  const sizeA = a.table.size[symbolA]!;
  const sizeB = b.table.size[symbolB]!;
  if (sizeA !== sizeB) return make('changed', 'data', { offset: Math.min(sizeA, sizeB), orig: `${sizeA} bytes`, patched: `${sizeB} bytes` });
  const bytesA = a.bytes(symbolA);
  const bytesB = b.bytes(symbolB);
  if (bytesA.length !== bytesB.length) {
    return make('changed', 'data', { offset: 0, orig: bytesA.length === 0 ? 'all zero (.bss)' : 'initialised', patched: bytesB.length === 0 ? 'all zero (.bss)' : 'initialised' });
  }
  const record = (a.table.sectionClass[a.table.section[symbolA]!]! & SectionClass.RECORD) !== 0;
  let first: Difference | null = null;
  let onlyLine = record;
  for (let at = 0; at < bytesA.length; at++) {
    if (bytesA[at] === bytesB[at]) continue;
    const from = at & ~7;
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(from, from + 8)).toString('hex').replace(/(..)(?=.)/g, '$1 ');
    first ??= { offset: at, orig: hex(bytesA), patched: hex(bytesB) };
    // The low 18 bits of the u32 at 32 of struct _ddebug.
    if (at < 32 || at > 34 || (at === 34 && ((bytesA[at]! ^ bytesB[at]!) & 0xfc) !== 0)) onlyLine = false;
  }
  const unitName = a.table.file[symbolA] ? a.name(a.table.file[symbolA]!) : '';
  const ours = targetsOf(a, symbolA);
  const theirs = targetsOf(b, symbolB);
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    const x = ours[i];
    const y = theirs[i];
    if (x !== undefined && y !== undefined && x.at === y.at) {
      const match = matchTargets(pairing, a, b, x.target, y.target, unitName);
      if (match === 'same') continue;
      if (match === 'line' && first === null) {
        first = { offset: x.at, orig: describeTarget(a, x.target), patched: describeTarget(b, y.target) };
        onlyLine = true;
        continue;
      }
    }
    const text = (side: Side, entry: typeof x): string => (entry === undefined ? 'no reference' : describeTarget(side, entry.target));
    return make('changed', 'data', first !== null && !onlyLine ? first : { offset: Math.min(x?.at ?? Infinity, y?.at ?? Infinity), orig: text(a, x), patched: text(b, y) });
  }
  if (first === null) return make('same', 'same', null);
  return onlyLine ? make('ignored', 'line', first) : make('changed', 'data', first);
}

function targetsOf(side: Side, symbol: number): Array<{ at: number; target: Target }> {
  const section = side.table.section[symbol]!;
  const start = side.table.value[symbol]!;
  const { words, at, stop } = side.identity.relas.select(section, start, start + side.table.size[symbol]!);
  const places: number[] = [];
  for (let i = at; i < stop; i += RELA_WORDS) places.push(i);
  return places.map((i) => ({ at: u64(words, i + R_OFFSET) - start, target: resolveTarget(side, words, i, section, 0) }));
}
