/** What of a variable a livepatch has to write, as words of which each is written at once. Whatever cannot be written rightly has a reason. */
import type { Target, Variable } from './variable';

export type Value = { kind: 'number'; value: bigint } | { kind: 'address'; name: string; addend: number };

export interface Word {
  /** In the variable. */
  at: number;
  size: 1 | 2 | 4 | 8;
  /** The bits that change. */
  mask: bigint;
  from: Value;
  to: Value;
}

export type Found = { words: Word[] } | { refused: string };

/**
 * Sections of data that is written to while the kernel runs. Those left out: read-only data, read-only after boot (`.data..ro_after_init`), gone after boot
 * (`.init.data`), a copy for each CPU (`.data..percpu`), what a macro counts with (`.data..once`).
 */
const WRITABLE = /^\.(?:data|bss)(?:\.(?!\.).*|\.\.read_mostly|\.\.cacheline_aligned)?$/;

const WIDEST = 8;

/** The words in which two variables differ; none where they are equal. */
export function wordsBetween(before: Variable, after: Variable): Found {
  const { name, size } = before;
  const refuse = (why: string): Found => ({ refused: `${name} cannot be set: ${why}` });
  if (!WRITABLE.test(before.section))
    return refuse(`it lies in ${before.section}, which is no memory that the running kernel may write to`);
  if (!WRITABLE.test(after.section)) return refuse(`PATCHED has it in ${after.section}`);
  if (size !== after.size) return refuse(`its size changes from ${size} to ${after.size} bytes`);
  const words: Word[] = [];
  for (let at = 0; at < size; ) {
    const width = widthAt(at, Math.min(before.align, after.align), size);
    const word = wordAt(before, after, at, width);
    if (typeof word === 'string') return refuse(`at +0x${at.toString(16)} ${word}`);
    if (word !== undefined) words.push(word);
    at += width;
  }
  return { words };
}

/** The widest naturally aligned word at a place: a field that is aligned as its type asks lies in one. */
function widthAt(at: number, align: number, size: number): Word['size'] {
  let width = WIDEST;
  while (width > align || at % width !== 0 || at + width > size) width /= 2;
  return width as Word['size'];
}

/** @returns why not, as a text; undefined where nothing differs */
function wordAt(before: Variable, after: Variable, at: number, width: Word['size']): Word | string | undefined {
  const fields = (variable: Variable): Array<[number, Target | null]> =>
    [...variable.targets].filter(([place]) => place >= at && place < at + width);
  const [ours, theirs] = [fields(before), fields(after)];
  if (ours.length === 0 && theirs.length === 0) {
    const [from, to] = [numberAt(before, at, width), numberAt(after, at, width)];
    if (from === to) return undefined;
    const mask = maskOf(from, to);
    return {
      at,
      size: width,
      mask,
      from: { kind: 'number', value: from & mask },
      to: { kind: 'number', value: to & mask },
    };
  }
  const [from, to] = [fieldValue(ours, before, at), fieldValue(theirs, after, at)];
  if (isSame(ours, theirs)) return undefined;
  if (typeof from === 'string') return `its old value ${from}`;
  if (typeof to === 'string') return `its new value ${to}`;
  return { at, size: width, mask: (1n << 64n) - 1n, from, to };
}

function fieldValue(fields: ReadonlyArray<[number, Target | null]>, variable: Variable, at: number): Value | string {
  const [field, ...more] = fields;
  if (field === undefined) return { kind: 'number', value: numberAt(variable, at, WIDEST) };
  const [place, target] = field;
  if (target === null || more.length > 0 || place !== at) return 'is a reference, but no pointer';
  if (target.kind === 'text')
    return `is the text ${JSON.stringify(target.text)}: who has read the pointer would go on with memory that goes with the livepatch`;
  if (target.kind === 'nameless') return `refers to ${target.what}, which has no name to find it by`;
  if (!/^[A-Za-z_]\w*$/.test(target.name)) return `refers to ${target.name}, a name that the compiler made up`;
  return { kind: 'address', name: target.name, addend: target.addend };
}

/** References of both that lead to the same; texts by what they say. */
function isSame(ours: ReadonlyArray<[number, Target | null]>, theirs: ReadonlyArray<[number, Target | null]>): boolean {
  return (
    ours.length === theirs.length &&
    ours.every(([place, target], i) => {
      const [otherPlace, other] = theirs[i]!;
      return target !== null && place === otherPlace && JSON.stringify(target) === JSON.stringify(other);
    })
  );
}

function numberAt({ bytes }: Variable, at: number, width: number): bigint {
  let value = 0n;
  for (let i = width - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!);
  return value;
}

/** Whole bytes in which two numbers differ: a flag of one bit is set with the byte that it is in. */
function maskOf(from: bigint, to: bigint): bigint {
  let mask = 0n;
  for (let shift = 0n; shift < 64n; shift += 8n) if (((from ^ to) >> shift) & 0xffn) mask |= 0xffn << shift;
  return mask;
}
