/** A64 instructions as far as checks need them; by the Arm Architecture Reference Manual, not by what writes modules. */
import type { Instruction, OperandField } from '../instruction';
import type { Module, ModuleSection } from '../module';

export const NOP = 0xd503201f;
export const BTI_C = 0xd503245f;
/** `brk #0x800`, of BUG() and WARN(). */
export const BUG = 0xd4210000;

export function wordAt({ bytes }: Pick<ModuleSection, 'bytes'>, at: number): number {
  if (at < 0 || at + 4 > bytes.length) return -1;
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

const is = (word: number, mask: number, value: number): boolean => (word & mask) >>> 0 === value;

const isBranch = (word: number): boolean => is(word, 0xfc000000, 0x14000000);
const isCall = (word: number): boolean => is(word, 0xfc000000, 0x94000000);
const isCondition = (word: number): boolean => is(word, 0xff000000, 0x54000000) || is(word, 0x7e000000, 0x34000000);
const isBitTest = (word: number): boolean => is(word, 0x7e000000, 0x36000000);
const isPage = (word: number): boolean => is(word, 0x9f000000, 0x90000000);
const isNear = (word: number): boolean => is(word, 0x9f000000, 0x10000000);
const isLiteral = (word: number): boolean => is(word, 0x3b000000, 0x18000000);
const isAdd = (word: number): boolean => is(word, 0x7fc00000, 0x11000000);
const isMove = (word: number): boolean => is(word, 0x1f800000, 0x12800000);
/** A load or store whose offset is a positive number, scaled by what is accessed. */
const isScaled = (word: number): boolean => is(word, 0x3b000000, 0x39000000);

/** Bytes that a scaled load or store counts in. */
function scaleOf(word: number): number {
  const vector = (word & 0x04000000) !== 0;
  return vector && (word & 0x00800000) !== 0 ? 16 : 1 << (word >>> 30);
}

const isPrefetch = (word: number): boolean => is(word, 0xffc00000, 0xf9800000);

/** Whether an instruction is one whose field a relocation of this type fills; undefined for a type of data. */
export function fits(type: number, word: number): boolean | undefined {
  const scaled = SCALED.get(type);
  if (scaled !== undefined) return isScaled(word) && scaleOf(word) === scaled;
  switch (type) {
    case 273:
      return isLiteral(word);
    case 274:
      return isNear(word);
    case 275:
    case 276:
      return isPage(word);
    case 277:
      return isAdd(word);
    case 279:
      return isBitTest(word);
    case 280:
      return isCondition(word);
    case 282:
      return isBranch(word);
    case 283:
      return isCall(word);
    default:
      return type >= 263 && type <= 293 ? isMove(word) : undefined;
  }
}

/** LDST8 to LDST128_ABS_LO12_NC, and what the target is a multiple of. */
export const SCALED: ReadonlyMap<number, number> = new Map([
  [278, 1],
  [284, 2],
  [285, 4],
  [286, 8],
  [299, 16],
]);

export function distanceOf(word: number): number | undefined {
  if (isBranch(word) || isCall(word)) return ((word << 6) >> 6) * 4;
  if (isCondition(word)) return ((word << 8) >> 13) * 4;
  return isBitTest(word) ? ((word << 13) >> 18) * 4 : undefined;
}

function kindOf(word: number): Instruction['kind'] {
  if (word === NOP) return 'nop';
  if (word === BUG) return 'undefined';
  // `udf`: what fills gaps, too.
  if (word >>> 16 === 0) return 'invalid';
  if (isCall(word)) return 'call';
  if (isBranch(word)) return 'jump';
  return isCondition(word) || isBitTest(word) ? 'conditional' : 'other';
}

function fieldsOf(word: number): OperandField[] {
  const kind =
    distanceOf(word) !== undefined
      ? 'branch'
      : isPage(word) || isNear(word) || isLiteral(word)
        ? 'relative'
        : isScaled(word)
          ? 'displacement'
          : isAdd(word) || isMove(word)
            ? 'immediate'
            : undefined;
  return kind === undefined ? [] : [{ at: 0, size: 4, kind }];
}

/** The words of [start, end), those that mapping symbols call data apart. */
export function decodeWords(
  section: ModuleSection,
  start: number,
  end: number,
  list: Instruction[],
  module: Module,
): void {
  let data = module.symbolsIn(section).findLast(({ value, name }) => value <= start && isMapping(name))?.name === '$d';
  for (let offset = start; offset < end; offset += 4) {
    for (const { name } of module.symbolsAt(section, offset)) if (isMapping(name)) data = name.startsWith('$d');
    const word = wordAt(section, offset);
    const relocated = module.relaAt(section, offset);
    const distance = data || relocated !== undefined ? undefined : distanceOf(word);
    const scaled = !data && isScaled(word) && !isPrefetch(word);
    list.push({
      offset,
      length: Math.min(4, end - offset),
      kind: data ? 'data' : word < 0 ? 'invalid' : kindOf(word),
      fields: data || word < 0 ? [] : fieldsOf(word),
      target: distance === undefined ? undefined : offset + distance,
      // With its relocation the whole address is known: what else is added is the page.
      fixedAccess: scaled && relocated !== undefined,
      accessSize: scaled ? scaleOf(word) : 0,
      indexed: false,
      writes: scaled && (word & 0x00400000) === 0 && ((word & 0x04000000) !== 0 || (word & 0x00800000) === 0),
      lock: false,
    });
  }
}

export function isMapping(name: string): boolean {
  return /^\$[dx](?:\.|$)/.test(name);
}
