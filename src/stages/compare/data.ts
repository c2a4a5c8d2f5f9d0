import type { SymbolIndex } from '../../elf';
import type { Pairing } from '../correlate';
import { buildBytes, textDiffersInBuild } from './build-names';
import { fileNamesOf } from './line';
import { matchTargets, targetsIn } from './match';
import { isLineByte, lineOfRecord } from './record';
import type { Side } from '../side/side';
import { describeTarget } from '../places/target';
import type { Difference, Verdict } from './verdict';

/** Compares two objects: size, bytes, references. A record that differs only in its line is ignored. */
export function compareData(pairing: Pairing, a: Side, b: Side, symbolA: SymbolIndex, symbolB: SymbolIndex): Verdict {
  const make = (status: Verdict['status'], kind: Verdict['class'], difference: Difference | null): Verdict => ({
    orig: symbolA,
    patched: symbolB,
    status,
    class: kind,
    first: difference,
  });
  const sizeA = a.table.size[symbolA]!;
  const sizeB = b.table.size[symbolB]!;
  if (textDiffersInBuild(a, symbolA, b, symbolB))
    return make('ignored', 'release', { offset: 0, orig: a.name(symbolA), patched: b.name(symbolB) });
  if (sizeA !== sizeB)
    return make('changed', 'data', {
      offset: Math.min(sizeA, sizeB),
      orig: `${sizeA} bytes`,
      patched: `${sizeB} bytes`,
    });
  const bytesA = a.bytes(symbolA);
  const bytesB = b.bytes(symbolB);
  if (bytesA.length !== bytesB.length) {
    return make('changed', 'data', {
      offset: 0,
      orig: bytesA.length === 0 ? 'all zero (.bss)' : 'initialised',
      patched: bytesB.length === 0 ? 'all zero (.bss)' : 'initialised',
    });
  }
  const record = lineOfRecord(a, symbolA);
  let first: Difference | null = null;
  let onlyLine = record !== undefined;
  const named = bytesA.length > 0 ? buildBytes(a, b, bytesA, bytesB) : undefined;
  let release: Difference | null = null;
  for (let at = 0; at < bytesA.length; at++) {
    if (bytesA[at] === bytesB[at]) continue;
    const from = at & ~7;
    const hex = (bytes: Uint8Array): string =>
      Buffer.from(bytes.subarray(from, from + 8))
        .toString('hex')
        .replace(/(..)(?=.)/g, '$1 ');
    if (named?.[at] === 1) {
      release ??= { offset: at, orig: hex(bytesA), patched: hex(bytesB) };
      continue;
    }
    first ??= { offset: at, orig: hex(bytesA), patched: hex(bytesB) };
    if (record !== undefined && !isLineByte(record, a.object.little, at, bytesA[at]! ^ bytesB[at]!)) onlyLine = false;
  }
  const units = fileNamesOf(a, symbolA);
  const ours = targetsIn(a, a.rangeOf(symbolA));
  const theirs = targetsIn(b, b.rangeOf(symbolB));
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    const x = ours[i];
    const y = theirs[i];
    if (x !== undefined && y !== undefined && x.at === y.at) {
      const match = matchTargets({ pairing, a, b }, x.target, y.target, units);
      if (match === 'same') continue;
      if (match === 'line' && (first === null || onlyLine)) {
        first ??= { offset: x.at, orig: describeTarget(a, x.target), patched: describeTarget(b, y.target) };
        onlyLine = true;
        continue;
      }
    }
    const text = (side: Side, entry: typeof x): string =>
      entry === undefined ? 'no reference' : describeTarget(side, entry.target);
    return make(
      'changed',
      'data',
      first !== null && !onlyLine
        ? first
        : { offset: Math.min(x?.at ?? Infinity, y?.at ?? Infinity), orig: text(a, x), patched: text(b, y) },
    );
  }
  if (first === null) return release === null ? make('same', 'same', null) : make('ignored', 'release', release);
  return onlyLine ? make('ignored', 'line', first) : make('changed', 'data', first);
}
