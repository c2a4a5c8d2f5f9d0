/** A64 data processing as text. */
import { bitMask, condition, fields, register } from './aarch64-text-parts';

const SHIFTS = ['lsl', 'lsr', 'asr', 'ror'];
const EXTENDS = ['uxtb', 'uxth', 'uxtw', 'uxtx', 'sxtb', 'sxth', 'sxtw', 'sxtx'];

export function dataText(word: number): string | undefined {
  switch ((word >>> 23) & 0x3f) {
    case 0x22:
      return addImmediate(word);
    case 0x24:
      return logicalImmediate(word);
    case 0x25:
      return moveWide(word);
    case 0x26:
      return bitField(word);
    case 0x27:
      return extract(word);
    default:
  }
  switch ((word >>> 24) & 0x1f) {
    case 0x0a:
      return logicalRegister(word);
    case 0x0b:
      return addRegister(word);
    case 0x1a:
      return conditional(word) ?? twoSources(word);
    case 0x1b:
      return threeSources(word);
    default:
      return undefined;
  }
}

const isWide = (word: number): boolean => word >>> 31 === 1;

function addImmediate(word: number): string {
  const { d, n } = fields(word);
  const wide = isWide(word);
  const [subtract, flags] = [(word & 0x40000000) !== 0, (word & 0x20000000) !== 0];
  const value = (word >>> 10) & 0xfff;
  const amount = `#0x${value.toString(16)}${(word & 0x00400000) === 0 ? '' : ', lsl #12'}`;
  if (flags && d === 31) return `${subtract ? 'cmp' : 'cmn'} ${register(n, wide, true)}, ${amount}`;
  if (!flags && !subtract && value === 0 && (d === 31 || n === 31))
    return `mov ${register(d, wide, true)}, ${register(n, wide, true)}`;
  return `${subtract ? 'sub' : 'add'}${flags ? 's' : ''} ${register(d, wide, !flags)}, ${register(n, wide, true)}, ${amount}`;
}

function logicalImmediate(word: number): string | undefined {
  const { d, n } = fields(word);
  const wide = isWide(word);
  const value = bitMask(word, wide);
  if (value === undefined) return undefined;
  const kind = (word >>> 29) & 3;
  const amount = `#0x${value.toString(16)}`;
  if (kind === 3 && d === 31) return `tst ${register(n, wide)}, ${amount}`;
  if (kind === 1 && n === 31) return `mov ${register(d, wide, true)}, ${amount}`;
  return `${['and', 'orr', 'eor', 'ands'][kind]!} ${register(d, wide, kind !== 3)}, ${register(n, wide)}, ${amount}`;
}

function moveWide(word: number): string | undefined {
  const { d } = fields(word);
  const wide = isWide(word);
  const [kind, shift, value] = [(word >>> 29) & 3, ((word >>> 21) & 3) * 16, BigInt((word >>> 5) & 0xffff)];
  if (kind === 1 || (!wide && shift > 16)) return undefined;
  const to = register(d, wide);
  if (kind === 3) return `movk ${to}, #0x${value.toString(16)}${shift === 0 ? '' : `, lsl #${shift}`}`;
  const whole = value << BigInt(shift);
  return `mov ${to}, #0x${(kind === 2 ? whole : BigInt.asUintN(wide ? 64 : 32, ~whole)).toString(16)}`;
}

function bitField(word: number): string | undefined {
  const { d, n } = fields(word);
  const wide = isWide(word);
  const kind = (word >>> 29) & 3;
  const [r, s] = [(word >>> 16) & 63, (word >>> 10) & 63];
  const bits = wide ? 64 : 32;
  if (kind === 3 || ((word >>> 22) & 1) !== (wide ? 1 : 0) || r >= bits || s >= bits) return undefined;
  const [to, from] = [register(d, wide), register(n, wide)];
  const letter = kind === 0 ? 's' : 'u';
  if (kind === 1)
    return s < r ? `bfi ${to}, ${from}, #${bits - r}, #${s + 1}` : `bfxil ${to}, ${from}, #${r}, #${s - r + 1}`;
  if (s === bits - 1) return `${kind === 0 ? 'asr' : 'lsr'} ${to}, ${from}, #${r}`;
  if (kind === 2 && s + 1 === r) return `lsl ${to}, ${from}, #${bits - 1 - s}`;
  const extend = r === 0 && (kind === 0 || !wide) ? { 7: 'xtb', 15: 'xth', 31: 'xtw' }[s] : undefined;
  if (extend !== undefined) return `${letter}${extend} ${to}, ${register(n, false)}`;
  return s < r
    ? `${letter}bfiz ${to}, ${from}, #${bits - r}, #${s + 1}`
    : `${letter}bfx ${to}, ${from}, #${r}, #${s - r + 1}`;
}

function extract(word: number): string | undefined {
  const { d, n, m } = fields(word);
  const wide = isWide(word);
  if (((word >>> 29) & 3) !== 0 || (word & 0x00200000) !== 0) return undefined;
  const by = `#${(word >>> 10) & 63}`;
  return n === m
    ? `ror ${register(d, wide)}, ${register(n, wide)}, ${by}`
    : `extr ${register(d, wide)}, ${register(n, wide)}, ${register(m, wide)}, ${by}`;
}

function shifted(word: number, wide: boolean): string {
  const amount = (word >>> 10) & 63;
  const by = (word >>> 22) & 3;
  return `${register((word >>> 16) & 31, wide)}${amount === 0 && by === 0 ? '' : `, ${SHIFTS[by]!} #${amount}`}`;
}

function logicalRegister(word: number): string {
  const { d, n } = fields(word);
  const wide = isWide(word);
  const kind = (((word >>> 29) & 3) << 1) | ((word >>> 21) & 1);
  const other = shifted(word, wide);
  if (kind === 6 && d === 31) return `tst ${register(n, wide)}, ${other}`;
  if (kind === 2 && n === 31 && !other.includes(',')) return `mov ${register(d, wide)}, ${other}`;
  if (kind === 3 && n === 31) return `mvn ${register(d, wide)}, ${other}`;
  const name = ['and', 'bic', 'orr', 'orn', 'eor', 'eon', 'ands', 'bics'][kind]!;
  return `${name} ${register(d, wide)}, ${register(n, wide)}, ${other}`;
}

function addRegister(word: number): string | undefined {
  const { d, n, m } = fields(word);
  const wide = isWide(word);
  const extended = (word & 0x00200000) !== 0;
  if (extended ? (word & 0x00c00000) !== 0 : ((word >>> 22) & 3) === 3) return undefined;
  const [subtract, flags] = [(word & 0x40000000) !== 0, (word & 0x20000000) !== 0];
  let other = shifted(word, wide);
  if (extended) {
    const [kind, by] = [(word >>> 13) & 7, (word >>> 10) & 7];
    const plain = kind === (wide ? 3 : 2) && (n === 31 || (d === 31 && !flags));
    const name = plain ? (by === 0 ? '' : 'lsl') : EXTENDS[kind]!;
    other = `${register(m, (kind & 3) === 3)}${name === '' ? '' : `, ${name}${by === 0 ? '' : ` #${by}`}`}`;
  }
  if (flags && d === 31) return `${subtract ? 'cmp' : 'cmn'} ${register(n, wide, extended)}, ${other}`;
  if (subtract && !extended && n === 31) return `neg${flags ? 's' : ''} ${register(d, wide)}, ${other}`;
  return `${subtract ? 'sub' : 'add'}${flags ? 's' : ''} ${register(d, wide, extended && !flags)}, ${register(n, wide, extended)}, ${other}`;
}

/** Conditional compares and selections. */
function conditional(word: number): string | undefined {
  const { d, n, m } = fields(word);
  const wide = isWide(word);
  const test = (word >>> 12) & 0xf;
  if ((word & 0x3fe00410) === 0x3a400000) {
    const other = (word & 0x800) !== 0 ? `#0x${m.toString(16)}` : register(m, wide);
    return `${(word & 0x40000000) !== 0 ? 'ccmp' : 'ccmn'} ${register(n, wide)}, ${other}, #0x${(d & 15).toString(16)}, ${condition(test)}`;
  }
  if ((word & 0x3fe00800) !== 0x1a800000) return undefined;
  const kind = (((word >>> 30) & 1) << 1) | ((word >>> 10) & 1);
  const inverse = condition(test ^ 1);
  const to = register(d, wide);
  if (kind !== 0 && n === m && test < 14) {
    if (n === 31 && kind < 3) return `${kind === 1 ? 'cset' : 'csetm'} ${to}, ${inverse}`;
    if (n !== 31 || kind === 3) return `${['', 'cinc', 'cinv', 'cneg'][kind]!} ${to}, ${register(n, wide)}, ${inverse}`;
  }
  return `${['csel', 'csinc', 'csinv', 'csneg'][kind]!} ${to}, ${register(n, wide)}, ${register(m, wide)}, ${condition(test)}`;
}

const TWO: Readonly<Record<number, string>> = { 2: 'udiv', 3: 'sdiv', 8: 'lsl', 9: 'lsr', 10: 'asr', 11: 'ror' };
const ONE = ['rbit', 'rev16', 'rev', 'rev', 'clz', 'cls'];

function twoSources(word: number): string | undefined {
  const { d, n, m } = fields(word);
  const wide = isWide(word);
  const operation = (word >>> 10) & 63;
  if ((word & 0x7fff0000) === 0x5ac00000) {
    const name = operation === 2 && wide ? 'rev32' : ONE[operation];
    return name === undefined || (operation === 3 && !wide)
      ? undefined
      : `${name} ${register(d, wide)}, ${register(n, wide)}`;
  }
  const name = (word & 0x7fe00000) === 0x1ac00000 ? TWO[operation] : undefined;
  return name === undefined ? undefined : `${name} ${register(d, wide)}, ${register(n, wide)}, ${register(m, wide)}`;
}

function threeSources(word: number): string | undefined {
  const { d, n, a, m } = fields(word);
  const wide = isWide(word);
  if (((word >>> 29) & 3) !== 0) return undefined;
  const kind = (((word >>> 21) & 7) << 1) | ((word >>> 15) & 1);
  const [minus, long] = [(kind & 1) !== 0, kind > 1];
  if (long && !wide) return undefined;
  const high = { 4: 'smulh', 12: 'umulh' }[kind];
  if (high !== undefined) return `${high} ${register(d, true)}, ${register(n, true)}, ${register(m, true)}`;
  const letter = { 0: '', 1: '', 2: 's', 3: 's', 10: 'u', 11: 'u' }[kind];
  if (letter === undefined) return undefined;
  const [to, x, y] = [register(d, wide), register(n, long ? false : wide), register(m, long ? false : wide)];
  const l = long ? 'l' : '';
  if (a === 31) return `${letter}${minus ? 'mneg' : 'mul'}${l} ${to}, ${x}, ${y}`;
  return `${letter}${minus ? 'msub' : 'madd'}${l} ${to}, ${x}, ${y}, ${register(a, wide)}`;
}
